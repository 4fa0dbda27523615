"""What is gone when an instance is deleted."""

from __future__ import annotations

import asyncio

import pytest

from statekeep.domain.timer import TimerChanges
from statekeep.ports.store import ConflictingRevision
from tests.support.builders import a_commit, a_key_use, a_timer, create_instance, create_instances


async def enrich(store, instance_id):
    """Give an instance some of everything."""
    for base in range(1, 4):
        commit = a_commit(instance_id, base, entries=1)._replace(
            due=("fetch",),
            timers=TimerChanges((a_timer(base, due_at=1.0),), ()),
            keys=(a_key_use(f"k{base}"),),
        )
        await store.commit(commit)


async def test_nothing_is_left(store, ground):
    """Neither the instance nor its transitions, timers, keys or debts; its neighbour keeps all of that."""
    gone, kept = await create_instances(store, ground, ["gone", "kept"])
    await enrich(store, gone)
    await enrich(store, kept)
    await store.delete_instance(gone)
    assert await store.claim(ground.key("gone")) is None
    assert await store.claim_by_id(gone) is None
    assert (await store.list_transitions(gone, cursor=None)).items == []
    assert await store.find_key(gone, "k1", now_ms=0) is None
    assert await store.unsettled_instances(after=None, limit=10) == [kept]
    due = await store.timers_due_before(9.0, after=None, limit=10)
    assert [timer.instance_id for timer in due] == [kept] * 3
    names = [i.name for i in (await store.list_instances(ground.machine.id, cursor=None)).items]
    assert names == ["kept"]
    transitions = (await store.list_transitions(kept, cursor=None)).items
    assert [transition.revision for transition in transitions] == [4, 3, 2, 1]


async def test_deleting_twice_is_no_error(store, instance_id):
    """Nor is deleting what never was."""
    await store.delete_instance(instance_id)
    await store.delete_instance(instance_id)
    await store.delete_instance(store.new_instance_id())


async def test_a_name_is_free_again(store, ground, instance_id):
    """The new instance has nothing of the old one, and another number."""
    await enrich(store, instance_id)
    await store.delete_instance(instance_id)
    new = await create_instance(store, ground, "one")
    assert new != instance_id
    claimed = await store.claim(ground.key("one"))
    assert (claimed.id, claimed.revision, claimed.timers, claimed.due) == (new, 1, (), ())
    assert len((await store.list_transitions(new, cursor=None)).items) == 1


async def test_a_commit_after_the_deletion_is_refused(store, instance_id):
    """Also when both are under way at once: they happen in the order of the calls."""
    results = await asyncio.gather(
        store.commit(a_commit(instance_id, 1)),
        store.delete_instance(instance_id),
        commit_later(store, instance_id),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), type(None), ConflictingRevision]


async def commit_later(store, instance_id):
    """Called after the deletion, as a task of its own."""
    await store.commit(a_commit(instance_id, 2))


async def test_a_long_journal_goes_whole(store, ground):
    """However many entries there are, and whatever lies between them."""
    long, other = await create_instances(store, ground, ["long", "other"])
    for base in range(1, 2_000, 100):
        await asyncio.gather(
            store.commit(a_commit(long, base, entries=100)),
            store.commit(a_commit(other, base, entries=100)),
        )
    await store.delete_instance(long)
    assert (await store.list_transitions(long, cursor=None)).items == []
    with pytest.raises(ConflictingRevision):
        await store.commit(a_commit(long, 2_001))
    seen, cursor = 0, None
    while True:
        page = await store.list_transitions(other, cursor=cursor)
        seen, cursor = seen + len(page.items), page.cursor
        if cursor is None:
            break
    assert seen == 2_001

"""What a commit promises, and what a claim shows of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from types import NoneType

import pytest

from statekeep.domain.commit import KeyUse
from statekeep.domain.errors import AlreadyExists, NotFound
from statekeep.domain.event import Origin
from statekeep.domain.instance import ClaimedInstance, InstanceStatus
from statekeep.domain.names import InstanceId, MachineName, VersionId
from statekeep.domain.timer import TimerChanges
from statekeep.ports.store import ConflictingRevision
from tests.support.builders import (
    CODE,
    NOW,
    a_commit,
    a_key_use,
    a_timer,
    a_version,
    an_entry,
    create_instance,
    create_instances,
    lay_ground,
)


async def test_a_new_instance_can_be_claimed_by_name_and_by_number(store, ground):
    """Both show the same, complete."""
    instance_id = store.new_instance_id()
    await store.commit(ground.creation(instance_id, "one"))
    entry = an_entry(1)
    expected = ClaimedInstance(
        id=instance_id,
        key=ground.key("one"),
        version=ground.version,
        desired_version=None,
        status=InstanceStatus.RUNNING,
        revision=1,
        ts=entry.ts,
        snapshot=entry.snapshot,
        due=(),
        timers=(),
        next_timer_seq=0,
        created_at=NOW,
        current_selectors=ground.version.index_selectors,
    )
    assert await store.claim(ground.key("one")) == expected
    assert await store.claim_by_id(instance_id) == expected


async def test_whoever_commits_hears_of_each_by_itself(store, ground):
    """In the order of the commits, also of one that fails, and whatever another makes of what it hears."""
    ids = [store.new_instance_id() for _ in range(3)]
    heard: list[int] = []

    def hear(n: int, done: asyncio.Future[None]) -> None:
        heard.append(n)
        assert done.done()
        assert isinstance(done.exception(), AlreadyExists if n == 1 else NoneType)
        if n == 0:
            raise ZeroDivisionError

    ignored: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: ignored.append(context))
    commits = [
        store.commit(ground.creation(instance_id, name), partial(hear, n))
        for n, (instance_id, name) in enumerate(zip(ids, ("a", "a", "b"), strict=True))
    ]
    assert heard == []
    await asyncio.wait(commits)
    await asyncio.sleep(0)
    assert heard == [0, 1, 2]
    assert len(ignored) == 1


async def test_where_an_instance_would_be_born(store, ground):
    """By the current version or by another one, as long as there is none of that name."""
    other = replace(a_version(ground.machine, "other"), index_selectors={"owner": "$.by"})
    await store.create_version(other, CODE, make_current=False)
    current = ground.version
    assert store.birthplace(ground.key("one"), None) == (current, {"owner": "$.owner"})
    assert store.birthplace(ground.key("one"), other.id) == (other, {"owner": "$.owner"})
    await create_instance(store, ground, "one")
    assert store.birthplace(ground.key("one"), None) is None
    assert store.birthplace(ground.key("one"), other.id) is None
    assert store.birthplace(ground.key("two"), None) == (current, {"owner": "$.owner"})
    newest = replace(other, id=VersionId("ver_newest"))
    await store.create_version(newest, CODE, make_current=True)
    assert store.birthplace(ground.key("two"), None) == (newest, {"owner": "$.by"})


async def test_what_there_is_not_bears_no_instance(store, ground):
    """A machine without a current version, or none at all, and versions of others."""
    elsewhere = await lay_ground(store, organization="other")
    aside = await lay_ground(store, machine="aside")
    key = ground.key()
    for other in (elsewhere, aside):
        assert store.birthplace(key, other.version.id) is None
    for nothing in ("ver_none", ""):
        assert store.birthplace(key, VersionId(nothing)) is None
    await store.create_machine(key.organization_id, MachineName("empty"), (), NOW)
    for name in ("empty", "nothing"):
        assert store.birthplace(key._replace(machine_name=MachineName(name)), None) is None


async def test_what_does_not_exist_cannot_be_claimed(store, ground):
    """Neither by a name nor by a number that was handed out and not used."""
    assert await store.claim(ground.key("nobody")) is None
    assert await store.claim_by_id(store.new_instance_id()) is None


async def test_a_claim_shows_the_newest_commit(store, instance_id):
    """Everything that a commit replaces is replaced."""
    timers = (a_timer(0), a_timer(1))
    commit = a_commit(instance_id, 1, entries=3)._replace(
        due=("fetch", 'a "child"'), timers=TimerChanges(timers, ()), next_timer_seq=2
    )
    await store.commit(commit)
    claimed = await store.claim_by_id(instance_id)
    assert claimed.revision == 4
    assert (claimed.ts, claimed.snapshot) == (commit.entries[-1].ts, commit.entries[-1].snapshot)
    assert claimed.due == ("fetch", 'a "child"')
    assert claimed.timers == timers
    assert claimed.next_timer_seq == 2


async def test_an_instance_is_due_until_a_commit_says_otherwise(store, instance_id):
    """A commit without due children settles the instance."""
    await store.commit(a_commit(instance_id, 1)._replace(due=("fetch",)))
    await store.commit(a_commit(instance_id, 2))
    assert (await store.claim_by_id(instance_id)).due == ()


async def test_a_taken_name_is_refused(store, ground, instance_id):
    """The instance that has it stays as it is, and the other does not exist."""
    before = await store.claim_by_id(instance_id)
    other = store.new_instance_id()
    with pytest.raises(AlreadyExists):
        await store.commit(ground.creation(other, "one"))
    assert await store.claim_by_id(instance_id) == before
    assert await store.claim_by_id(other) is None


async def test_an_instance_of_a_machine_that_is_gone_is_refused(store, ground):
    """Nobody could reach it, and nothing would remove it."""
    await store.delete_machine(ground.machine.id)
    instance_id = store.new_instance_id()
    with pytest.raises(NotFound):
        await store.commit(ground.creation(instance_id))
    assert await store.claim_by_id(instance_id) is None


@pytest.mark.parametrize("base_revision", [0, 1, 3, 1_000])
async def test_a_commit_on_another_revision_is_refused(store, instance_id, base_revision):
    """Nothing of it is written: no entry, timer, key, or debt to children."""
    await store.commit(a_commit(instance_id, 1))
    before = await store.claim_by_id(instance_id)
    commit = a_commit(instance_id, base_revision)._replace(
        due=("fetch",), timers=TimerChanges((a_timer(0),), ()), keys=(a_key_use(),)
    )
    with pytest.raises(ConflictingRevision):
        await store.commit(commit)
    assert await store.claim_by_id(instance_id) == before
    assert [entry.revision for entry in (await transitions(store, instance_id))] == [2, 1]
    assert await store.find_key(instance_id, "k", now_ms=0) is None


async def test_a_commit_on_an_instance_that_does_not_exist_is_refused(store):
    """Whoever deleted it did so while the event was handled."""
    with pytest.raises(ConflictingRevision):
        await store.commit(a_commit(store.new_instance_id(), 1))


async def test_numbers_of_instances_differ(store):
    """And are in the order in which they were asked for."""
    numbers = [store.new_instance_id() for _ in range(100)]
    assert numbers == sorted(set(numbers))


async def test_commits_of_one_instance_can_be_under_way_at_once(store, instance_id):
    """Each stands on the one before it; the journal has them all, in order."""
    waiting = [store.commit(a_commit(instance_id, base)) for base in range(1, 50)]
    await asyncio.gather(*waiting)
    assert (await store.claim_by_id(instance_id)).revision == 50
    revisions = [entry.revision for entry in await transitions(store, instance_id)]
    assert revisions == list(range(50, 0, -1))


async def test_an_instance_can_be_created_and_moved_in_one_go(store, ground):
    """The creation need not be awaited before the next commit is passed."""
    instance_id = store.new_instance_id()
    waiting = [store.commit(ground.creation(instance_id)), store.commit(a_commit(instance_id, 1))]
    await asyncio.gather(*waiting)
    assert (await store.claim_by_id(instance_id)).revision == 2
    assert [entry.revision for entry in await transitions(store, instance_id)] == [2, 1]


async def test_results_come_in_the_order_of_the_calls(store, ground):
    """Failures included."""
    first, second = await create_instances(store, ground, ["one", "two"])
    done: list[int] = []
    commits = [
        a_commit(first, 1),
        a_commit(second, 7),
        a_commit(second, 1),
        ground.creation(store.new_instance_id(), "one"),
        a_commit(first, 2),
    ]
    waiting = [store.commit(commit) for commit in commits]
    for number, future in enumerate(waiting):
        future.add_done_callback(lambda _, number=number: done.append(number))
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert done == [0, 1, 2, 3, 4]
    assert [type(result) for result in results] == [
        type(None),
        ConflictingRevision,
        type(None),
        AlreadyExists,
        type(None),
    ]


async def test_a_bad_commit_harms_no_other(store, ground):
    """One in the midst of a hundred is refused alone."""
    names = [f"i{number}" for number in range(100)]
    ids = await create_instances(store, ground, names)
    commits = [a_commit(instance_id, 1) for instance_id in ids]
    commits[50] = a_commit(ids[50], 9)
    results = await asyncio.gather(*map(store.commit, commits), return_exceptions=True)
    failed = [number for number, result in enumerate(results) if result is not None]
    assert failed == [50]
    revisions = [(await store.claim_by_id(instance_id)).revision for instance_id in ids]
    assert revisions == [2] * 50 + [1] + [2] * 49


async def test_what_stands_on_a_bad_commit_fails_too(store, instance_id):
    """A later commit cannot be written when the one it was computed on was not."""
    waiting = [store.commit(a_commit(instance_id, base)) for base in (5, 6, 7)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, ConflictingRevision) for result in results)
    assert (await store.claim_by_id(instance_id)).revision == 1


async def test_a_commit_whose_caller_was_cancelled_is_written(store, instance_id):
    """Its place in line was taken by the call."""
    task = asyncio.ensure_future(store.commit(a_commit(instance_id, 1)))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.commit(a_commit(instance_id, 2))
    assert (await store.claim_by_id(instance_id)).revision == 3


async def test_a_timer_of_one_commit_can_be_removed_by_the_next(store, instance_id):
    """Also when both are written together."""
    keep, drop = a_timer(0), a_timer(1)
    waiting = [
        store.commit(
            a_commit(instance_id, 1)._replace(
                timers=TimerChanges((keep, drop), ()), next_timer_seq=2
            )
        ),
        store.commit(
            a_commit(instance_id, 2)._replace(timers=TimerChanges((), (1,)), next_timer_seq=2)
        ),
    ]
    await asyncio.gather(*waiting)
    assert (await store.claim_by_id(instance_id)).timers == (keep,)


async def test_bytes_and_names_come_back_as_they_were(store, ground):
    """Large snapshots, bytes that are no text, and every character a name may have."""
    name = "aZ09_.:@|~+-"
    instance_id = await create_instance(store, ground, name)
    entry = an_entry(2, snapshot=bytes(range(256)) * 4000, origin=Origin.TIMER)
    use = KeyUse('k"\u00e9\U0001f511', b"\0hash", b"\0answer", 9e15)
    await store.commit(a_commit(instance_id, 1)._replace(entries=(entry,), keys=(use,)))
    assert (await store.claim(ground.key(name))).snapshot == entry.snapshot
    assert (await store.find_key(instance_id, use.key, now_ms=0)).answer == b"\0answer"


async def test_an_instance_is_found_in_its_own_machine_only(store, ground, instance_id):
    """Neither under another machine nor in another organization, whatever the names."""
    other_machine = await lay_ground(store, machine="other")
    other_organization = await lay_ground(store, organization="rival")
    assert other_organization.machine.name == ground.machine.name
    assert await store.claim(other_machine.key("one")) is None
    assert await store.claim(other_organization.key("one")) is None
    theirs = await create_instance(store, other_organization, "one")
    assert (await store.claim(other_organization.key("one"))).id == theirs
    assert (await store.claim(ground.key("one"))).id == instance_id


async def test_status_changes_without_a_revision(store, instance_id):
    """And stays through further commits."""
    before = await store.claim_by_id(instance_id)
    await store.set_status(instance_id, InstanceStatus.PAUSED)
    assert await store.claim_by_id(instance_id) == before._replace(status=InstanceStatus.PAUSED)
    await store.commit(a_commit(instance_id, 1))
    assert (await store.claim_by_id(instance_id)).status is InstanceStatus.PAUSED
    await store.set_status(instance_id, InstanceStatus.RUNNING)
    assert (await store.claim_by_id(instance_id)).status is InstanceStatus.RUNNING
    await store.set_status(InstanceId(10**9), InstanceStatus.PAUSED)


async def transitions(store, instance_id):
    """The newest page."""
    return (await store.list_transitions(instance_id, cursor=None)).items

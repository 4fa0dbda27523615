"""What stores promise about journals that are not kept for ever."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta

import pytest

from statekeep.domain.errors import HistoryGone
from statekeep.domain.retention import (
    JournalBounds,
    JournalCut,
    JournalExtent,
    LogBounds,
    MachineLogAge,
    Retention,
)
from tests.support.builders import (
    NOW_MS,
    a_commit,
    create_instance,
    create_instances,
    lay_ground,
)


def up_to(revision):
    return JournalCut(revision, -math.inf)


async def grow(store, instance_id, entries, base=1):
    """A journal of that many entries and those before it, in commits of fifty."""
    for first in range(base, base + entries, 50):
        count = min(50, base + entries - first)
        await store.commit(a_commit(instance_id, first, entries=count))


async def listed(store, instance_id):
    revisions, cursor = [], None
    while True:
        page = await store.list_transitions(instance_id, cursor=cursor)
        revisions += [transition.revision for transition in page.items]
        cursor = page.cursor
        if cursor is None:
            return revisions


async def followed(store, instance_id, revision):
    portions = [part async for part in store.transitions_after(instance_id, revision)]
    return [transition.revision for part in portions for transition in part]


async def extents(store, ground):
    return await store.journal_extents(ground.machine.id, after=None, limit=10)


@pytest.mark.parametrize("length", [2, 10, 255, 256, 257, 600])
@pytest.mark.parametrize("kept", [1, 5, 256, 300])
async def test_what_has_to_go_goes_and_the_rest_is_whole(store, ground, length, kept):
    """Wherever the cut is; neighbours keep everything."""
    one, two = await create_instances(store, ground, ["one", "two"])
    await grow(store, one, length - 1)
    await grow(store, two, 1)
    oldest = max(1, length - kept + 1)
    assert await store.cut_journal(one, up_to(oldest - 1)) == oldest - 1
    assert await listed(store, one) == list(range(length, oldest - 1, -1))
    assert await followed(store, one, oldest - 1) == list(range(oldest, length + 1))
    assert await listed(store, two) == [2, 1]
    assert await store.cut_journal(one, up_to(oldest - 1)) == 0


async def test_the_newest_entry_always_stays(store, ground, instance_id):
    """Whatever has to go, and the instance goes on from it."""
    await grow(store, instance_id, 5)
    assert await store.cut_journal(instance_id, JournalCut(10**9, math.inf)) == 5
    assert await store.cut_journal(instance_id, JournalCut(10**9, math.inf)) == 0
    claimed = await store.claim(ground.key())
    assert (claimed.revision, claimed.snapshot) == (6, b'{"value":6}')
    await store.commit(a_commit(instance_id, 6))
    assert await listed(store, instance_id) == [7, 6]


async def test_old_entries_go_by_their_time(store, instance_id):
    """To the last fraction of a millisecond."""
    await grow(store, instance_id, 9)
    assert await store.cut_journal(instance_id, JournalCut(0, NOW_MS + 0.004)) == 3
    assert await listed(store, instance_id) == [10, 9, 8, 7, 6, 5, 4]


async def test_a_list_ends_where_what_is_kept_does(store, instance_id):
    """Also one that was begun before: its pages have no more than is kept, and no gap."""
    await grow(store, instance_id, 249)
    first = await store.list_transitions(instance_id, cursor=None)
    await store.cut_journal(instance_id, up_to(120))
    second = await store.list_transitions(instance_id, cursor=first.cursor)
    assert [transition.revision for transition in second.items] == list(range(150, 120, -1))
    assert second.cursor is None
    await store.cut_journal(instance_id, up_to(200))
    gone = await store.list_transitions(instance_id, cursor=first.cursor)
    assert (list(gone.items), gone.cursor) == ([], None)


async def test_a_reader_is_told_of_what_is_gone(store, instance_id):
    """And where it could begin: it never gets a part as if it were the whole."""
    await grow(store, instance_id, 599)
    await store.cut_journal(instance_id, up_to(400))
    for revision in (0, 1, 399):
        with pytest.raises(HistoryGone, match="since 400"):
            await followed(store, instance_id, revision)
    assert await followed(store, instance_id, 400) == list(range(401, 601))
    assert await followed(store, instance_id, 600) == []
    assert await followed(store, instance_id, 10**9) == []


async def test_a_reader_whose_entries_go_meanwhile_has_no_gap(store, ground):
    """It gets everything, or what came first and then the error."""
    (number,) = await create_instances(store, ground, ["one"])
    await grow(store, number, 1_499)
    seen: list[int] = []
    is_gone = False
    try:
        async for portion in store.transitions_after(number, 0):
            if not seen:
                await store.cut_journal(number, up_to(700))
            seen += [transition.revision for transition in portion]
    except HistoryGone:
        is_gone = True
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) == 1_500 or is_gone


async def test_commits_go_on_meanwhile(store, ground):
    """Of this instance and of others; nothing of theirs is lost."""
    one, two = await create_instances(store, ground, ["one", "two"])
    await grow(store, one, 1_999)

    async def commit_on(instance_id, base):
        for revision in range(base, base + 100):
            await store.commit(a_commit(instance_id, revision))

    cut, *_ = await asyncio.gather(
        store.cut_journal(one, up_to(1_500)), commit_on(one, 2_000), commit_on(two, 1)
    )
    assert cut == 1_500
    assert await listed(store, one) == list(range(2_100, 1_500, -1))
    assert await listed(store, two) == list(range(101, 0, -1))


async def test_two_cuts_at_once_are_one(store, instance_id):
    """Or follow each other: what has to go by either is gone."""
    await grow(store, instance_id, 999)
    counts = await asyncio.gather(
        *(store.cut_journal(instance_id, up_to(revision)) for revision in (300, 700, 300))
    )
    await store.cut_journal(instance_id, up_to(700))
    assert sum(counts) in (300, 700)
    assert await listed(store, instance_id) == list(range(1_000, 700, -1))


async def test_a_deletion_takes_what_is_left(store, ground):
    """Before, after and beside a cut; the name begins anew."""
    (number,) = await create_instances(store, ground, ["one"])
    await grow(store, number, 1_199)
    await store.cut_journal(number, up_to(100))
    await asyncio.gather(store.cut_journal(number, up_to(1_000)), store.delete_instance(number))
    assert await listed(store, number) == []
    assert await store.cut_journal(number, up_to(1)) == 0
    assert await extents(store, ground) == []
    again = await create_instance(store, ground, "one")
    assert await followed(store, again, 0) == [1]


async def test_extents_tell_where_journals_begin_and_end(store, ground):
    """By number, page by page, of one machine."""
    other = await lay_ground(store, machine="other")
    one, two = await create_instances(store, ground, ["one", "two"])
    await create_instances(store, other, ["one"])
    await grow(store, two, 9)
    await store.cut_journal(two, up_to(4))
    whole = await extents(store, ground)
    assert [extent[:3] for extent in whole] == [(one, 1, 1), (two, 10, 5)]
    assert whole[1] == JournalExtent(two, 10, 5, NOW_MS + 0.005)
    assert NOW_MS <= whole[0].oldest_ts < NOW_MS + 1
    machine = ground.machine.id
    assert await store.journal_extents(machine, after=None, limit=1) == whole[:1]
    assert await store.journal_extents(machine, after=one, limit=1) == whole[1:]


async def test_what_was_chosen_is_kept(store, ground):
    """For each machine; nothing was where nothing is said."""
    other = await lay_ground(store, machine="other")
    assert await store.retention(ground.machine.id) == Retention()
    chosen = [
        Retention(JournalBounds(timedelta(days=30, milliseconds=1), 7)),
        Retention(JournalBounds()),
        Retention(JournalBounds(None, 1)),
        Retention(None, LogBounds()),
        Retention(JournalBounds(), LogBounds(timedelta(hours=1))),
        Retention(),
    ]
    for retention in chosen:
        await store.set_retention(ground.machine.id, retention)
        assert await store.retention(ground.machine.id) == retention
        found = await store.machine_retentions(after=0, limit=10)
        assert found == [(ground.machine.id, retention), (other.machine.id, Retention())]
    assert await store.machine_retentions(after=ground.machine.id, limit=1) == found[1:]
    await store.delete_machine(ground.machine.id)
    await store.set_retention(ground.machine.id, chosen[0])
    assert await store.retention(ground.machine.id) == Retention()


async def test_machines_with_log_ages_are_found(store):
    """Those of all organizations for which one was chosen, in pages, and no others."""
    chosen = [
        Retention(logs=LogBounds(timedelta(minutes=1))),
        Retention(logs=LogBounds()),
        Retention(),
        Retention(JournalBounds(timedelta(1), 1)),
        Retention(logs=LogBounds(timedelta(days=365, milliseconds=1))),
    ]
    expected = []
    for number, retention in enumerate(chosen):
        ground = await lay_ground(store, organization=f"org{number % 2}", machine=f"m{number}")
        machine = ground.machine
        await store.set_retention(machine.id, retention)
        if retention.logs is not None and retention.logs.max_age is not None:
            age = retention.logs.max_age
            expected.append(MachineLogAge(machine.id, machine.organization_id, machine.name, age))
    assert list(await store.machine_log_ages(after=0, limit=10)) == expected
    assert list(await store.machine_log_ages(after=0, limit=1)) == expected[:1]
    assert list(await store.machine_log_ages(after=expected[0].machine_id, limit=9)) == expected[1:]
    await store.set_retention(expected[0].machine_id, Retention())
    assert list(await store.machine_log_ages(after=0, limit=10)) == expected[1:]

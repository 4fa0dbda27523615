"""What reading a journal forwards promises."""

from __future__ import annotations

import asyncio
from itertools import chain

import pytest

from statekeep.domain.event import Origin
from statekeep.ports.store import Transition
from tests.support.builders import a_commit, an_entry, create_instances


async def read(store, instance_id, revision):
    portions = [list(portion) async for portion in store.transitions_after(instance_id, revision)]
    return list(chain.from_iterable(portions))


async def revisions(store, instance_id, revision):
    return [transition.revision for transition in await read(store, instance_id, revision)]


async def test_they_come_oldest_first_as_they_were_written(store, instance_id):
    """Those past the revision, and none of it or before."""
    await store.commit(a_commit(instance_id, 1, entries=4))
    entries = [an_entry(revision) for revision in (3, 4, 5)]
    expected = [Transition(e.revision, e.ts, e.event, e.snapshot) for e in entries]
    assert await read(store, instance_id, 2) == expected


@pytest.mark.parametrize("count", [254, 255, 256, 257, 511, 512, 513])
@pytest.mark.parametrize("after", [0, 1, 200])
async def test_a_long_journal_is_read_without_a_gap(store, ground, count, after):
    """Whatever lies between its entries, and wherever it is cut into portions."""
    one, other = await create_instances(store, ground, ["one", "other"])
    for base in range(1, count, 10):
        entries = min(10, count - base)
        await asyncio.gather(
            *(store.commit(a_commit(number, base, entries=entries)) for number in (one, other))
        )
    assert await revisions(store, one, after) == list(range(after + 1, count + 1))


async def test_there_may_be_nothing_new(store, instance_id):
    """Nor is it an error to ask for more than there is, or for an instance that is not there."""
    assert await revisions(store, instance_id, 1) == []
    assert await revisions(store, instance_id, 10**9) == []
    assert await revisions(store, store.new_instance_id(), 0) == []


async def test_housekeeping_is_left_out(store, instance_id):
    """It is no transition."""
    for base in range(1, 10):
        origin = Origin.HOUSEKEEPING if base % 2 else Origin.CLIENT
        entry = an_entry(base + 1, origin=origin)
        await store.commit(a_commit(instance_id, base)._replace(entries=(entry,)))
    assert await revisions(store, instance_id, 1) == [3, 5, 7, 9]


async def test_large_entries_come_a_few_at_a_time(store, instance_id):
    """So that a reader holds no more of them than it has to."""
    for base in range(1, 9):
        entry = an_entry(base + 1)._replace(snapshot=b'"%s"' % (b"x" * 200_000))
        await store.commit(a_commit(instance_id, base)._replace(entries=(entry,)))
    portions = [len(portion) async for portion in store.transitions_after(instance_id, 0)]
    assert sum(portions) == 9
    assert max(portions) <= 100


async def test_what_is_added_meanwhile_is_for_the_next_time(store, ground):
    """The reader gets what was there, and asks again from where that ended."""
    (number,) = await create_instances(store, ground, ["one"])
    for base in range(1, 600, 50):
        await store.commit(a_commit(number, base, entries=50))
    seen: list[int] = []
    async for portion in store.transitions_after(number, 0):
        if not seen:
            await store.commit(a_commit(number, 601))
        seen += [transition.revision for transition in portion]
    assert seen == list(range(1, 602))
    assert await revisions(store, number, 601) == [602]


async def test_a_deletion_ends_it(store, ground):
    """Without an error: whoever reads is told of the deletion elsewhere."""
    (number,) = await create_instances(store, ground, ["one"])
    for base in range(1, 1_200, 50):
        await store.commit(a_commit(number, base, entries=50))
    seen: list[int] = []
    async for portion in store.transitions_after(number, 0):
        seen += [transition.revision for transition in portion]
        await store.delete_instance(number)
    assert 0 < len(seen) < 1_201
    assert seen == list(range(1, len(seen) + 1))

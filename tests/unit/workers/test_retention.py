"""What does not have to be kept goes, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from statekeep.domain.retention import JournalBounds, Retention
from statekeep.storage.memory.store import MemoryStore
from statekeep.workers import retention as retention_module
from statekeep.workers.retention import RetentionWorker
from tests.support.builders import NOW_MS, a_commit, create_instances, lay_ground
from tests.support.world import until


class Clock:
    def __init__(self):
        self.ms = NOW_MS

    def now_ms(self):
        return self.ms


@pytest.fixture
async def store():
    """Two machines, with three instances of a hundred entries each."""
    store = MemoryStore()
    for machine in ("a", "b"):
        ground = await lay_ground(store, machine=machine)
        for instance_id in await create_instances(store, ground, ["one", "two", "three"]):
            await store.commit(a_commit(instance_id, 1, entries=99))
    return store


def lengths(store):
    return [len(stored.journal) for stored in store._instances.values()]


async def test_every_machine_has_its_own(store, monkeypatch):
    """Or the server's, where nothing was chosen; page by page."""
    monkeypatch.setattr(retention_module, "RETENTION_INSTANCES_AT_ONCE", 1)
    await store.set_retention(1, Retention(JournalBounds(None, 10)))
    assert await RetentionWorker(store, Clock(), default=JournalBounds()).sweep() == 270
    assert lengths(store) == [10, 10, 10, 100, 100, 100]
    default = RetentionWorker(store, Clock(), default=JournalBounds(None, 5))
    assert await default.sweep() == 285
    assert lengths(store) == [10, 10, 10, 5, 5, 5]
    await store.set_retention(2, Retention(JournalBounds()))
    assert await default.sweep() == 0


async def test_time_passes(store):
    """And what has become too old goes, but for the newest."""
    clock = Clock()
    worker = RetentionWorker(store, clock, default=JournalBounds(timedelta(minutes=1)))
    clock.ms += 61_000
    assert await worker.sweep() == 0
    clock.ms += 4_000
    assert await worker.sweep() == 6 * 99
    assert lengths(store) == [1] * 6


async def test_it_looks_when_it_is_woken(store):
    """And at the start; after a failure it goes on."""
    worker = RetentionWorker(store, Clock(), default=JournalBounds())
    working, store.machine_retentions = store.machine_retentions, None
    await worker.start()
    worker.look()
    await until(lambda: not worker._is_wanted.is_set())
    store.machine_retentions = working
    await store.set_retention(1, Retention(JournalBounds(None, 1)))
    worker.look()
    await until(lambda: lengths(store)[0] == 1)
    await worker.stop()
    await worker.stop()

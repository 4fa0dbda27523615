"""Old log entries are removed."""

from __future__ import annotations

from datetime import timedelta

from statekeep.domain.log import LogSelection
from statekeep.domain.names import MachineName, OrganizationId
from statekeep.domain.retention import LogBounds, Retention
from statekeep.storage.memory.store import MemoryStore
from statekeep.workers import log_retention
from statekeep.workers.log_retention import LogRetention
from tests.support.builders import a_log_entry, lay_ground
from tests.support.clock import FakeClock
from tests.support.world import until


async def test_a_sweep_removes_what_is_old_or_too_much():
    """By the settings."""
    store, clock = MemoryStore(), FakeClock()
    now = int(clock.now_ms())
    entries = [a_log_entry(now - 60_001)] + [a_log_entry(now + number) for number in range(5)]
    await store.append_logs(entries)
    bytes_max = 2 * entries[0].size_bytes
    retention = LogRetention(
        store, clock, kept_for=timedelta(minutes=1), organization_bytes_max=bytes_max
    )
    await retention.sweep()
    kept = await store.read_logs(OrganizationId("org_acme"), LogSelection(0), limit=9)
    assert [entry.ts_ms for entry in kept] == [now + 3, now + 4]


async def kept_texts(store):
    found = await store.read_logs(OrganizationId("org_acme"), LogSelection(0), limit=100)
    return [entry.text for entry in found]


async def test_a_machine_keeps_its_entries_for_a_time_of_its_own(monkeypatch):
    """And never for longer than all others; page by page."""
    monkeypatch.setattr(log_retention, "LOG_AGES_AT_ONCE", 1)
    store, clock = MemoryStore(), FakeClock()
    now = int(clock.now_ms())
    ages = {
        "short": timedelta(seconds=5),
        "none": None,
        "long": timedelta(1),
        "brief": timedelta(0),
    }
    for machine, age in ages.items():
        ground = await lay_ground(store, machine=machine)
        bounds = None if age is None else LogBounds(age)
        await store.set_retention(ground.machine.id, Retention(logs=bounds))
    for seconds in (61, 6, 4):
        for machine in ages:
            entry = a_log_entry(now - seconds * 1000, text=f"{machine} {seconds}")
            await store.append_logs([entry._replace(machine_name=MachineName(machine))])
    worker = LogRetention(store, clock, kept_for=timedelta(minutes=1), organization_bytes_max=10**6)
    await worker.sweep()
    assert sorted(await kept_texts(store)) == ["long 4", "long 6", "none 4", "none 6", "short 4"]


async def test_it_looks_when_it_is_asked_to():
    """Not only a minute later."""
    store, clock = MemoryStore(), FakeClock()
    worker = LogRetention(store, clock, kept_for=timedelta(1), organization_bytes_max=10**6)
    await store.append_logs([a_log_entry(1)])
    await worker.start()
    worker.look()
    await until(lambda: not store._logs[OrganizationId("org_acme")].entries)
    await worker.stop()


async def test_it_can_be_stopped_twice():
    """Whether it was started or not."""
    retention = LogRetention(
        MemoryStore(), FakeClock(), kept_for=timedelta(1), organization_bytes_max=1
    )
    await retention.stop()
    await retention.start()
    await retention.stop()
    await retention.stop()

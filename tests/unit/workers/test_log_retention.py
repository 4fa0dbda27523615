"""Old log entries are removed."""

from __future__ import annotations

from datetime import timedelta

from statekeep.domain.log import LogSelection
from statekeep.domain.names import OrganizationId
from statekeep.storage.memory.store import MemoryStore
from statekeep.workers.log_retention import LogRetention
from tests.support.builders import a_log_entry
from tests.support.clock import FakeClock


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


async def test_it_can_be_stopped_twice():
    """Whether it was started or not."""
    retention = LogRetention(
        MemoryStore(), FakeClock(), kept_for=timedelta(1), organization_bytes_max=1
    )
    await retention.stop()
    await retention.start()
    await retention.stop()
    await retention.stop()

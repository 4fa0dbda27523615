"""The writer of log entries: batches, bounds, and what happens where nothing can be written."""

from __future__ import annotations

import asyncio
import logging

import pytest

from statekeep.domain import limits
from statekeep.domain.errors import Overloaded
from statekeep.domain.instance import InstanceKey
from statekeep.domain.log import LogSelection, size_of
from statekeep.domain.machine import Machine
from statekeep.domain.names import InstanceName, MachineName
from statekeep.domain.rates import Rate
from statekeep.storage.memory.store import MemoryStore
from statekeep.workers.log_writer import LogWriter
from tests.support.builders import NOW, a_version, an_organization
from tests.support.clock import FakeClock


class Store(MemoryStore):
    """Knows its batches, and fails when a test says so."""

    def __init__(self):
        super().__init__()
        self.batches = []
        self.error = None
        self.is_written = asyncio.Event()
        self.is_writing = asyncio.Event()
        self.may_write = asyncio.Event()
        self.may_write.set()

    async def append_logs(self, entries):
        self.is_writing.set()
        await self.may_write.wait()
        if self.error is not None:
            raise self.error
        await super().append_logs(entries)
        self.batches.append(list(entries))
        self.is_written.set()


class Pauses:
    """Time passes when a test says so."""

    def __init__(self):
        self.asked: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()

    async def __call__(self, seconds):
        over = asyncio.Event()
        self.asked.put_nowait((seconds, over))
        await over.wait()

    async def end_next(self):
        """Wait until somebody pauses, and end that; returns for how many seconds it was."""
        seconds, over = await self.asked.get()
        over.set()
        return seconds


class Bench:
    """A writer, with everything it depends on in the hands of a test."""

    def __init__(self, rate=limits.LOG_RATE):
        self.store, self.clock, self.pauses = Store(), FakeClock(), Pauses()
        self.writer = LogWriter(
            self.store, self.clock, now=lambda: self.clock.now_s, pause=self.pauses, rate=rate
        )

    def write(self, text="hello", *, organization="acme", version="first", ts=None):
        machine = Machine(1, an_organization(organization).id, MachineName("toggle"), (), NOW, None)
        instance = InstanceKey(machine.organization_id, machine.name, InstanceName("one"))
        self.writer.write(
            a_version(machine, version),
            instance,
            is_error=False,
            ts=self.clock.now_ms() if ts is None else ts,
            text=text,
        )

    async def entries(self, organization="acme"):
        return await self.store.read_logs(
            an_organization(organization).id, LogSelection(0), limit=100_000
        )

    async def texts(self, organization="acme"):
        return [entry.text for entry in await self.entries(organization)]


@pytest.fixture
async def bench():
    return Bench()


@pytest.fixture
async def started(bench):
    """One whose writer runs."""
    await bench.writer.start()
    yield bench
    bench.store.error = None
    await bench.writer.stop()


async def test_what_arrives_within_the_interval_is_one_batch(started):
    """Written a fifth of a second after the first of it."""
    started.write("one")
    _, over = await started.pauses.asked.get()
    started.write("two")
    assert started.store.batches == []
    over.set()
    await started.store.is_written.wait()
    assert await started.texts() == ["one", "two"]
    assert len(started.store.batches) == 1


async def test_nothing_is_done_while_nothing_is_printed(started):
    """The next entry begins the next interval."""
    started.write("one")
    assert await started.pauses.end_next() == limits.LOG_WRITE_INTERVAL.total_seconds()
    await started.store.is_written.wait()
    assert started.pauses.asked.empty()
    started.store.is_written.clear()
    started.write("two")
    await started.pauses.end_next()
    await started.store.is_written.wait()
    assert await started.texts() == ["one", "two"]


async def test_an_entry_says_where_it_comes_from_and_when(bench):
    """The time is the host's where that is believable."""
    now = int(bench.clock.now_ms())
    for ts in (now - 300.5, now + 9_999, now - 3_600_000, -1e300, 1e300):
        bench.write(ts=ts)
    await bench.writer.flush()
    (first, *others) = await bench.entries()
    assert first[:6] == (now - 301, "org_acme", "toggle", "one", "ver_toggle_first", False)
    assert {entry.ts_ms for entry in others} == {now}


async def test_a_large_crowd_is_written_in_batches(bench):
    """None of them larger than one transaction may be."""
    for number in range(limits.LOG_BATCH_ENTRIES_MAX + 5):
        bench.write(str(number))
    await bench.writer.flush()
    assert [len(batch) for batch in bench.store.batches] == [limits.LOG_BATCH_ENTRIES_MAX, 5]
    for _ in range(40):
        bench.write("x" * 60_000)
    await bench.writer.flush()
    sizes = [sum(entry.size_bytes for entry in batch) for batch in bench.store.batches[2:]]
    assert max(sizes) < limits.LOG_BATCH_BYTES_MAX + limits.LOG_ENTRY_BYTES_MAX
    assert len(sizes) == 3


async def test_an_organization_over_its_rate_loses_entries_and_is_told(started):
    """One word about all of them, by version; nobody else loses anything."""
    started.writer._rate = Rate(size_of("x"), 3 * size_of("x"))
    for _ in range(10):
        started.write("x")
    started.write("x", version="second")
    started.write("theirs", organization="rival")
    await started.pauses.end_next()
    await started.store.is_written.wait()
    texts = await started.texts()
    assert texts[:3] == ["x"] * 3
    assert [text.split(":")[0] for text in texts[3:]] == [
        "(7 entries were dropped",
        "(1 entry was dropped",
    ]
    assert [entry.version_id for entry in (await started.entries())[3:]] == [
        "ver_toggle_first",
        "ver_toggle_second",
    ]
    assert await started.texts("rival") == ["theirs"]


async def test_a_bucket_fills_again(bench):
    """By as much as its rate allows."""
    bench.writer._rate = Rate(size_of("x"), 3 * size_of("x"))
    for _ in range(5):
        bench.write("x")
    bench.clock.advance(seconds=2.01)
    for _ in range(5):
        bench.write("y")
    await bench.writer.flush()
    assert await bench.texts() == ["x", "x", "x", "y", "y"]


async def test_losses_are_told_once_a_second(started):
    """However often entries are written."""
    started.writer._rate = Rate(1, 3 * size_of("x"))

    async def crowd():
        for _ in range(5):
            started.write("x")
        await started.pauses.end_next()

    await crowd()
    await started.store.is_written.wait()
    started.store.is_written.clear()
    started.clock.advance(seconds=0.9)
    await crowd()
    # Nothing was written, and yet there is something to write soon.
    _, over = await started.pauses.asked.get()
    for _ in range(5):
        started.write("x")
    started.clock.advance(seconds=0.1)
    over.set()
    await started.store.is_written.wait()
    told = [text for text in await started.texts() if "dropped" in text]
    assert [text.split()[0] for text in told] == ["(2", "(10"]


async def test_what_waits_is_bounded(bench):
    """For each organization, whatever its rate is, and for all together."""
    bench.writer._rate = Rate(1e12, 10**12)
    size, text = size_of("x" * 50_000), "x" * 50_000
    share = limits.LOG_WAITING_BYTES_MAX // size
    for _ in range(share + 10):
        bench.write(text)
    assert len(bench.writer._waiting) == share
    for number in range(10):
        for _ in range(share):
            bench.write(text, organization=f"o{number}")
    assert bench.writer._waiting_bytes <= limits.LOG_WAITING_TOTAL_BYTES_MAX
    assert bench.writer._waiting_bytes + size > limits.LOG_WAITING_TOTAL_BYTES_MAX
    await bench.writer.flush()
    assert bench.writer._waiting_bytes == 0
    bench.write("again")
    await bench.writer.flush()
    assert (await bench.texts())[-1] == "again"


async def test_entries_wait_for_room_on_the_disk(started, caplog):
    """In their order; the server's log says it once."""
    started.store.error = Overloaded("the server's disk is full")
    started.write("one")
    for pause in (limits.LOG_WRITE_INTERVAL, limits.LOG_RETRY_AFTER, limits.LOG_WRITE_INTERVAL):
        assert await started.pauses.end_next() == pause.total_seconds()
    _, over = await started.pauses.asked.get()
    started.write("two")
    started.store.error = None
    over.set()
    await started.pauses.end_next()
    await started.store.is_written.wait()
    assert await started.texts() == ["one", "two"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_batch_that_can_never_be_written_does_not_block_others(bench):
    """It is lost, and told."""
    bench.store.error = RuntimeError("no such encoding")
    bench.write("bad")
    assert await bench.writer.flush()
    bench.store.error = None
    await bench.writer.start()
    bench.write("good")
    await bench.writer.stop()
    assert await bench.texts() == [
        "good",
        "(1 entry was dropped: they came faster than they can be kept)",
    ]


async def test_stopping_writes_what_waits(started):
    """Without waiting for the interval; a second stop does nothing."""
    started.write("one")
    await started.pauses.asked.get()
    started.write("two")
    await started.writer.stop()
    await started.writer.stop()
    assert await started.texts() == ["one", "two"]


async def test_stopping_waits_for_the_batch_under_way(started):
    """Nothing is written twice, and nothing is lost."""
    started.store.may_write.clear()
    started.write("one")
    await started.pauses.end_next()
    await started.store.is_writing.wait()
    started.write("two")
    stopping = asyncio.create_task(started.writer.stop())
    await asyncio.sleep(0)
    started.store.may_write.set()
    await stopping
    assert await started.texts() == ["one", "two"]


async def test_stopping_gives_up_where_there_is_no_room(started, caplog):
    """The server's log says how much is lost."""
    started.store.error = Overloaded("full")
    started.write("one")
    await started.writer.stop()
    assert "1 log entries could not be written and are lost" in caplog.text


async def test_who_has_nothing_waiting_is_forgotten(started):
    """Memory does not grow with the number of organizations."""
    for number in range(50):
        started.write(organization=f"o{number}")
    await started.pauses.end_next()
    await started.store.is_written.wait()
    started.store.is_written.clear()
    started.clock.advance(seconds=60)
    started.write()
    await started.pauses.end_next()
    await started.store.is_written.wait()
    assert len(started.writer._shares) <= 1

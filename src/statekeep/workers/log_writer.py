"""Writes the output and the failures of author code into the store, a batch at a time.

An entry costs whoever has it an append to a list, for its path is that of an event. What waits is bounded, for each organization by a rate
and by its size in memory; what comes on top is dropped, counted and told in an entry of its own. Nothing here ever fails or delays anybody
else: where the store has no room, entries wait for it until they are too many.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from statekeep.domain.errors import Overloaded
from statekeep.domain.instance import InstanceKey
from statekeep.domain.limits import (
    LOG_BATCH_BYTES_MAX,
    LOG_BATCH_ENTRIES_MAX,
    LOG_CLOCK_BELIEVED,
    LOG_DROPS_TOLD_EVERY,
    LOG_RATE,
    LOG_RETRY_AFTER,
    LOG_WAITING_BYTES_MAX,
    LOG_WAITING_TOTAL_BYTES_MAX,
    LOG_WRITE_INTERVAL,
)
from statekeep.domain.log import LogEntry, cut, size_of
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import OrganizationId, VersionId
from statekeep.domain.rates import Rate
from statekeep.ports.clock import Clock
from statekeep.ports.store import LogStore

_log = logging.getLogger(__name__)

_BELIEVED_MS: Final = LOG_CLOCK_BELIEVED.total_seconds() * 1000
_TOLD_EVERY: Final = LOG_DROPS_TOLD_EVERY.total_seconds()


class LogWriter:
    """The log that authors read through the API (ports.author_log.AuthorLog).

    `now` is in seconds and never goes back; `pause` waits for so many seconds.
    """

    def __init__(
        self,
        store: LogStore,
        clock: Clock,
        *,
        now: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rate: Rate = LOG_RATE,
    ) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._pause = pause
        self._rate = rate
        self._waiting: deque[LogEntry] = deque()
        self._waiting_bytes = 0
        self._shares: dict[OrganizationId, _Share] = {}
        self._is_wanted = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._is_failing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what waits. Safe to call twice."""
        task, self._task = self._task, None
        if task is None:
            return
        async with self._flushing:
            # Not in the middle of a batch: whether it was written would not be known.
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._tell_of_drops(at_once=True)
        if not await self.flush():
            _log.warning("%d log entries could not be written and are lost", len(self._waiting))

    def write(
        self,
        version: MachineVersion,
        instance: InstanceKey | None,
        *,
        is_error: bool,
        ts: float,
        text: str,
    ) -> None:
        """One piece of output, visible within a second unless it is one too many."""
        now_ms = self._clock.now_ms()
        # Nobody but the host says what time it was there, and author code is not far from it.
        written_at = int(ts if now_ms - _BELIEVED_MS < ts <= now_ms else now_ms)
        text = cut(text)
        entry = LogEntry(
            written_at,
            version.organization_id,
            version.machine_name,
            None if instance is None else instance.name,
            version.id,
            is_error,
            text,
            size_of(text),
        )
        share = self._shares.get(version.organization_id)
        if share is None:
            share = self._shares[version.organization_id] = _Share(self._rate)
        has_room = self._waiting_bytes + entry.size_bytes <= LOG_WAITING_TOTAL_BYTES_MAX
        if has_room and share.admits(entry.size_bytes, self._now()):
            self._keep(entry, share)
        else:
            share.drop(entry)
        self._is_wanted.set()

    def _keep(self, entry: LogEntry, share: _Share) -> None:
        self._waiting.append(entry)
        self._waiting_bytes += entry.size_bytes
        share.waiting_bytes += entry.size_bytes

    async def _run(self) -> None:
        while True:
            await self._is_wanted.wait()
            await self._pause(LOG_WRITE_INTERVAL.total_seconds())
            async with self._flushing:
                self._is_wanted.clear()
                self._tell_of_drops()
                is_written = await self.flush()
                self._forget_idle_shares()
            if not is_written:
                self._is_wanted.set()
                await self._pause(LOG_RETRY_AFTER.total_seconds())

    async def flush(self) -> bool:
        """Write what waits, in batches. False where the store has no room: then the rest goes on waiting."""
        while self._waiting:
            batch = self._take_batch()
            try:
                await self._store.append_logs(batch)
            except Overloaded as error:
                self._waiting.extendleft(reversed(batch))
                self._note_failure(error)
                return False
            except Exception:
                # It would fail again, and all that is behind it would wait for ever.
                _log.exception("%d log entries could not be written and are lost", len(batch))
                self._drop(batch)
            else:
                self._is_failing = False
            self._release(batch)
        return True

    def _take_batch(self) -> list[LogEntry]:
        batch: list[LogEntry] = []
        size = 0
        while self._waiting and len(batch) < LOG_BATCH_ENTRIES_MAX and size < LOG_BATCH_BYTES_MAX:
            entry = self._waiting.popleft()
            batch.append(entry)
            size += entry.size_bytes
        return batch

    def _release(self, batch: list[LogEntry]) -> None:
        for entry in batch:
            self._waiting_bytes -= entry.size_bytes
            self._shares[entry.organization_id].waiting_bytes -= entry.size_bytes

    def _note_failure(self, error: Overloaded) -> None:
        if not self._is_failing:
            _log.warning("log entries wait until they can be written: %s", error)
        self._is_failing = True

    def _drop(self, batch: list[LogEntry]) -> None:
        for entry in batch:
            self._shares[entry.organization_id].drop(entry)
        self._is_wanted.set()

    def _tell_of_drops(self, *, at_once: bool = False) -> None:
        now = self._now()
        for share in self._shares.values():
            if not share.dropped:
                continue
            if now - share.told_at < _TOLD_EVERY and not at_once:
                self._is_wanted.set()
                continue
            share.told_at = now
            for last, count in share.dropped.values():
                self._keep(_word_of_drops(last, count), share)
            share.dropped.clear()

    def _forget_idle_shares(self) -> None:
        now = self._now()
        self._shares = {
            organization_id: share
            for organization_id, share in self._shares.items()
            if not share.is_idle(now)
        }


class _Share:
    """What one organization may write, has waiting, and has lost. The bucket is kept as in application.rate_limits: when it is full again."""

    __slots__ = ("_depth", "_full_at", "_seconds_per_byte", "dropped", "told_at", "waiting_bytes")

    def __init__(self, rate: Rate) -> None:
        self._seconds_per_byte = 1 / rate.per_second
        self._depth = rate.burst / rate.per_second
        self._full_at = 0.0
        self.waiting_bytes = 0
        self.dropped: dict[VersionId, tuple[LogEntry, int]] = {}
        """By version the last that was dropped, and how many were."""
        self.told_at = -_TOLD_EVERY

    def admits(self, size: int, now: float) -> bool:
        """Take so many bytes out of the bucket, if they are in it and may wait."""
        full_at = max(self._full_at, now) + size * self._seconds_per_byte
        if full_at - now > self._depth or self.waiting_bytes + size > LOG_WAITING_BYTES_MAX:
            return False
        self._full_at = full_at
        return True

    def drop(self, entry: LogEntry) -> None:
        """Count an entry that will not be written."""
        _, count = self.dropped.get(entry.version_id, (entry, 0))
        self.dropped[entry.version_id] = (entry, count + 1)

    def is_idle(self, now: float) -> bool:
        """Is it as good as new?"""
        return self._full_at <= now and not self.waiting_bytes and not self.dropped


def _word_of_drops(last: LogEntry, count: int) -> LogEntry:
    what = "1 entry was" if count == 1 else f"{count} entries were"
    text = f"({what} dropped: they came faster than they can be kept)"
    return last._replace(instance_name=None, is_error=True, text=text, size_bytes=size_of(text))

"""Fires what is due.

Timers of the near future are kept in a heap, the rest stays in the store: a million pending ones cost nothing. The heap holds every living timer that is due
before `horizon`; the store is asked again when the horizon comes near. What becomes durable while it is being asked may be missing from the answer,
and is held at once. A timer in the heap may be gone by the time it fires; whether it is still pending is decided at delivery, by the instance.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Sequence
from typing import Final

from statekeep.application.instances import Instances
from statekeep.domain.errors import Overloaded, StatekeepError
from statekeep.domain.names import InstanceId
from statekeep.domain.timer import Timer
from statekeep.ports.clock import Clock
from statekeep.ports.store import DueTimer, InstanceStore

_log = logging.getLogger(__name__)

WINDOW_MS: Final = 60_000.0
"""How far ahead of the clock timers are held in memory."""
PAGE_TIMERS: Final = 1_000
HEAP_TIMERS_MAX: Final = 100_000
"""Timers in memory; a crowd due at once is taken in several helpings."""
FIRING_MAX: Final = 512
"""Timers delivered and not yet handled."""


class TimerService:
    """Delivers timers when they are due and again, with a pause, when that fails; after the last try they are dead letters."""

    def __init__(self, store: InstanceStore, clock: Clock, *, retry_after_seconds: float) -> None:
        self.instances: Instances
        self._store = store
        self._clock = clock
        self._retry_after_ms = retry_after_seconds * 1000
        self._heap: list[tuple[float, InstanceId, int]] = []
        self._held: set[tuple[InstanceId, int]] = set()
        self._in_flight: set[tuple[InstanceId, int]] = set()
        """Delivered and not yet handled: the store has them still."""
        self._has_to_begin_again = False
        self._horizon = 0.0
        self._reading_until = 0.0
        """How far ahead a read that is under way looks. It may have begun before what has become durable meanwhile."""
        self._last_read: DueTimer | None = None
        self._firing = asyncio.Semaphore(FIRING_MAX)
        self._retries: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; what became due while nobody ran fires at once."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Fire nothing more. Safe to call twice."""
        tasks = [*self._retries, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def schedule(self, instance_id: InstanceId, timers: tuple[Timer, ...]) -> None:
        """These timers have become durable."""
        held_until = max(self._horizon, self._reading_until)
        for timer in timers:
            if timer.due_at <= held_until:
                self._hold(timer.due_at, instance_id, timer.seq)
        self._changed.set()

    def look_again(self) -> None:
        """Timers have become durable that nobody could name, and some may have been due for long: read all from the beginning."""
        self._has_to_begin_again = True
        self._changed.set()

    def _hold(self, due_at: float, instance_id: InstanceId, seq: int) -> None:
        if (instance_id, seq) not in self._held:
            self._held.add((instance_id, seq))
            heapq.heappush(self._heap, (due_at, instance_id, seq))

    async def _run(self) -> None:
        while True:
            try:
                await self._look_ahead()
                await self._fire_due()
                await self._sleep()
            except asyncio.CancelledError:
                raise
            except Exception:
                _log.exception("timers could not be read; trying again")
                await asyncio.sleep(1)

    async def _look_ahead(self) -> None:
        """Read timers from the store until the window is covered or the heap is full."""
        until = self._clock.now_ms() + WINDOW_MS
        if self._has_to_begin_again:
            self._has_to_begin_again = False
            self._horizon, self._last_read = 0.0, None
        while self._horizon < until - WINDOW_MS / 2 and len(self._heap) < HEAP_TIMERS_MAX:
            page = await self._read(until)
            for timer in page:
                if (timer.instance_id, timer.seq) not in self._in_flight:
                    self._hold(timer.due_at, timer.instance_id, timer.seq)
            if len(page) < PAGE_TIMERS:
                self._horizon = until
                self._last_read = DueTimer(InstanceId(0), 0, until)
                return
            self._last_read = page[-1]
            self._horizon = page[-1].due_at

    async def _read(self, until: float) -> Sequence[DueTimer]:
        self._reading_until = until
        try:
            return await self._store.timers_due_before(
                until, after=self._last_read, limit=PAGE_TIMERS
            )
        finally:
            self._reading_until = 0.0

    async def _fire_due(self) -> None:
        now = self._clock.now_ms()
        while self._heap and self._heap[0][0] <= now:
            _, instance_id, seq = heapq.heappop(self._heap)
            self._held.discard((instance_id, seq))
            await self._deliver(instance_id, seq)

    async def _sleep(self) -> None:
        self._changed.clear()
        wake_at = self._horizon - WINDOW_MS / 2
        if self._heap:
            wake_at = min(wake_at, self._heap[0][0])
        seconds = max(0.0, (wake_at - self._clock.now_ms()) / 1000)
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _deliver(self, instance_id: InstanceId, seq: int) -> None:
        """Put a timer into its mailbox. One after the other, so that timers of one instance arrive as they are due."""
        await self._firing.acquire()

        self._in_flight.add((instance_id, seq))

        def on_handled(error: StatekeepError | None) -> None:
            self._in_flight.discard((instance_id, seq))
            self._firing.release()
            if error is not None:
                self._on_failed(instance_id, seq, error)

        is_posted = False
        try:
            is_posted = await self.instances.fire_timer(instance_id, seq, on_handled)
        except Exception as error:
            self._hold_back(instance_id, seq, error)
        finally:
            if not is_posted:
                self._in_flight.discard((instance_id, seq))
                self._firing.release()

    def _on_failed(self, instance_id: InstanceId, seq: int, error: StatekeepError) -> None:
        if isinstance(error, Overloaded):
            # No fault of the machine's, so it does not count: SPEC 6 bounds the tries of handling that throws, and of paused instances.
            self._hold_back(instance_id, seq, error)
            return
        task = asyncio.create_task(self._try_again(instance_id, seq, error.message))
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    async def _try_again(self, instance_id: InstanceId, seq: int, failure: str) -> None:
        try:
            timer = await self.instances.put_off_timer(
                instance_id,
                seq,
                due_at=self._clock.now_ms() + self._retry_after_ms,
                failure=failure,
            )
        except Exception as error:
            self._hold_back(instance_id, seq, error)
            return
        if timer is not None and not timer.is_dead:
            self.schedule(instance_id, (timer,))

    def _hold_back(self, instance_id: InstanceId, seq: int, why: Exception) -> None:
        """Try again later, without a word to the store: it may be what fails, and a restart fires what is due anyway."""
        _log.warning("a timer could not be delivered yet: %s", why)
        self._hold(self._clock.now_ms() + self._retry_after_ms, instance_id, seq)
        self._changed.set()

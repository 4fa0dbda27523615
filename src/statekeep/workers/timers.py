"""Fires what is due.

Timers of the near future are kept in a heap, the rest stays in the store: a million pending ones cost nothing. The heap holds every living timer that is due
before `horizon`, but for those that were turned away; the store is asked again when the horizon comes near. What becomes durable while it is being asked may be missing from the answer,
and is held at once. A timer in the heap may be gone by the time it fires; whether it is still pending is decided at delivery, by the instance.

One task reads and another fires, so that nothing is late because many are being read. Nothing fires past what has been read last: something that is due before it may not have been read yet.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from statekeep.application.instances import Instances
from statekeep.domain.errors import NotStored, Overloaded, StatekeepError
from statekeep.domain.limits import BURST_EVENTS_MAX
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.timer import TimerChanges
from statekeep.ports.clock import Clock
from statekeep.ports.store import DueTimer, InstanceStore
from statekeep.workers.crowds import Crowd, Due

_log = logging.getLogger(__name__)

WINDOW_MS: Final = 60_000.0
"""How far ahead of the clock timers are held in memory."""
PAGE_TIMERS: Final = 1_000
NEAR_MS: Final = 10_000.0
"""What is further ahead is read without hurry."""
REST_AFTER_PAGE: Final = 4
"""How many times as long as such a page took, processor and disk are left to others before the next."""
HEAP_TIMERS_MAX: Final = 100_000
"""Timers in memory; a crowd due at once is taken in several helpings."""
STALE_TIMERS_MAX: Final = 10_000
"""Cancelled timers in the heap, beyond as many as there are living ones, before it is made anew."""
HANDED_ON_AT_ONCE: Final = 1_000
"""Timers that are due given to their crowds before others get the event loop."""
FIRED_AT_ONCE: Final = BURST_EVENTS_MAX
"""Timers delivered before others get the event loop."""


def rest_after(page_seconds: float, *, ahead_ms: float) -> float:
    """Seconds to leave to others after a page that took so long and reached so far ahead of the clock."""
    return REST_AFTER_PAGE * page_seconds if ahead_ms > NEAR_MS else 0.0


class TimerService:
    """Delivers timers when they are due and again, with a pause, when that fails; after the last try they are dead letters."""

    def __init__(self, store: InstanceStore, clock: Clock, *, retry_after_seconds: float) -> None:
        self.instances: Instances
        self._store = store
        self._clock = clock
        self._retry_after_ms = retry_after_seconds * 1000
        self._heap: list[Due] = []
        self._held: dict[tuple[InstanceId, int], OrganizationId] = {}
        """Those in the heap that were not cancelled."""
        self._crowds: dict[OrganizationId, Crowd] = {}
        self._horizon = 0.0
        self._reading_until = 0.0
        """How far ahead a read that is under way looks. It may have begun before what has become durable meanwhile."""
        self._last_read: DueTimer | None = None
        self._has_to_read_again = False
        self._is_full = False
        """Was the heap too full to read on?"""
        self._retries: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        """There may be something to fire."""
        self._may_read = asyncio.Event()
        """There may be something to read, before the horizon comes near."""
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopped = False

    async def start(self) -> None:
        """Begin; what became due while nobody ran fires at once."""
        self._tasks = [
            asyncio.create_task(self._for_ever(self._read_ahead)),
            asyncio.create_task(self._for_ever(self._fire_and_sleep)),
        ]

    async def stop(self) -> None:
        """Fire nothing more. Safe to call twice."""
        self._is_stopped = True
        crowds = self._crowds.values()
        of_crowds = [it for crowd in crowds for it in (crowd.delivering, crowd.catching_up) if it]
        tasks = [*self._retries, *of_crowds, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def held(self) -> int:
        """Timers of the near future, messages that are due included. Those further ahead are in the store alone."""
        return len(self._held)

    def look_again(self) -> None:
        """Timers have become durable that nobody could name, and some may have been due for long: read all from the beginning."""
        self._has_to_read_again = True
        self._may_read.set()

    def schedule(
        self, organization_id: OrganizationId, instance_id: InstanceId, changes: TimerChanges
    ) -> None:
        """These changes to the timers of an instance have become durable."""
        held_until = max(self._horizon, self._reading_until)
        for timer in changes.set:
            if timer.due_at <= held_until:
                self._hold(timer.due_at, organization_id, instance_id, timer.seq)
        for seq in changes.removed:
            self._held.pop((instance_id, seq), None)
        if len(self._heap) > 2 * len(self._held) + STALE_TIMERS_MAX:
            self._heap = [entry for entry in self._heap if entry[1:] in self._held]
            heapq.heapify(self._heap)

    def _hold(
        self, due_at: float, organization_id: OrganizationId, instance_id: InstanceId, seq: int
    ) -> None:
        if (instance_id, seq) not in self._held:
            self._held[instance_id, seq] = organization_id
            heapq.heappush(self._heap, (due_at, instance_id, seq))
            self._changed.set()

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                _log.exception("timers could not be read or fired; trying again")
                await asyncio.sleep(1)

    async def _read_ahead(self) -> None:
        self._may_read.clear()
        await self._look_ahead()
        await self._sleep(self._may_read, None if self._is_full else self._horizon - WINDOW_MS / 2)

    async def _fire_and_sleep(self) -> None:
        self._changed.clear()
        # Where more is due, there is nothing to sleep for: it goes on once others had a turn.
        self._hand_on_due(at_most=HANDED_ON_AT_ONCE)
        await self._sleep(self._changed, self._heap[0][0] if self._may_fire() else None)

    async def _look_ahead(self) -> None:
        """Read timers from the store until the window is covered or the heap is full."""
        if self._has_to_read_again:
            # What is held or under way already is met again, which does nothing.
            self._has_to_read_again = False
            self._last_read, self._horizon = None, 0.0
        until = self._clock.now_ms() + WINDOW_MS
        while self._horizon < until - WINDOW_MS / 2:
            self._is_full = len(self._heap) >= HEAP_TIMERS_MAX
            if self._is_full:
                return
            begun = time.perf_counter()
            page = await self._read(until)
            for timer in page:
                self._hold(timer.due_at, timer.organization_id, timer.instance_id, timer.seq)
            is_last = len(page) < PAGE_TIMERS
            self._last_read = (
                DueTimer(InstanceId(0), 0, until, OrganizationId("")) if is_last else page[-1]
            )
            self._horizon = self._last_read.due_at
            self._changed.set()
            if not is_last:
                took = time.perf_counter() - begun
                ahead_ms = self._horizon - self._clock.now_ms()
                await asyncio.sleep(rest_after(took, ahead_ms=ahead_ms))

    async def _read(self, until: float) -> Sequence[DueTimer]:
        self._reading_until = until
        try:
            return await self._store.timers_due_before(
                until, after=self._last_read, limit=PAGE_TIMERS
            )
        finally:
            self._reading_until = 0.0

    def _hand_on_due(self, *, at_most: float = math.inf) -> None:
        """Give what is due to the crowds, or that much of it."""
        now = self._clock.now_ms()
        awake = set()
        handed_on = 0
        while handed_on < at_most and self._may_fire() and self._heap[0][0] <= now:
            handed_on += 1
            due = heapq.heappop(self._heap)
            organization_id = self._held.pop(due[1:], None)
            if organization_id is not None:
                crowd = self._crowd(organization_id)
                if crowd.is_behind or not crowd.add(*due[1:]):
                    crowd.turn_away(due)
                awake.add(organization_id)
        if self._is_full and len(self._heap) < HEAP_TIMERS_MAX:
            self._may_read.set()
        for organization_id in awake:
            self._go_on(organization_id)

    def _may_fire(self) -> bool:
        """Has everything been read that is due before the first in the heap?"""
        read = self._last_read
        if read is None or self._has_to_read_again or not self._heap:
            return False
        return self._heap[0] <= (read.due_at, read.instance_id, read.seq)

    def _crowd(self, organization_id: OrganizationId) -> Crowd:
        crowd = self._crowds.get(organization_id)
        if crowd is None:
            crowd = self._crowds[organization_id] = Crowd()
        return crowd

    def _go_on(self, organization_id: OrganizationId) -> None:
        crowd = self._crowds[organization_id]
        if self._is_stopped:
            return
        if crowd.may_catch_up:
            crowd.catching_up = asyncio.create_task(self._catch_up(organization_id, crowd))
        if crowd.is_ready and crowd.delivering is None:
            crowd.delivering = asyncio.create_task(self._deliver(organization_id, crowd))
        if crowd.is_empty:
            del self._crowds[organization_id]

    async def _sleep(self, awake: asyncio.Event, until_ms: float | None) -> None:
        """Until then, or until somebody says that there is something to do."""
        seconds = None if until_ms is None else max(0.0, (until_ms - self._clock.now_ms()) / 1000)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await awake.wait()

    async def _catch_up(self, organization_id: OrganizationId, crowd: Crowd) -> None:
        """Let as many wait as may of what an organization has due in the store, from the beginning. Where that is all, the crowd is not behind any more."""
        after: DueTimer | None = None
        try:
            is_over = False
            while not is_over:
                page = await self._store.timers_due_before(
                    self._clock.now_ms(), after=after, limit=PAGE_TIMERS
                )
                is_over = self._take_in(organization_id, crowd, page)
                after = page[-1] if page else None
        except Exception:
            _log.exception("timers that are due could not be read; trying again")
            await asyncio.sleep(1)
        finally:
            crowd.catching_up = None
            crowd.turned_away.clear()
        self._go_on(organization_id)

    def _take_in(
        self, organization_id: OrganizationId, crowd: Crowd, page: Sequence[DueTimer]
    ) -> bool:
        """Add what a page has of an organization. Was it the last, or does no more fit?"""
        # What has become due meanwhile is turned away like all else: it comes after this.
        self._hand_on_due()
        found = [
            (timer.due_at, timer.instance_id, timer.seq)
            for timer in page
            if timer.organization_id == organization_id
            # One that is held was put off.
            and (timer.instance_id, timer.seq) not in self._held
        ]
        is_last = len(page) < PAGE_TIMERS
        if is_last:
            found = sorted({*found, *crowd.turned_away})
        has_room = all(crowd.add(instance_id, seq) for _, instance_id, seq in found)
        crowd.is_behind = not (is_last and has_room)
        self._go_on(organization_id)
        return is_last or not has_room

    async def _deliver(self, organization_id: OrganizationId, crowd: Crowd) -> None:
        """Put what is due into its mailboxes. One after the other, so that timers of one instance arrive as they are due."""
        try:
            for fired in itertools.count(1):
                due = crowd.take()
                if due is None:
                    break
                await self._fire(organization_id, crowd, *due)
                if fired % FIRED_AT_ONCE == 0:
                    await asyncio.sleep(0)
        finally:
            crowd.delivering = None
        self._go_on(organization_id)

    async def _fire(
        self, organization_id: OrganizationId, crowd: Crowd, instance_id: InstanceId, seq: int
    ) -> None:
        def on_handled(error: StatekeepError | None) -> None:
            crowd.handled(instance_id, seq)
            if error is not None:
                self._on_failed(organization_id, instance_id, seq, error)
            if crowd.delivering is None:
                self._go_on(organization_id)

        is_posted = False
        try:
            is_posted = await self.instances.fire_timer(instance_id, seq, on_handled)
        except Exception as error:
            self._hold_back(organization_id, instance_id, seq, error)
        finally:
            if not is_posted:
                crowd.handled(instance_id, seq)

    def _on_failed(
        self,
        organization_id: OrganizationId,
        instance_id: InstanceId,
        seq: int,
        error: StatekeepError,
    ) -> None:
        if isinstance(error, Overloaded) and not isinstance(error, NotStored):
            # No fault of the machine's, so it does not count: SPEC 6 bounds the tries of handling that throws, and of paused instances.
            self._hold_back(organization_id, instance_id, seq, error)
            return
        if self._is_stopped:
            return
        task = asyncio.create_task(
            self._try_again(organization_id, instance_id, seq, error.message)
        )
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    async def _try_again(
        self, organization_id: OrganizationId, instance_id: InstanceId, seq: int, failure: str
    ) -> None:
        try:
            timer = await self.instances.put_off_timer(
                instance_id,
                seq,
                due_at=self._clock.now_ms() + self._retry_after_ms,
                failure=failure,
            )
        except Exception as error:
            self._hold_back(organization_id, instance_id, seq, error)
            return
        if timer is not None and not timer.is_dead:
            self.schedule(organization_id, instance_id, TimerChanges((timer,), ()))

    def _hold_back(
        self, organization_id: OrganizationId, instance_id: InstanceId, seq: int, why: Exception
    ) -> None:
        """Try again later, without a word to the store: it may be what fails, and a restart fires what is due anyway."""
        _log.warning("a timer could not be delivered yet: %s", why)
        self._hold(self._clock.now_ms() + self._retry_after_ms, organization_id, instance_id, seq)

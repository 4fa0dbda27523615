"""Fires what is due.

Timers of the near future are kept in a heap, the rest stays in the store: a million pending ones cost nothing. The heap holds every living timer that is due
before `horizon`, but for those that were turned away; the store is asked again when the horizon comes near. What becomes durable while it is being asked may be missing from the answer,
and is held at once. A timer in the heap may be gone by the time it fires; whether it is still pending is decided at delivery, by the instance.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Sequence
from typing import Final

from statekeep.application.instances import Instances
from statekeep.domain.errors import NotStored, Overloaded, StatekeepError
from statekeep.domain.limits import BURST_EVENTS_MAX
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.timer import TimerChanges
from statekeep.ports.clock import Clock
from statekeep.ports.store import DueTimer, InstanceStore
from statekeep.workers.crowds import Crowd

_log = logging.getLogger(__name__)

WINDOW_MS: Final = 60_000.0
"""How far ahead of the clock timers are held in memory."""
PAGE_TIMERS: Final = 1_000
HEAP_TIMERS_MAX: Final = 100_000
"""Timers in memory; a crowd due at once is taken in several helpings."""
STALE_TIMERS_MAX: Final = 10_000
"""Cancelled timers in the heap, beyond as many as there are living ones, before it is made anew."""
FIRED_AT_ONCE: Final = BURST_EVENTS_MAX
"""Timers delivered before others get the event loop."""


class TimerService:
    """Delivers timers when they are due and again, with a pause, when that fails; after the last try they are dead letters."""

    def __init__(self, store: InstanceStore, clock: Clock, *, retry_after_seconds: float) -> None:
        self.instances: Instances
        self._store = store
        self._clock = clock
        self._retry_after_ms = retry_after_seconds * 1000
        self._heap: list[tuple[float, InstanceId, int]] = []
        self._held: dict[tuple[InstanceId, int], OrganizationId] = {}
        """Those in the heap that were not cancelled."""
        self._crowds: dict[OrganizationId, Crowd] = {}
        self._horizon = 0.0
        self._reading_until = 0.0
        """How far ahead a read that is under way looks. It may have begun before what has become durable meanwhile."""
        self._last_read: DueTimer | None = None
        self._has_to_read_again = False
        self._retries: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False

    async def start(self) -> None:
        """Begin; what became due while nobody ran fires at once."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Fire nothing more. Safe to call twice."""
        self._is_stopped = True
        delivering = [crowd.delivering for crowd in self._crowds.values() if crowd.delivering]
        tasks = [*self._retries, *delivering, *([self._task] if self._task else [])]
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
        self._changed.set()

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

    async def _run(self) -> None:
        while True:
            try:
                await self._look_ahead()
                self._fire_due()
                await self._sleep()
            except asyncio.CancelledError:
                raise
            except Exception:
                _log.exception("timers could not be read; trying again")
                await asyncio.sleep(1)

    async def _look_ahead(self) -> None:
        """Read timers from the store until the window is covered or the heap is full."""
        if self._has_to_read_again:
            # What is held or under way already is met again, which does nothing.
            self._has_to_read_again = False
            self._last_read, self._horizon = None, 0.0
        until = self._clock.now_ms() + WINDOW_MS
        while self._horizon < until - WINDOW_MS / 2 and len(self._heap) < HEAP_TIMERS_MAX:
            page = await self._read(until)
            for timer in page:
                self._hold(timer.due_at, timer.organization_id, timer.instance_id, timer.seq)
            if len(page) < PAGE_TIMERS:
                self._horizon = until
                self._last_read = DueTimer(InstanceId(0), 0, until, OrganizationId(""))
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

    def _fire_due(self) -> None:
        now = self._clock.now_ms()
        awake = set()
        while self._heap and self._heap[0][0] <= now:
            _, instance_id, seq = heapq.heappop(self._heap)
            organization_id = self._held.pop((instance_id, seq), None)
            if organization_id is not None:
                self._crowd(organization_id).add(instance_id, seq)
                awake.add(organization_id)
        for organization_id in awake:
            self._go_on(organization_id)

    def _crowd(self, organization_id: OrganizationId) -> Crowd:
        crowd = self._crowds.get(organization_id)
        if crowd is None:
            crowd = self._crowds[organization_id] = Crowd()
        return crowd

    def _go_on(self, organization_id: OrganizationId) -> None:
        crowd = self._crowds[organization_id]
        if crowd.has_room_again():
            self._has_to_read_again = True
            self._changed.set()
        if crowd.is_ready and crowd.delivering is None and not self._is_stopped:
            crowd.delivering = asyncio.create_task(self._deliver(organization_id, crowd))
        if crowd.is_empty:
            del self._crowds[organization_id]

    async def _sleep(self) -> None:
        self._changed.clear()
        if self._has_to_read_again:
            return
        wake_at = self._horizon - WINDOW_MS / 2
        if self._heap:
            wake_at = min(wake_at, self._heap[0][0])
        seconds = max(0.0, (wake_at - self._clock.now_ms()) / 1000)
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

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
            crowd.handled(instance_id)
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
                crowd.handled(instance_id)

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

"""Fires what is due in virtual time: one timer after the other, in the order in which they are due."""

from __future__ import annotations

import asyncio
import heapq
from typing import Final

from statekeep.application.instances import Instances
from statekeep.domain.errors import StatekeepError
from statekeep.domain.limits import DELIVERY_RETRY_AFTER
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.timer import Timer, TimerChanges
from statekeep.testing.clock import VirtualClock

_RETRY_AFTER_MS: Final = DELIVERY_RETRY_AFTER.total_seconds() * 1000


class VirtualTimers:
    """The pending timers of a world, messages to other instances among them. What fails is tried again as on a server (SPEC 6)."""

    def __init__(self, clock: VirtualClock) -> None:
        self.instances: Instances
        self._clock = clock
        self._heap: list[tuple[float, InstanceId, int]] = []
        self._due_at: dict[tuple[InstanceId, int], float] = {}
        """Of those that were not cancelled."""

    def schedule(
        self, _organization: OrganizationId, instance_id: InstanceId, changes: TimerChanges
    ) -> None:
        """These changes have become durable."""
        for seq in changes.removed:
            self._due_at.pop((instance_id, seq), None)
        for timer in changes.set:
            self._hold(instance_id, timer)

    @property
    def next_due_ms(self) -> float | None:
        """When the next one is due; None where nothing is pending."""
        while self._heap:
            due_at, instance_id, seq = self._heap[0]
            if self._due_at.get((instance_id, seq)) == due_at:
                return due_at
            heapq.heappop(self._heap)
        return None

    async def fire_next(self) -> InstanceId:
        """Deliver the one that is due next and wait until it is handled; returns whose it was. One has to be pending."""
        assert self.next_due_ms is not None
        _, instance_id, seq = heapq.heappop(self._heap)
        del self._due_at[instance_id, seq]
        error = await self._delivered(instance_id, seq)
        if error is not None:
            await self._put_off(instance_id, seq, error)
        return instance_id

    async def _delivered(self, instance_id: InstanceId, seq: int) -> StatekeepError | None:
        """Why it could not be; None where it was, or is gone."""
        handled: asyncio.Future[StatekeepError | None]
        handled = asyncio.get_running_loop().create_future()

        def on_handled(error: StatekeepError | None) -> None:
            if not handled.done():
                handled.set_result(error)

        try:
            is_posted = await self.instances.fire_timer(instance_id, seq, on_handled)
        except StatekeepError as error:
            return error
        return await handled if is_posted else None

    async def _put_off(self, instance_id: InstanceId, seq: int, error: StatekeepError) -> None:
        again_at = self._clock.now_ms() + _RETRY_AFTER_MS
        timer = await self.instances.put_off_timer(
            instance_id, seq, due_at=again_at, failure=error.message
        )
        if timer is not None and not timer.is_dead:
            self._hold(instance_id, timer)

    def _hold(self, instance_id: InstanceId, timer: Timer) -> None:
        if not timer.is_dead:
            self._due_at[instance_id, timer.seq] = timer.due_at
            heapq.heappush(self._heap, (timer.due_at, instance_id, timer.seq))

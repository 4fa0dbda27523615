"""Children, and waiting until they have settled.

What must stay true here:

- a child that is gone without its last word is owed an error event, which comes before whatever else waits;
- nobody waits longer than the settle timeout, and children that are due as long after the newest event from outside are stopped;
- what idle children came to is durable before the turn ends.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from statekeep import crash_points
from statekeep.application.committing import Committing
from statekeep.application.replies import Replies
from statekeep.application.resident import Letter, Resident
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.turn import lost_child_delivery
from statekeep.ports.metrics import Metrics
from statekeep.ports.runtime import HostLost, Runtime


class Settling:
    """Brings instances with children to rest. `ensure_turn` hears of those about which there is something new. Made on a running loop."""

    def __init__(
        self,
        runtime: Runtime,
        committing: Committing,
        replies: Replies,
        metrics: Metrics,
        *,
        settle_timeout_seconds: float,
        ensure_turn: Callable[[Resident], None],
    ) -> None:
        self._runtime = runtime
        self._committing = committing
        self._replies = replies
        self._metrics = metrics
        self._settle_timeout = settle_timeout_seconds
        self._ensure_turn = ensure_turn
        self._loop = asyncio.get_running_loop()

    # Children

    async def perform_children(self, resident: Resident) -> None:
        """Have the children started that the newest durable revision asks for."""
        revision = resident.view.revision
        try:
            children = await self._runtime.perform_children(resident.version, resident.id, revision)
        except HostLost:
            self.children_lost(resident)
        else:
            crash_points.reach(crash_points.AMID_EFFECTS)
            resident.due, resident.live = children

    def children_lost(self, resident: Resident) -> None:
        """The host is gone: what was due is owed, and is delivered at once since somebody may wait for it."""
        resident.owed = (*resident.owed, *resident.due)
        resident.due = ()
        resident.live = 0
        if resident.owed:
            resident.has_to_recover = True
            self._ensure_turn(resident)

    def lose_children(self, resident: Resident, why: str) -> None:
        """End all children, and with them what is decided and not committed. Those that were due are owed their error events."""
        self._runtime.discard(resident.version, resident.id)
        self._replies.write_log(resident, f"the children were stopped: {why}")
        self.children_lost(resident)

    def remind(self, resident: Resident) -> None:
        """Put the error events of children that never answered before everything else."""
        resident.has_to_recover = False
        if resident.status is InstanceStatus.PAUSED:
            return
        owed, resident.owed = resident.owed, ()
        major = resident.version.xstate_major
        letters = [
            Letter(lost_child_delivery(child, "it never answered", xstate_major=major))
            for child in owed
        ]
        now = self._loop.time()
        for letter in letters:
            letter.posted_at = now
        resident.mailbox.extendleft(reversed(letters))

    # Waiting

    async def wait(self, resident: Resident) -> None:
        """Until something arrives, or somebody has waited long enough."""
        if resident.settle_deadline == math.inf:
            # A child that was idle has begun something by itself.
            resident.settle_deadline = self._loop.time() + self._settle_timeout
        # Who came first has waited longest.
        deadline = min([resident.settle_deadline, *[w.deadline for w in resident.waiters[:1]]])
        resident.wake = asyncio.Event()
        try:
            async with asyncio.timeout_at(deadline):
                await resident.wake.wait()
        except TimeoutError:
            await self._lapse(resident)
        finally:
            resident.wake = None

    async def _lapse(self, resident: Resident) -> None:
        now = self._loop.time()
        patient = [waiter for waiter in resident.waiters if waiter.deadline > now]
        for waiter in resident.waiters:
            if waiter.deadline <= now:
                self._metrics.settle_timeouts += 1
                self._replies.answer(resident, waiter.letter)
        resident.waiters = patient
        if resident.settle_deadline > now:
            return
        resident.settle_deadline = math.inf
        try:
            children = await self._runtime.stop_children(resident.version, resident.id)
        except HostLost:
            self.children_lost(resident)
            return
        # Whoever answered before it was stopped is not due any more: its event is in the mailbox.
        resident.owed = (*resident.owed, *resident.due)
        resident.due, resident.live = children

    # Settled

    async def finish(self, resident: Resident) -> None:
        """The instance has settled: keep what idle children came to, and answer."""
        if resident.live or (resident.committed_due and not resident.owed):
            await resident.all_committed()
            await self._keep_children(resident)
        if not resident.mailbox and not resident.due:
            resident.settle_deadline = math.inf
            waiters, resident.waiters = resident.waiters, []
            if waiters:
                crash_points.reach(crash_points.BEFORE_REPLY)
            now = self._loop.time()
            for waiter in waiters:
                self._metrics.settle_seconds.observe(now - waiter.since)
                self._replies.answer(resident, waiter.letter)

    async def _keep_children(self, resident: Resident) -> None:
        snapshot, view = resident.snapshot, resident.view.view
        if resident.live:
            try:
                snapshot, view = await self._runtime.save(resident.version, resident.id)
            except HostLost:
                self.children_lost(resident)
        due = (*resident.due, *resident.unanswered(resident.due))
        if not resident.is_void and (
            snapshot != resident.snapshot or due != resident.committed_due
        ):
            await asyncio.wait(
                [self._committing.submit_housekeeping(resident, snapshot, view, due)]
            )

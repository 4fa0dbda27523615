"""What follows from a commit: what is durable becomes visible, is performed and is answered; what could not be stored never happens.

What must stay true here:

- nothing is published, performed or answered before its commit is durable;
- a commit that fails takes everything computed on top of it along: the instance is void;
- the version of an instance changes once its upgrade is durable, and not before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from statekeep import crash_points
from statekeep.application.replies import Replies, mark
from statekeep.application.resident import Letter, Resident
from statekeep.domain.errors import AlreadyExists, NotStored, Overloaded, StatekeepError
from statekeep.domain.instance import InstanceView
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.step import ACTIONS, Effects
from statekeep.domain.timer import TimerChanges
from statekeep.ports.notifier import InstanceChanged, Notifier
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import ConflictingRevision
from statekeep.ports.tracing import Stage, Tracer

_log = logging.getLogger(__name__)

_GROWTH_BYTES: Final = 1024
"""By how much a snapshot may grow or shrink before the resident is weighed again."""


class Batch(NamedTuple):
    """What becomes visible with one commit, and who is told."""

    accepted: Sequence[tuple[Letter, InstanceView]]
    followers: Sequence[Letter]
    """Letters that changed nothing and are answered with what the others came to."""
    view: InstanceView
    is_silent: bool
    """Is it no transition, so that nobody is told?"""
    snapshot: bytes
    due: tuple[str, ...]
    effects: Effects
    timers: TimerChanges
    is_settled: bool
    upgraded_to: MachineVersion | None = None


class AfterCommit:
    """Hears of each commit of an instance, in order. `on_timers` hears of timers once they are durable, `on_growth` of residents whose size has
    changed, `void` of those whose commit failed, and why."""

    def __init__(
        self,
        runtime: Runtime,
        notifier: Notifier,
        replies: Replies,
        *,
        on_timers: Callable[[OrganizationId, InstanceId, TimerChanges], None],
        on_growth: Callable[[Resident], None],
        void: Callable[[Resident, StatekeepError], None],
        tracer: Tracer | None,
    ) -> None:
        self._runtime = runtime
        self._notifier = notifier
        self._replies = replies
        self._on_timers = on_timers
        self._on_growth = on_growth
        self._void = void
        self._tracer = tracer

    def on_committed(
        self, resident: Resident, batch: Batch, committing: asyncio.Future[None]
    ) -> None:
        """The oldest commit under way is durable, or failed: do what follows from it, at once."""
        resident.committing.popleft()
        error = committing.exception()
        if error is not None or resident.void_because is not None:
            self._on_commit_failed(resident, batch, error)
            return
        crash_points.reach(crash_points.AFTER_COMMIT_BEFORE_EFFECTS)
        if batch.upgraded_to is not None:
            self._change_version(resident, batch.upgraded_to)
        resident.snapshot = batch.snapshot
        resident.view = batch.view
        resident.committed_due = batch.due
        if abs(len(batch.snapshot) - resident.weighed_bytes) > _GROWTH_BYTES:
            self._on_growth(resident)
        self._publish(resident, batch)
        if self._tracer is not None:
            self._trace_commit(self._tracer, resident, batch)
        if batch.timers.set or batch.timers.removed:
            self._on_timers(resident.key.organization_id, resident.id, batch.timers)
        if batch.effects is ACTIONS:
            self._runtime.perform(resident.version, resident.id, resident.view.revision)
            crash_points.reach(crash_points.AMID_EFFECTS)
        self._replies.tell(resident, batch.accepted, batch.followers, batch.is_settled)

    def _change_version(self, resident: Resident, version: MachineVersion) -> None:
        """From now on the new version answers for it. Idle children go on from the snapshot, in a host of that version."""
        crash_points.reach(crash_points.AFTER_UPGRADE)
        self._runtime.discard(resident.version, resident.id)
        resident.due, resident.live = (), 0
        resident.version = version
        if resident.desired_version is not None and resident.desired_version.id == version.id:
            resident.desired_version = None
        resident.retry_upgrade()
        for letter in resident.mailbox:
            self._address(letter, version)

    def _address(self, letter: Letter, version: MachineVersion) -> None:
        """Each major of XState has its own name for the end of a child."""
        ended = letter.delivery.ended_child
        if ended is not None:
            event = self._runtime.done_event(version, ended.id, ended.output)
            letter.delivery = letter.delivery._replace(event=event)

    def _publish(self, resident: Resident, batch: Batch) -> None:
        if batch.is_silent:
            return
        try:
            self._notifier.publish(InstanceChanged(resident.id, batch.view.revision))
        except Exception:
            # The transition stands: its effects and its answers must not be lost with the news of it.
            _log.exception("subscribers could not be told of a transition")

    def _trace_commit(self, tracer: Tracer, resident: Resident, batch: Batch) -> None:
        mark([letter for letter, _ in batch.accepted], Stage.EFFECTS)
        if batch.timers.set:
            # Which of the batch's events set them is not known any more; nearly always there is one.
            causes = [letter.trace for letter, _ in batch.accepted if letter.trace is not None]
            if causes:
                tracer.caused(causes[-1], resident.id, batch.timers.set)

    def _on_commit_failed(
        self, resident: Resident, batch: Batch, error: BaseException | None
    ) -> None:
        if error is None:
            # Durable though the instance was given up meanwhile: whoever claims it again finds it changed.
            self._publish(resident, batch)
        elif isinstance(error, AlreadyExists):
            self._void(resident, error)
        else:
            self._void(resident, _not_stored(error))
        reason = resident.void_because
        assert reason is not None
        for letter in [*(letter for letter, _ in batch.accepted), *batch.followers]:
            self._replies.give_up(resident, letter, reason)


def _not_stored(error: BaseException) -> Overloaded:
    message = "the transition could not be stored; nothing changed"
    if isinstance(error, Overloaded | ConflictingRevision):
        return Overloaded(message)
    _log.error("a transition could not be stored", exc_info=error)
    return NotStored(message)

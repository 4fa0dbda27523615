"""From letters that wait to what is committed of them.

What must stay true here:

- each burst is decided on top of the head, and its commit submitted, before the next is taken;
- a step that touches children, or that is made while children live, waits for its commit and its effects before the next step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from statekeep.application.committing import Committing
from statekeep.application.replies import Replies, internal_error, mark
from statekeep.application.resident import Letter, Resident
from statekeep.application.settling import Settling
from statekeep.application.upgrades import is_ready
from statekeep.application.upgrading import Upgrading
from statekeep.domain.commit import NewInstance
from statekeep.domain.errors import InvalidState, Overloaded, StatekeepError
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceStatus, InstanceView
from statekeep.domain.limits import PIPELINED_BURSTS_MAX
from statekeep.domain.step import CHILDREN, Ignored, Later, Outcome, Refused, Stepped
from statekeep.domain.turn import CommitDraft
from statekeep.ports.clock import Clock
from statekeep.ports.runtime import Runtime
from statekeep.ports.tracing import Stage


class Deciding:
    """Has the runtime decide, and commits. `resume` hears of instances for which what is held can be tried again. Made on a running loop."""

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        committing: Committing,
        settling: Settling,
        upgrading: Upgrading,
        replies: Replies,
        *,
        resume: Callable[[Resident], None],
        is_tracing: bool,
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._committing = committing
        self._settling = settling
        self._upgrading = upgrading
        self._replies = replies
        self._resume = resume
        self._is_tracing = is_tracing
        self._loop = asyncio.get_running_loop()

    async def advance(self, resident: Resident) -> None:
        """Go on with what is in the mailbox: with an upgrade before it, or with a burst of it."""
        if resident.desired_version is not None:
            await self._upgrading.fulfil_wish(resident)
            if not resident.mailbox:
                return
        if resident.order is not None and is_ready(resident):
            await self._upgrading.carry_out(resident)
            if not resident.mailbox:
                return
        burst = self._admit(resident, resident.take_burst())
        if not burst:
            return
        if len(resident.committing) >= PIPELINED_BURSTS_MAX:
            await asyncio.wait([resident.committing[0]])
        if self._is_tracing:
            mark(burst, Stage.HOST)
        try:
            outcomes = await self._runtime.step(
                resident.version, resident.head(), [letter.delivery for letter in burst]
            )
        except StatekeepError as error:
            for letter in burst:
                self.fail(resident, letter, error)
            return
        except BaseException:
            for letter in burst:
                self._replies.give_up(resident, letter, StatekeepError("the event was given up"))
            raise
        if self._is_tracing:
            mark(burst, Stage.COMMIT)
        if resident.void_because is not None:
            for letter in burst:
                self._replies.give_up(resident, letter, resident.void_because)
            return
        await self.take(resident, burst, outcomes)

    def _admit(self, resident: Resident, burst: list[Letter]) -> list[Letter]:
        """Those letters that may be delivered now."""
        head = burst[0]
        seq = head.delivery.timer_seq
        if seq is not None and seq not in resident.timers:
            head.handled()
            head.end_trace()
            burst = burst[1:]
        if resident.status is InstanceStatus.RUNNING:
            return burst
        for letter in burst:
            if letter.delivery.origin in (Origin.CHILD, Origin.LOST_CHILD):
                resident.held.append(letter)
            else:
                self._replies.give_up(resident, letter, InvalidState("the instance is paused"))
        return []

    async def take(
        self,
        resident: Resident,
        burst: Sequence[Letter],
        outcomes: Sequence[Outcome],
        new: NewInstance | None = None,
    ) -> None:
        """Commit what was decided, and see to it that the rest follows."""
        try:
            await self._take_burst(resident, burst, outcomes, new)
        except BaseException:
            reason = internal_error()
            for letter in burst:
                self._replies.give_up(resident, letter, reason)
            raise

    async def _take_burst(
        self,
        resident: Resident,
        burst: Sequence[Letter],
        outcomes: Sequence[Outcome],
        new: NewInstance | None,
    ) -> None:
        is_host_astray = False
        draft = self._committing.draft(resident)
        accepted: list[tuple[Letter, InstanceView]] = []
        followers: list[Letter] = []
        now_ms = self._clock.now_ms()
        for n, (letter, outcome) in enumerate(zip(burst, outcomes, strict=True)):
            if isinstance(outcome, Stepped):
                try:
                    accepted.append((letter, draft.add(letter.delivery, outcome, now_ms=now_ms)))
                except StatekeepError as error:
                    is_host_astray = True
                    self.fail(resident, letter, error)
                    self._put_back(resident, burst[n + 1 :])
                    break
            elif isinstance(outcome, Later):
                self._put_back(resident, burst[n:])
                break
            elif isinstance(outcome, Ignored):
                followers.append(letter)
            elif isinstance(outcome, Refused):
                self._replies.refuse(resident, letter)
            else:
                self.fail(resident, letter, outcome.error)
        if draft.is_empty:
            await self._replies.answer_unchanged(resident, followers)
        else:
            await self._commit(resident, draft, accepted, followers, new)
        if is_host_astray:
            await self._lead_back(resident)

    async def _commit(
        self,
        resident: Resident,
        draft: CommitDraft,
        accepted: Sequence[tuple[Letter, InstanceView]],
        followers: Sequence[Letter],
        new: NewInstance | None,
    ) -> None:
        committing = self._committing.submit_draft(resident, draft, accepted, followers, new)
        if draft.effects is CHILDREN or draft.live:
            await asyncio.wait([committing])
            if draft.effects is CHILDREN and not resident.is_void:
                await self._settling.perform_children(resident)

    async def _lead_back(self, resident: Resident) -> None:
        """The host went on from a step that does not count: let it begin again from what does.

        First it performs what it decided before that step. Its children cannot be led back: they are lost.
        """
        await resident.all_committed()
        self._runtime.discard(resident.version, resident.id)
        self._settling.children_lost(resident)

    def _put_back(self, resident: Resident, letters: Sequence[Letter]) -> None:
        if self._is_tracing:
            mark(letters, Stage.MAILBOX)
        resident.mailbox.extendleft(reversed(letters))

    def fail(self, resident: Resident, letter: Letter, error: StatekeepError) -> None:
        """Nothing comes of the letter, unless no host could be had for what nobody will send again: that is held."""
        if isinstance(error, Overloaded) and letter.is_last_word:
            resident.held.append(letter)
            self._loop.call_later(error.retry_after_seconds, self._look_again, resident)
        else:
            self._replies.fail(resident, letter, error)

    def _look_again(self, resident: Resident) -> None:
        """No host could be had for what children sent, which nobody will send again."""
        if resident.status is InstanceStatus.RUNNING:
            self._resume(resident)

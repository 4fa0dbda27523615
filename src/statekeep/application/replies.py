"""What those who wait hear of their events, and what is counted of it.

What must stay true here:

- whoever waits hears once, and what they hear of an event that counts is durable;
- an event is counted when it is known what came of it: accepted once its commit is durable, whatever its sender hears afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from statekeep import crash_points
from statekeep.application.resident import Letter, Resident, Waiter
from statekeep.domain.errors import (
    MachineError,
    Overloaded,
    RejectedByMachineAuthorizer,
    StatekeepError,
)
from statekeep.domain.instance import InstanceView
from statekeep.ports.author_log import AuthorLog
from statekeep.ports.clock import Clock
from statekeep.ports.metrics import EventOutcome, Metrics
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import Store
from statekeep.ports.tracing import Stage


class Replies:
    """Answers letters, and tells authors what of theirs failed. Made on a running loop."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        clock: Clock,
        author_log: AuthorLog,
        metrics: Metrics,
        *,
        settle_timeout_seconds: float,
        is_tracing: bool,
    ) -> None:
        self._runtime = runtime
        self._store = store
        self._clock = clock
        self._author_log = author_log
        self._metrics = metrics
        self._accepted = metrics.events[EventOutcome.ACCEPTED]
        self._settle_timeout = settle_timeout_seconds
        self._is_tracing = is_tracing
        self._loop = asyncio.get_running_loop()
        self._background: set[asyncio.Future[None]] = set()

    # Of events that count

    def tell(
        self,
        resident: Resident,
        accepted: Sequence[tuple[Letter, InstanceView]],
        followers: Sequence[Letter],
        is_settled: bool,
    ) -> None:
        """The commit of these events is durable: answer those who need not wait any longer.

        `followers` changed nothing, and are answered with what the others came to.
        """
        if followers:
            self._reply_unchanged(resident, followers, resident.view)
        if is_settled:
            crash_points.reach(crash_points.BEFORE_REPLY)
        now = self._loop.time()
        deadline = now + self._settle_timeout
        counts, observe = self._accepted, self._metrics.event_seconds.observe
        for letter, view in accepted:
            counts[letter.delivery.origin] += 1
            observe(now - letter.posted_at)
            letter.is_recorded = True
            letter.handled()
            if is_settled:
                letter.reply(view)
            elif letter.answer is not None:
                resident.waiters.append(Waiter(letter, deadline, since=now))
        if self._metrics.by_machine is not None and accepted:
            count = len(accepted)
            self._metrics.count_machine(resident.version, EventOutcome.ACCEPTED, count)
        if self._is_tracing:
            _trace_answers(accepted, is_settled)

    def answer(self, resident: Resident, letter: Letter) -> None:
        """Answer with the newest state."""
        letter.reached(Stage.REPLY)
        if letter.key is not None:
            self._store_answer(resident, letter.key)
        letter.reply(resident.view)

    def _store_answer(self, resident: Resident, key: str) -> None:
        storing = asyncio.ensure_future(
            self._store.answer_key(resident.id, key, resident.view.to_json())
        )
        self._background.add(storing)
        storing.add_done_callback(self._background.discard)

    # Of events that changed nothing, and of failures

    async def answer_unchanged(self, resident: Resident, letters: Sequence[Letter]) -> None:
        """Answer letters that changed nothing with what is durable by now."""
        if not letters:
            return
        await resident.all_committed()
        try:
            if resident.void_because is not None:
                raise resident.void_because
            view = await self.view_of(resident)
        except StatekeepError as error:
            for letter in letters:
                self.give_up(resident, letter, error)
            return
        self._reply_unchanged(resident, letters, view)

    def _reply_unchanged(
        self, resident: Resident, letters: Sequence[Letter], view: InstanceView
    ) -> None:
        """Answer letters that changed nothing."""
        for letter in letters:
            self.count(resident, letter, EventOutcome.IGNORED)
            letter.reached(Stage.REPLY)
            letter.reply(view)
            letter.handled()
            letter.end_trace()

    def give_up(self, resident: Resident, letter: Letter, error: StatekeepError) -> None:
        """Nothing comes of the letter. Nothing is counted where it was answered before."""
        if letter.answer is None or not letter.answer.done():
            self.count(resident, letter, _outcome_of(error))
        letter.fail(error)

    def refuse(self, resident: Resident, letter: Letter) -> None:
        """The author's `allowWrite` does not allow it."""
        self.give_up(
            resident, letter, RejectedByMachineAuthorizer("the machine's allowWrite said no")
        )

    def fail(self, resident: Resident, letter: Letter, error: StatekeepError) -> None:
        """Nothing comes of the letter. Where the machine failed the author is told too."""
        self.give_up(resident, letter, error)
        if isinstance(error, MachineError):
            self.write_failure(resident, letter.delivery.event.type, error)

    def count(self, resident: Resident, letter: Letter, outcome: EventOutcome) -> None:
        """Count one event by what came of it."""
        self._metrics.events[outcome][letter.delivery.origin] += 1
        if self._metrics.by_machine is not None:
            self._metrics.count_machine(resident.version, outcome, 1)

    # What else is told

    async def view_of(self, resident: Resident) -> InstanceView:
        """The committed view, computed where nobody has needed it yet. For those who were allowed to write, or ask for an operator."""
        if not resident.view.view:
            standing = resident.committed()
            answer = await self._runtime.read(resident.version, standing, [])
            if resident.view.revision == standing.revision:
                resident.view = resident.view._replace(view=answer.view)
        return resident.view

    def write_failure(self, resident: Resident, what: str, error: MachineError) -> None:
        """Tell the author that `what` they have for an instance failed, with their stack."""
        text = f"{what}: {error.message}"
        self.write_log(resident, text if error.stack is None else f"{text}\n{error.stack}")

    def write_log(self, resident: Resident, text: str) -> None:
        """Put it into the author's log, as an error."""
        self._author_log.write(
            resident.version, resident.key, is_error=True, ts=self._clock.now_ms(), text=text
        )


def mark(letters: Sequence[Letter], stage: Stage) -> None:
    """Tell the traces of these letters."""
    for letter in letters:
        letter.reached(stage)


def internal_error() -> StatekeepError:
    """What those hear who waited for a turn that broke."""
    return StatekeepError("an internal error ended the instance's turn")


def _trace_answers(accepted: Sequence[tuple[Letter, InstanceView]], is_settled: bool) -> None:
    for letter, _ in accepted:
        if is_settled and letter.answer is not None:
            letter.reached(Stage.REPLY)
        letter.end_trace()


def _outcome_of(error: StatekeepError) -> EventOutcome:
    if isinstance(error, RejectedByMachineAuthorizer):
        return EventOutcome.REFUSED
    return EventOutcome.OVERLOADED if isinstance(error, Overloaded) else EventOutcome.FAILED

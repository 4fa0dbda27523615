"""Turns: how an instance moves.

An instance has one mailbox and at most one turn. The turn takes what waits, has the runtime decide, commits, makes it visible, performs, and goes on until nothing
waits and the instance has settled. `run_turn` is the only loop that moves a snapshot forward; a short turn is one round of it. What is done in a turn is in
`deciding.py` and `upgrading.py`, then `committing.py`, `after_commit.py` and `replies.py`, and in the end `settling.py`.

What must stay true here:

- a letter in a mailbox has a turn that will take it;
- an instance that is void takes nothing any more, and is claimed again by whoever needs it, once its turn has ended.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial

from statekeep.application.after_commit import AfterCommit
from statekeep.application.committing import Committing
from statekeep.application.deciding import Deciding
from statekeep.application.indexing import Indexing
from statekeep.application.replies import Replies, internal_error
from statekeep.application.resident import Letter, Resident, UpgradeOrder
from statekeep.application.settling import Settling
from statekeep.application.upgrades import Upgrades
from statekeep.application.upgrading import Upgrading
from statekeep.domain.commit import NewInstance
from statekeep.domain.errors import MachineError, Overloaded, StatekeepError
from statekeep.domain.instance import InstanceView
from statekeep.domain.limits import MAILBOX_LETTERS_MAX, PIPELINED_BURSTS_MAX
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.step import Failed, Outcome, Stepped
from statekeep.domain.timer import TimerChanges
from statekeep.ports.author_log import AuthorLog
from statekeep.ports.clock import Clock
from statekeep.ports.metrics import EventOutcome, Metrics
from statekeep.ports.notifier import Notifier
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import Store
from statekeep.ports.tracing import Stage, Tracer

_log = logging.getLogger(__name__)


class Turns:
    """Moves residents forward. `on_timers` hears of timers once they are durable, `on_growth` of residents whose size has
    changed, `on_void` of those that must not be used any more."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        notifier: Notifier,
        clock: Clock,
        author_log: AuthorLog,
        indexing: Indexing,
        *,
        settle_timeout_seconds: float,
        on_timers: Callable[[OrganizationId, InstanceId, TimerChanges], None],
        on_growth: Callable[[Resident], None],
        on_void: Callable[[Resident], None],
        upgrades: Upgrades | None = None,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        metrics = metrics or Metrics()
        is_tracing = tracer is not None
        self._runtime = runtime
        self._clock = clock
        self._on_void = on_void
        self._is_tracing = is_tracing
        self._replies = Replies(
            runtime,
            store,
            clock,
            author_log,
            metrics,
            settle_timeout_seconds=settle_timeout_seconds,
            is_tracing=is_tracing,
        )
        after_commit = AfterCommit(
            runtime,
            notifier,
            self._replies,
            on_timers=on_timers,
            on_growth=on_growth,
            void=self.void,
            tracer=tracer,
        )
        self._committing = Committing(
            store,
            clock,
            indexing,
            after_commit,
            settle_timeout_seconds=settle_timeout_seconds,
            void=self.void,
        )
        self._settling = Settling(
            runtime,
            self._committing,
            self._replies,
            metrics,
            settle_timeout_seconds=settle_timeout_seconds,
            ensure_turn=self.ensure_turn,
        )
        self._upgrading = Upgrading(upgrades, self._committing)
        self._deciding = Deciding(
            runtime,
            clock,
            self._committing,
            self._settling,
            self._upgrading,
            self._replies,
            resume=self.resume,
            is_tracing=is_tracing,
        )
        self._loop = asyncio.get_running_loop()
        self._beginning: list[Resident] = []
        """Residents whose turns begin in the next turn of the event loop."""
        self.on_left: Callable[[Resident], None] = lambda _: None
        """Hears of residents that were void and are forgotten now."""
        self.under_way: set[Resident] = set()
        """Residents with a turn."""

    @property
    def letters_waiting(self) -> int:
        """Events in mailboxes, and those that children sent and no host could be had for."""
        return sum(len(resident.mailbox) + len(resident.held) for resident in self.under_way)

    # The mailbox

    def post(self, resident: Resident, letter: Letter) -> None:
        """Put a letter into the mailbox. Raises Overloaded where that is full, and why the instance is void where it is."""
        if resident.void_because is not None:
            raise resident.void_because
        if len(resident.mailbox) >= MAILBOX_LETTERS_MAX:
            self._replies.count(resident, letter, EventOutcome.OVERLOADED)
            raise Overloaded("too many events wait for this instance")
        letter.posted_at = self._loop.time()
        if self._is_tracing:
            letter.reached(Stage.MAILBOX)
        resident.mailbox.append(letter)
        self.ensure_turn(resident)

    def upgrade(self, resident: Resident, target: MachineVersion) -> asyncio.Future[bool]:
        """Carry the instance over to that version as soon as what waits before it is handled, wished for or not.

        The answer is as UpgradeOrder says, and to cancel it calls the order off. Raises why the instance is void where it is.
        """
        if resident.void_because is not None:
            raise resident.void_because
        order = UpgradeOrder(target, self._loop.create_future())
        if resident.order is not None:
            order.reply(False)
        else:
            resident.order = order
            self.ensure_turn(resident)
        return order.answer

    def ensure_turn(self, resident: Resident) -> None:
        """Let the instance look at what is new. Nothing where it is void."""
        if resident.void_because is not None:
            return
        if resident.turn is None:
            self._take_turn(resident)
            if not self._beginning:
                self._loop.call_soon(self._begin_turns)
            self._beginning.append(resident)
        else:
            resident.wake_up()

    def begin(self, resident: Resident, letter: Letter, outcome: Outcome, new: NewInstance) -> None:
        """Take the initial macrostep of an instance that does not exist yet, and go on as after any other."""
        letter.posted_at = self._loop.time()
        self._take_turn(resident)
        self._on_decided(resident, letter, outcome, new)

    def refuse(self, resident: Resident, letter: Letter, outcome: Outcome) -> None:
        """The initial macrostep did not come about: tell why."""
        if isinstance(outcome, Failed):
            self._deciding.fail(resident, letter, outcome.error)
        else:
            self._replies.refuse(resident, letter)

    def resume(self, resident: Resident) -> None:
        """Go on with what waited: what children sent meanwhile, and the error events of those that were lost."""
        if not resident.held and not resident.owed:
            return
        resident.mailbox.extend(resident.held)
        resident.held.clear()
        resident.has_to_recover = bool(resident.owed)
        self.ensure_turn(resident)

    def lapse_all(self) -> None:
        """Let every instance that has not settled run out of time now."""
        for resident in self.under_way:
            resident.settle_deadline = -math.inf
            resident.wake_up()

    # Short turns: nearly all. The same as below without a task, for one event of an instance about which there is nothing else to do

    def _take_turn(self, resident: Resident) -> None:
        self.under_way.add(resident)
        resident.turn = self._loop.create_future()

    def _begin_turns(self) -> None:
        beginning, self._beginning = self._beginning, []
        for resident in beginning:
            try:
                is_short = self._is_asked_at_once(resident)
            except Exception as error:
                self._on_broken(resident, error)
                is_short = False
            if not is_short:
                self._lengthen(resident)

    def _is_asked_at_once(self, resident: Resident) -> bool:
        """Is the host asked about the one event that waits? What arrives together goes to the host together, and not on this way."""
        mailbox = resident.mailbox
        is_full = len(resident.committing) >= PIPELINED_BURSTS_MAX
        if len(mailbox) != 1 or is_full or not resident.is_plain:
            return False
        letter = mailbox[0]
        delivery = letter.delivery
        if delivery.timer_seq is not None and delivery.timer_seq not in resident.timers:
            return False
        then = partial(self._on_decided, resident, letter)
        if not self._runtime.step_at_once(resident.version, resident.head(), delivery, then):
            return False
        mailbox.popleft()
        if self._is_tracing:
            letter.reached(Stage.HOST)
        return True

    def _on_decided(
        self, resident: Resident, letter: Letter, outcome: Outcome, new: NewInstance | None = None
    ) -> None:
        first = None
        try:
            if self._is_tracing:
                letter.reached(Stage.COMMIT)
            if resident.void_because is not None:
                self._replies.give_up(resident, letter, resident.void_because)
            elif not self._is_committed_at_once(resident, letter, outcome, new):
                first = self._deciding.take(resident, [letter], [outcome], new)
        except Exception as error:
            self._on_broken(resident, error)
            self._replies.give_up(resident, letter, internal_error())
        if first is not None or resident.mailbox or not resident.is_plain:
            self._lengthen(resident, first)
        else:
            turn = resident.turn
            self._end_turn(resident)
            if turn is not None:
                turn.set_result(None)

    def _is_committed_at_once(
        self, resident: Resident, letter: Letter, outcome: Outcome, new: NewInstance | None
    ) -> bool:
        if type(outcome) is not Stepped or outcome.has_children:
            return False
        draft = self._committing.draft(resident)
        try:
            view = draft.add(letter.delivery, outcome, now_ms=self._clock.now_ms())
        except StatekeepError:
            return False
        self._committing.submit_draft(resident, draft, [(letter, view)], (), new)
        return True

    def _lengthen(
        self, resident: Resident, first: Coroutine[None, None, None] | None = None
    ) -> None:
        """Go on in a task."""
        short, resident.turn = resident.turn, self._loop.create_task(self._turn(resident, first))
        assert short is not None
        short.set_result(None)

    # Long turns

    async def _turn(
        self, resident: Resident, first: Coroutine[None, None, None] | None = None
    ) -> None:
        try:
            if first is not None:
                await first
            await self.run_turn(resident)
        except Exception as error:
            self._on_broken(resident, error)
        finally:
            self._end_turn(resident)

    async def run_turn(self, resident: Resident) -> None:
        """Go on until nothing waits and the instance has settled."""
        while not resident.is_void:
            if resident.owed and (resident.mailbox or resident.has_to_recover):
                self._settling.remind(resident)
            if resident.mailbox:
                await self._deciding.advance(resident)
            elif not resident.due:
                await self._settling.finish(resident)
                if not resident.mailbox and not resident.due:
                    if resident.order is None:
                        return
                    await self._upgrading.carry_out(resident)
            else:
                resident.put_order_off()
                await self._settling.wait(resident)

    def _end_turn(self, resident: Resident) -> None:
        resident.turn = None
        self.under_way.discard(resident)
        if resident.void_because is not None:
            self._leave(resident)

    # Void

    def _on_broken(self, resident: Resident, error: Exception) -> None:
        _log.error("the turn of an instance failed", exc_info=error)
        self.void(resident, internal_error())

    def void(self, resident: Resident, reason: StatekeepError) -> None:
        """Give up what is in memory: what waits fails, what was decided and not committed never happens.

        The instance leaves memory when its turn has ended: what a host still decides for it would otherwise stay there for ever, or
        meet what is decided for its successor.
        """
        if resident.is_void:
            return
        resident.void_because = reason
        waiters, resident.waiters = resident.waiters, []
        for waiter in waiters:
            # Its event is durable, and was counted.
            waiter.letter.fail(reason)
        for letter in [*resident.mailbox, *resident.held]:
            self._replies.give_up(resident, letter, reason)
        resident.put_order_off()
        resident.mailbox.clear()
        resident.held.clear()
        if resident.turn is None:
            self._leave(resident)
        else:
            resident.wake_up()

    def _leave(self, resident: Resident) -> None:
        self._runtime.discard(resident.version, resident.id)
        self._on_void(resident)
        self.on_left(resident)

    # What others ask for by the way

    def reindex(self, resident: Resident) -> asyncio.Future[None] | None:
        """Bring the index entries up to what applies now, as Committing.reindex says."""
        return self._committing.reindex(resident)

    def children_lost(self, resident: Resident) -> None:
        """The host is gone, and the children with it: go on as Settling.children_lost says."""
        self._settling.children_lost(resident)

    def lose_children(self, resident: Resident, why: str) -> None:
        """End all children, as Settling.lose_children says."""
        self._settling.lose_children(resident, why)

    def view_of(self, resident: Resident) -> Awaitable[InstanceView]:
        """The committed view, as Replies.view_of says."""
        return self._replies.view_of(resident)

    def write_failure(self, resident: Resident, what: str, error: MachineError) -> None:
        """Tell the author, as Replies.write_failure says."""
        self._replies.write_failure(resident, what, error)

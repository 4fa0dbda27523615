"""Turns: how an instance moves.

An instance has one mailbox and at most one turn. The turn takes what waits, has the runtime decide, commits, makes it visible, performs, and goes on until nothing
waits and the instance has settled. `run_turn` is the only loop that moves a snapshot forward.

What must stay true here:

- nothing is published, performed or answered before its commit is durable;
- commits of an instance are made in the order of their revisions, each on top of the one before;
- a step that touches children, or that is made while children live, waits for its commit and its effects before the next step;
- a commit that fails takes everything computed on top of it along: the instance is void, and claimed again by whoever needs it, once its
  turn has ended;
- an upgrade is made while nothing is under way, and the version changes with its commit, not before;
- what is durable names every child whose last word is not: after a crash that child is owed its error event.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Final, NamedTuple

from statekeep import crash_points
from statekeep.application.indexing import Indexing
from statekeep.application.resident import Letter, Resident, UpgradeOrder, Waiter
from statekeep.application.upgrades import DecidedUpgrade, Upgrades, is_ready
from statekeep.domain.commit import Commit, JournalEntry, KeyUse, NewInstance
from statekeep.domain.errors import (
    AlreadyExists,
    InvalidState,
    MachineError,
    NotStored,
    Overloaded,
    RejectedByMachineAuthorizer,
    StatekeepError,
)
from statekeep.domain.event import Origin
from statekeep.domain.index import index_changes
from statekeep.domain.instance import InstanceStatus, InstanceView
from statekeep.domain.limits import (
    IDEMPOTENCY_KEYS_KEPT_FOR,
    MAILBOX_LETTERS_MAX,
    PIPELINED_BURSTS_MAX,
)
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.step import Effects, Failed, Ignored, Later, Outcome, Refused, Stepped
from statekeep.domain.timer import NO_TIMER_CHANGES, TimerChanges
from statekeep.domain.turn import TS_STEP_MS, CommitDraft, lost_child_delivery
from statekeep.ports.author_log import AuthorLog
from statekeep.ports.clock import Clock
from statekeep.ports.metrics import EventOutcome, Metrics
from statekeep.ports.notifier import InstanceChanged, Notifier
from statekeep.ports.runtime import HostLost, Runtime
from statekeep.ports.store import ConflictingRevision, Store
from statekeep.ports.tracing import Stage, Tracer

_log = logging.getLogger(__name__)

# An enumeration is slow to look a member up, and these are needed for every event.
_ACTIONS: Final = Effects.ACTIONS
_CHILDREN: Final = Effects.CHILDREN

_GROWTH_BYTES: Final = 1024
"""By how much a snapshot may grow or shrink before the resident is weighed again."""
_KEYS_KEPT_MS: Final = IDEMPOTENCY_KEYS_KEPT_FOR.total_seconds() * 1000


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
        self._runtime = runtime
        self._store = store
        self._notifier = notifier
        self._clock = clock
        self._author_log = author_log
        self._indexing = indexing
        self._settle_timeout = settle_timeout_seconds
        self._on_timers = on_timers
        self._on_growth = on_growth
        self._on_void = on_void
        self._upgrades = upgrades
        self._metrics = metrics or Metrics()
        self._accepted = self._metrics.events[EventOutcome.ACCEPTED]
        self._tracer = tracer
        self._loop = asyncio.get_running_loop()
        self._background: set[asyncio.Future[None]] = set()
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

    def post(self, resident: Resident, letter: Letter) -> None:
        """Put a letter into the mailbox. Raises Overloaded where that is full, and why the instance is void where it is."""
        if resident.void_because is not None:
            raise resident.void_because
        if len(resident.mailbox) >= MAILBOX_LETTERS_MAX:
            self._count(resident, letter, EventOutcome.OVERLOADED)
            raise Overloaded("too many events wait for this instance")
        letter.posted_at = self._loop.time()
        if self._tracer is not None:
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
            self._fail(resident, letter, outcome.error)
        else:
            self._give_up(resident, letter, _refusal())

    async def run_turn(self, resident: Resident) -> None:
        """Go on until nothing waits and the instance has settled."""
        while not resident.is_void:
            if resident.owed and (resident.mailbox or resident.has_to_recover):
                self._remind(resident)
            if resident.mailbox:
                await self._advance(resident)
            elif not resident.due:
                await self._finish(resident)
                if not resident.mailbox and not resident.due:
                    if resident.order is None:
                        return
                    await self._carry_out(resident)
            else:
                self._put_order_off(resident)
                await self._wait(resident)

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
        if self._tracer is not None:
            letter.reached(Stage.HOST)
        return True

    def _on_decided(
        self, resident: Resident, letter: Letter, outcome: Outcome, new: NewInstance | None = None
    ) -> None:
        first = None
        try:
            if self._tracer is not None:
                letter.reached(Stage.COMMIT)
            if resident.void_because is not None:
                self._give_up(resident, letter, resident.void_because)
            elif not self._is_committed_at_once(resident, letter, outcome, new):
                first = self._take(resident, [letter], [outcome], new)
        except Exception as error:
            self._on_broken(resident, error)
            self._give_up(resident, letter, _internal_error())
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
        draft = self._draft(resident)
        try:
            view = draft.add(letter.delivery, outcome, now_ms=self._clock.now_ms())
        except StatekeepError:
            return False
        self._submit_draft(resident, draft, [(letter, view)], (), new)
        return True

    def _lengthen(
        self, resident: Resident, first: Coroutine[None, None, None] | None = None
    ) -> None:
        """Go on in a task."""
        short, resident.turn = resident.turn, self._loop.create_task(self._turn(resident, first))
        assert short is not None
        short.set_result(None)

    def _end_turn(self, resident: Resident) -> None:
        resident.turn = None
        self.under_way.discard(resident)
        if resident.void_because is not None:
            self._leave(resident)

    def _on_broken(self, resident: Resident, error: Exception) -> None:
        _log.error("the turn of an instance failed", exc_info=error)
        self.void(resident, _internal_error())

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

    # Deciding

    async def _advance(self, resident: Resident) -> None:
        if resident.desired_version is not None:
            await self._upgrade(resident)
            if not resident.mailbox:
                return
        if resident.order is not None and is_ready(resident):
            await self._carry_out(resident)
            if not resident.mailbox:
                return
        burst = self._admit(resident, resident.take_burst())
        if not burst:
            return
        if len(resident.committing) >= PIPELINED_BURSTS_MAX:
            await asyncio.wait([resident.committing[0]])
        if self._tracer is not None:
            _mark(burst, Stage.HOST)
        try:
            outcomes = await self._runtime.step(
                resident.version, resident.head(), [letter.delivery for letter in burst]
            )
        except StatekeepError as error:
            for letter in burst:
                self._fail(resident, letter, error)
            return
        except BaseException:
            for letter in burst:
                self._give_up(resident, letter, StatekeepError("the event was given up"))
            raise
        if self._tracer is not None:
            _mark(burst, Stage.COMMIT)
        if resident.void_because is not None:
            for letter in burst:
                self._give_up(resident, letter, resident.void_because)
            return
        await self._take(resident, burst, outcomes)

    async def _upgrade(self, resident: Resident) -> None:
        """Carry a settled instance over to the version that is desired for it, or leave it as it is. Not pipelined."""
        if self._upgrades is None or not self._upgrades.may_begin(resident):
            return
        if resident.committing:
            await asyncio.wait([resident.committing[-1]])
        decided = None if resident.is_void else await self._upgrades.decide(resident)
        if decided is not None:
            await self._commit_upgrade(resident, decided)

    async def _carry_out(self, resident: Resident) -> None:
        """Do what is ordered, or say why not."""
        order, resident.order = resident.order, None
        assert order is not None
        try:
            order.reply(await self._is_carried_over(resident, order))
        except StatekeepError as error:
            order.fail(error)
        except BaseException:
            order.fail(StatekeepError("the upgrade was given up"))
            raise

    async def _is_carried_over(self, resident: Resident, order: UpgradeOrder) -> bool:
        if resident.committing:
            await asyncio.wait([resident.committing[-1]])
        is_wanted = not order.answer.cancelled()
        if self._upgrades is None or resident.is_void or not is_wanted or not is_ready(resident):
            return False
        if resident.version.id == order.target.id:
            return True
        decided = await self._upgrades.decide_on(resident, order)
        if decided is None:
            return False
        await self._commit_upgrade(resident, decided)
        return not resident.is_void

    def _put_order_off(self, resident: Resident) -> None:
        """Whoever wants an upgrade does not wait for children."""
        order, resident.order = resident.order, None
        if order is not None:
            order.reply(False)

    async def _commit_upgrade(self, resident: Resident, decided: DecidedUpgrade) -> None:
        crash_points.reach(crash_points.BEFORE_UPGRADE)
        draft = self._draft(resident)
        draft.upgrade(
            decided.upgraded,
            decided.event,
            decided.index_entries,
            now_ms=self._clock.now_ms(),
        )
        commit = draft.commit()._replace(upgraded_to=decided.target.id)
        self._move_head(resident, draft)
        resident.head_version = decided.target
        timers, target = commit.timers, decided.target
        batch = Batch(
            (), (), draft.view, False, draft.snapshot, (), Effects.NONE, timers, True, target
        )
        await asyncio.wait([self._submit(resident, commit, batch)])

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
                self._give_up(resident, letter, InvalidState("the instance is paused"))
        return []

    async def _take(
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
            reason = _internal_error()
            for letter in burst:
                self._give_up(resident, letter, reason)
            raise

    async def _take_burst(
        self,
        resident: Resident,
        burst: Sequence[Letter],
        outcomes: Sequence[Outcome],
        new: NewInstance | None,
    ) -> None:
        is_host_astray = False
        draft = self._draft(resident)
        accepted: list[tuple[Letter, InstanceView]] = []
        followers: list[Letter] = []
        now_ms = self._clock.now_ms()
        for n, (letter, outcome) in enumerate(zip(burst, outcomes, strict=True)):
            if isinstance(outcome, Stepped):
                try:
                    accepted.append((letter, draft.add(letter.delivery, outcome, now_ms=now_ms)))
                except StatekeepError as error:
                    is_host_astray = True
                    self._fail(resident, letter, error)
                    self._put_back(resident, burst[n + 1 :])
                    break
            elif isinstance(outcome, Later):
                self._put_back(resident, burst[n:])
                break
            elif isinstance(outcome, Ignored):
                followers.append(letter)
            elif isinstance(outcome, Refused):
                self._give_up(resident, letter, _refusal())
            else:
                self._fail(resident, letter, outcome.error)
        if draft.is_empty:
            await self._answer_unchanged(resident, followers)
        else:
            await self._commit(resident, draft, accepted, followers, new)
        if is_host_astray:
            await self._lead_back(resident)

    async def _lead_back(self, resident: Resident) -> None:
        """The host went on from a step that does not count: let it begin again from what does.

        First it performs what it decided before that step. Its children cannot be led back: they are lost.
        """
        if resident.committing:
            await asyncio.wait([resident.committing[-1]])
        self._runtime.discard(resident.version, resident.id)
        self.children_lost(resident)

    def _draft(self, resident: Resident) -> CommitDraft:
        return CommitDraft(
            resident.id,
            revision=resident.head_revision,
            ts=resident.head_ts,
            timers=resident.timers,
            next_timer_seq=resident.next_timer_seq,
            hops=resident.hops,
            index_entries=resident.index_entries,
            entries_of=self._indexing.entries_of(resident.head_version, resident.current_selectors),
        )

    # Committing

    async def _commit(
        self,
        resident: Resident,
        draft: CommitDraft,
        accepted: Sequence[tuple[Letter, InstanceView]],
        followers: Sequence[Letter],
        new: NewInstance | None,
    ) -> None:
        committing = self._submit_draft(resident, draft, accepted, followers, new)
        if draft.effects is _CHILDREN or draft.live:
            await asyncio.wait([committing])
            if draft.effects is _CHILDREN and not resident.is_void:
                await self._perform_children(resident)

    def _submit_draft(
        self,
        resident: Resident,
        draft: CommitDraft,
        accepted: Sequence[tuple[Letter, InstanceView]],
        followers: Sequence[Letter],
        new: NewInstance | None,
    ) -> asyncio.Future[None]:
        is_settled = not draft.due and draft.effects is not _CHILDREN
        keys = self._keys(accepted, is_settled)
        unanswered = self._unanswered(resident, draft.due)
        commit = draft.commit(unanswered=unanswered, keys=keys, new=new)
        self._move_head(resident, draft)
        if not is_settled and (
            resident.settle_deadline == math.inf
            or any(letter.restarts_settling for letter, _ in accepted)
        ):
            resident.settle_deadline = self._loop.time() + self._settle_timeout
        batch = Batch(
            accepted,
            followers,
            draft.view,
            draft.is_silent,
            draft.snapshot,
            commit.due,
            draft.effects,
            commit.timers,
            is_settled,
        )
        return self._submit(resident, commit, batch)

    def _move_head(self, resident: Resident, draft: CommitDraft) -> None:
        resident.head_revision = draft.revision
        resident.head_snapshot = draft.snapshot
        resident.head_ts = draft.ts
        resident.timers = draft.timers
        resident.next_timer_seq = draft.next_timer_seq
        resident.hops = draft.hops
        resident.index_entries = draft.index_entries
        resident.due = draft.due
        resident.live = draft.live

    def _submit(self, resident: Resident, commit: Commit, batch: Batch) -> asyncio.Future[None]:
        committing = self._store.commit(commit, partial(self._on_committed, resident, batch))
        resident.committing.append(committing)
        return committing

    def _on_committed(
        self, resident: Resident, batch: Batch, committing: asyncio.Future[None]
    ) -> None:
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
        if batch.effects is _ACTIONS:
            self._runtime.perform(resident.version, resident.id, resident.view.revision)
            crash_points.reach(crash_points.AMID_EFFECTS)
        self._tell(resident, batch)

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

    def _trace_commit(self, tracer: Tracer, resident: Resident, batch: Batch) -> None:
        _mark([letter for letter, _ in batch.accepted], Stage.EFFECTS)
        if batch.timers.set:
            # Which of the batch's events set them is not known any more; nearly always there is one.
            causes = [letter.trace for letter, _ in batch.accepted if letter.trace is not None]
            if causes:
                tracer.caused(causes[-1], resident.id, batch.timers.set)

    def _publish(self, resident: Resident, batch: Batch) -> None:
        if batch.is_silent:
            return
        try:
            self._notifier.publish(InstanceChanged(resident.id, batch.view.revision))
        except Exception:
            # The transition stands: its effects and its answers must not be lost with the news of it.
            _log.exception("subscribers could not be told of a transition")

    def _tell(self, resident: Resident, batch: Batch) -> None:
        """Answer those who need not wait any longer."""
        if batch.followers:
            self._reply_unchanged(resident, batch.followers, resident.view)
        if batch.is_settled:
            crash_points.reach(crash_points.BEFORE_REPLY)
        now = self._loop.time()
        deadline = now + self._settle_timeout
        accepted, observe = self._accepted, self._metrics.event_seconds.observe
        for letter, view in batch.accepted:
            accepted[letter.delivery.origin] += 1
            observe(now - letter.posted_at)
            letter.is_recorded = True
            letter.handled()
            if batch.is_settled:
                letter.reply(view)
            elif letter.answer is not None:
                resident.waiters.append(Waiter(letter, deadline, since=now))
        if self._metrics.by_machine is not None and batch.accepted:
            count = len(batch.accepted)
            self._metrics.count_machine(resident.version, EventOutcome.ACCEPTED, count)
        if self._tracer is not None:
            _trace_answers(batch)

    def _reply_unchanged(
        self, resident: Resident, letters: Sequence[Letter], view: InstanceView
    ) -> None:
        """Answer letters that changed nothing."""
        for letter in letters:
            self._count(resident, letter, EventOutcome.IGNORED)
            letter.reached(Stage.REPLY)
            letter.reply(view)
            letter.handled()
            letter.end_trace()

    def _on_commit_failed(
        self, resident: Resident, batch: Batch, error: BaseException | None
    ) -> None:
        if error is None:
            # Durable though the instance was given up meanwhile: whoever claims it again finds it changed.
            self._publish(resident, batch)
        elif isinstance(error, AlreadyExists):
            self.void(resident, error)
        else:
            self.void(resident, _not_stored(error))
        reason = resident.void_because
        assert reason is not None
        for letter in [*(letter for letter, _ in batch.accepted), *batch.followers]:
            self._give_up(resident, letter, reason)

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
            self._give_up(resident, letter, reason)
        self._put_order_off(resident)
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

    def _keys(
        self, accepted: Sequence[tuple[Letter, InstanceView]], is_settled: bool
    ) -> tuple[KeyUse, ...]:
        for letter, _ in accepted:
            if letter.key is not None:
                break
        else:
            return ()
        expires_at = self._clock.now_ms() + _KEYS_KEPT_MS
        return tuple(
            [
                KeyUse(
                    letter.key,
                    letter.body_hash,
                    view.to_json() if is_settled else None,
                    expires_at,
                )
                for letter, view in accepted
                if letter.key is not None
            ]
        )

    # Indexes

    def reindex(self, resident: Resident) -> asyncio.Future[None] | None:
        """Bring the index entries up to what applies to the newest computed revision; None where they are.

        The write takes its place behind the commits under way. Raises TooLarge where the version's own selectors find too much; the entries then stay.
        """
        entries = self._indexing.find(
            resident.head_version, resident.current_selectors, resident.head_snapshot
        )
        changes = index_changes(resident.index_entries, entries)
        if changes is None:
            return None
        resident.index_entries = entries
        resident.reindexing += 1
        writing = self._store.reindex(resident.id, resident.head_revision, changes)
        writing.add_done_callback(lambda done: self._on_reindexed(resident, done))
        return writing

    def _on_reindexed(self, resident: Resident, writing: asyncio.Future[None]) -> None:
        """What is committed from now on is a difference to what should have been written."""
        resident.reindexing -= 1
        if writing.exception() is not None:
            self.void(resident, Overloaded("the instance's index entries could not be stored"))

    # Children

    def _unanswered(self, resident: Resident, due: tuple[str, ...]) -> tuple[str, ...]:
        """Children that are due by what is durable, not among `due` any more, and whose answer or error event still waits."""
        if not resident.committed_due:
            return ()
        letters = [*resident.mailbox, *resident.held]
        waiting = {letter.child for letter in letters} | set(resident.owed)
        return tuple(
            [child for child in resident.committed_due if child in waiting and child not in due]
        )

    async def _perform_children(self, resident: Resident) -> None:
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
            self.ensure_turn(resident)

    def lose_children(self, resident: Resident, why: str) -> None:
        """End all children, and with them what is decided and not committed. Those that were due are owed their error events."""
        self._runtime.discard(resident.version, resident.id)
        self._write_log(resident, f"the children were stopped: {why}")
        self.children_lost(resident)

    def _remind(self, resident: Resident) -> None:
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

    async def _wait(self, resident: Resident) -> None:
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
                self._answer(resident, waiter.letter)
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

    # Settling

    async def _finish(self, resident: Resident) -> None:
        """The instance has settled: keep what idle children came to, and answer."""
        if resident.live or (resident.committed_due and not resident.owed):
            if resident.committing:
                await asyncio.wait([resident.committing[-1]])
            await self._keep_children(resident)
        if not resident.mailbox and not resident.due:
            resident.settle_deadline = math.inf
            waiters, resident.waiters = resident.waiters, []
            if waiters:
                crash_points.reach(crash_points.BEFORE_REPLY)
            now = self._loop.time()
            for waiter in waiters:
                self._metrics.settle_seconds.observe(now - waiter.since)
                self._answer(resident, waiter.letter)

    async def _keep_children(self, resident: Resident) -> None:
        snapshot, view = resident.snapshot, resident.view.view
        if resident.live:
            try:
                snapshot, view = await self._runtime.save(resident.version, resident.id)
            except HostLost:
                self.children_lost(resident)
        due = (*resident.due, *self._unanswered(resident, resident.due))
        if not resident.is_void and (
            snapshot != resident.snapshot or due != resident.committed_due
        ):
            await self._commit_housekeeping(resident, snapshot, view, due)

    async def _commit_housekeeping(
        self, resident: Resident, snapshot: bytes, view: bytes, due: tuple[str, ...]
    ) -> None:
        revision = resident.head_revision + 1
        ts = max(self._clock.now_ms(), round(resident.head_ts + TS_STEP_MS, 3))
        entry = JournalEntry(revision, ts, Origin.HOUSEKEEPING, b"null", snapshot)
        commit = Commit(
            resident.id,
            resident.head_revision,
            (entry,),
            due,
            NO_TIMER_CHANGES,
            resident.next_timer_seq,
        )
        resident.head_revision, resident.head_ts, resident.head_snapshot = revision, ts, snapshot
        seen = InstanceView(revision, ts, view)
        batch = Batch((), (), seen, True, snapshot, due, Effects.NONE, NO_TIMER_CHANGES, True)
        await asyncio.wait([self._submit(resident, commit, batch)])

    def _answer(self, resident: Resident, letter: Letter) -> None:
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

    async def _answer_unchanged(self, resident: Resident, letters: Sequence[Letter]) -> None:
        """Answer letters that changed nothing with what is durable by now."""
        if not letters:
            return
        if resident.committing:
            await asyncio.wait([resident.committing[-1]])
        try:
            if resident.void_because is not None:
                raise resident.void_because
            view = await self.view_of(resident)
        except StatekeepError as error:
            for letter in letters:
                self._give_up(resident, letter, error)
            return
        self._reply_unchanged(resident, letters, view)

    async def view_of(self, resident: Resident) -> InstanceView:
        """The committed view, computed where nobody has needed it yet. For those who were allowed to write, or ask for an operator."""
        if not resident.view.view:
            standing = resident.committed()
            answer = await self._runtime.read(resident.version, standing, [])
            if resident.view.revision == standing.revision:
                resident.view = resident.view._replace(view=answer.view)
        return resident.view

    # Failing

    def _give_up(self, resident: Resident, letter: Letter, error: StatekeepError) -> None:
        """Nothing comes of the letter. Nothing is counted where it was answered before."""
        if letter.answer is None or not letter.answer.done():
            self._count(resident, letter, _outcome_of(error))
        letter.fail(error)

    def _count(self, resident: Resident, letter: Letter, outcome: EventOutcome) -> None:
        self._metrics.events[outcome][letter.delivery.origin] += 1
        if self._metrics.by_machine is not None:
            self._metrics.count_machine(resident.version, outcome, 1)

    def _put_back(self, resident: Resident, letters: Sequence[Letter]) -> None:
        if self._tracer is not None:
            _mark(letters, Stage.MAILBOX)
        resident.mailbox.extendleft(reversed(letters))

    def _fail(self, resident: Resident, letter: Letter, error: StatekeepError) -> None:
        if isinstance(error, Overloaded) and letter.is_last_word:
            resident.held.append(letter)
            self._loop.call_later(error.retry_after_seconds, self._look_again, resident)
            return
        self._give_up(resident, letter, error)
        if isinstance(error, MachineError):
            self.write_failure(resident, letter.delivery.event.type, error)

    def write_failure(self, resident: Resident, what: str, error: MachineError) -> None:
        """Tell the author that `what` they have for an instance failed, with their stack."""
        text = f"{what}: {error.message}"
        self._write_log(resident, text if error.stack is None else f"{text}\n{error.stack}")

    def _write_log(self, resident: Resident, text: str) -> None:
        self._author_log.write(
            resident.version, resident.key, is_error=True, ts=self._clock.now_ms(), text=text
        )

    def _look_again(self, resident: Resident) -> None:
        """No host could be had for what children sent, which nobody will send again."""
        if resident.status is InstanceStatus.RUNNING:
            self.resume(resident)


def _mark(letters: Sequence[Letter], stage: Stage) -> None:
    for letter in letters:
        letter.reached(stage)


def _trace_answers(batch: Batch) -> None:
    for letter, _ in batch.accepted:
        if batch.is_settled and letter.answer is not None:
            letter.reached(Stage.REPLY)
        letter.end_trace()


def _not_stored(error: BaseException) -> Overloaded:
    message = "the transition could not be stored; nothing changed"
    if isinstance(error, Overloaded | ConflictingRevision):
        return Overloaded(message)
    _log.error("a transition could not be stored", exc_info=error)
    return NotStored(message)


def _internal_error() -> StatekeepError:
    return StatekeepError("an internal error ended the instance's turn")


def _refusal() -> RejectedByMachineAuthorizer:
    return RejectedByMachineAuthorizer("the machine's allowWrite said no")


def _outcome_of(error: StatekeepError) -> EventOutcome:
    if isinstance(error, RejectedByMachineAuthorizer):
        return EventOutcome.REFUSED
    return EventOutcome.OVERLOADED if isinstance(error, Overloaded) else EventOutcome.FAILED

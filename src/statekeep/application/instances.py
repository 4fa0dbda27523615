"""What callers do with instances: create, send, read, list, pause, delete. And what the world does to them: timers, children, dead hosts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from statekeep.application.creation import INITIALIZATION, Creation
from statekeep.application.machines import find_machine
from statekeep.application.messages import Messages
from statekeep.application.resident import Answer, FirstRequest, Letter, Resident
from statekeep.application.residents import Residents
from statekeep.application.turns import Turns
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.dead_letter import one_too_many
from statekeep.domain.errors import (
    IdempotencyMismatch,
    MachineError,
    NotFound,
    Overloaded,
    RejectedByMachineAuthorizer,
    StatekeepError,
)
from statekeep.domain.event import Delivery, Event, Origin
from statekeep.domain.instance import (
    InstanceInfo,
    InstanceKey,
    InstanceStatus,
    InstanceView,
)
from statekeep.domain.limits import (
    CHILD_LETTERS_MAX,
    DEAD_LETTERS_PER_INSTANCE_MAX,
    DELIVERY_TRIES_MAX,
)
from statekeep.domain.machine import MachineVersion, VersionInfo
from statekeep.domain.message import Message, MessageKind
from statekeep.domain.names import (
    InstanceId,
    InstanceName,
    MachineName,
    VersionId,
)
from statekeep.domain.step import ChildrenState
from statekeep.domain.timer import Timer
from statekeep.ports.author_log import AuthorLog
from statekeep.ports.clock import Clock
from statekeep.ports.metrics import Metrics
from statekeep.ports.notifier import InstanceDeleted, Notifier
from statekeep.ports.pages import Page
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import Store, Transition
from statekeep.ports.tracing import EventTrace, Tracer

_log = logging.getLogger(__name__)


class AdministrativeState(NamedTuple):
    """An instance as an operator sees it: the whole context, without asking the machine."""

    view: InstanceView
    snapshot: bytes
    status: InstanceStatus
    version: VersionInfo
    desired_version: VersionInfo | None
    created_at: datetime


class Instances:
    """Use cases around instances. Also hears what hosts report (ports.runtime.RuntimeListener)."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        residents: Residents,
        turns: Turns,
        notifier: Notifier,
        clock: Clock,
        author_log: AuthorLog,
        creation: Creation,
        messages: Messages,
        *,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._residents = residents
        self._turns = turns
        self._notifier = notifier
        self._clock = clock
        self._author_log = author_log
        self._creation = creation
        self._messages = messages
        self._metrics = metrics or Metrics()
        self._tracer = tracer
        self._is_draining = False
        self._loop = asyncio.get_running_loop()
        self._recovering: set[asyncio.Task[None]] = set()
        turns.on_left = self._on_left

    # What callers do

    async def send_event(
        self,
        caller: AuthContext,
        machine: MachineName,
        instance: InstanceName,
        event: Event,
        *,
        idempotency_key: str | None = None,
        trace: EventTrace | None = None,
    ) -> InstanceView:
        """Deliver an event and wait until the instance has settled (SPEC 6).

        The answer is the state after the event, or the newest one if the settle timeout ran out first. With an idempotency key a repeated request
        gets the first one's answer and delivers nothing. Raises NotFound, RejectedByMachineAuthorizer, InvalidState (paused), MachineError, TooLarge,
        IdempotencyMismatch and Overloaded; in each case nothing changed.
        """
        answer: asyncio.Future[InstanceView] = self._loop.create_future()
        if idempotency_key is None and self.post_event(
            caller, machine, instance, event, answer, trace
        ):
            return await answer
        organization_id = require_scope(caller, "events.write")
        self._require_no_drain()
        resident = await self._residents.require(InstanceKey(organization_id, machine, instance))
        if trace is not None:
            trace.about(resident.key, event.type)
        letter = Letter(Delivery(event, Origin.CLIENT, caller.claims), answer, trace=trace)
        if idempotency_key is not None:
            return await self._send_once(resident, letter, idempotency_key, answer)
        self._turns.post(resident, letter)
        return await answer

    def post_event(
        self,
        caller: AuthContext,
        machine: MachineName,
        instance: InstanceName,
        event: Event,
        answer: Answer,
        trace: EventTrace | None = None,
    ) -> bool:
        """`send_event` to an instance that is in memory, without waiting: `answer` is told later. False, and nothing done, where it is not."""
        organization_id = require_scope(caller, "events.write")
        self._require_no_drain()
        resident = self._residents.at_hand(InstanceKey(organization_id, machine, instance))
        if resident is None or resident.void_because is not None:
            return False
        letter = Letter(Delivery(event, Origin.CLIENT, caller.claims), answer)
        if trace is not None:
            letter.trace = trace
            trace.about(resident.key, event.type)
        self._turns.post(resident, letter)
        return True

    async def create(
        self,
        caller: AuthContext,
        machine: MachineName,
        instance: InstanceName,
        context: bytes,
        version_id: VersionId | None,
        trace: EventTrace | None = None,
    ) -> InstanceView:
        """Make an instance in its initial state and wait until it has settled.

        `context` is a JSON object that is merged over the machine's own. Raises NotFound for the machine, InvalidParameter for the version,
        AlreadyExists, and what `send_event` raises.
        """
        organization_id = require_scope(caller, "instances.write")
        self._require_no_drain()
        answer: asyncio.Future[InstanceView] = self._loop.create_future()
        delivery = Delivery(INITIALIZATION, Origin.CREATION, caller.claims)
        letter = Letter(delivery, answer, trace=trace)
        key = InstanceKey(organization_id, machine, instance)
        if trace is not None:
            trace.about(key, INITIALIZATION.type)
        await self._creation.create(key, version_id, context, letter)
        return await answer

    def post_creation(
        self,
        caller: AuthContext,
        machine: MachineName,
        instance: InstanceName,
        context: bytes,
        version_id: VersionId | None,
        answer: Answer,
        trace: EventTrace | None = None,
    ) -> bool:
        """`create` without waiting: `answer` is told later. False, and nothing done, where there is something to wait for, or wrong."""
        organization_id = require_scope(caller, "instances.write")
        self._require_no_drain()
        key = InstanceKey(organization_id, machine, instance)
        delivery = Delivery(INITIALIZATION, Origin.CREATION, caller.claims)
        letter = Letter(delivery, answer, trace=trace)
        if trace is not None:
            trace.about(key, INITIALIZATION.type)
        return self._creation.create_at_once(key, version_id, context, letter)

    async def read(
        self, caller: AuthContext, machine: MachineName, instance: InstanceName
    ) -> InstanceView:
        """The newest durable state, if the machine's `allowRead` answers true. Raises NotFound and RejectedByMachineAuthorizer."""
        organization_id = require_scope(caller, "state.read")
        resident = await self._residents.require(InstanceKey(organization_id, machine, instance))
        seen = resident.view
        try:
            answer = await self._runtime.read(
                resident.version, resident.committed(), [caller.claims]
            )
        except MachineError as error:
            self._turns.write_failure(resident, "allowRead", error)
            raise
        if not answer.is_allowed[0]:
            raise RejectedByMachineAuthorizer("the machine's allowRead said no")
        return seen._replace(view=answer.view)

    async def read_admin(
        self, caller: AuthContext, machine: MachineName, instance: InstanceName
    ) -> AdministrativeState:
        """The whole of an instance. Raises NotFound."""
        organization_id = require_scope(caller, "instances.admin")
        resident = await self._residents.require(InstanceKey(organization_id, machine, instance))
        view = await self._turns.view_of(resident)
        return AdministrativeState(
            view,
            resident.snapshot,
            resident.status,
            _info(resident.version),
            resident.desired_version,
            resident.created_at,
        )

    async def list(
        self, caller: AuthContext, machine: MachineName, cursor: str | None
    ) -> Page[InstanceInfo]:
        """Instances of a machine, newest first. Raises NotFound for the machine."""
        organization_id = require_scope(caller, "instances.read")
        found = await find_machine(self._store, organization_id, machine)
        return await self._store.list_instances(found.id, cursor=cursor)

    async def transitions(
        self,
        caller: AuthContext,
        machine: MachineName,
        instance: InstanceName,
        cursor: str | None,
    ) -> Page[Transition]:
        """What happened to an instance, newest first. Raises NotFound."""
        organization_id = require_scope(caller, "events.read")
        resident = await self._residents.require(InstanceKey(organization_id, machine, instance))
        return await self._store.list_transitions(resident.id, cursor=cursor)

    async def set_status(
        self,
        caller: AuthContext,
        machine: MachineName,
        instance: InstanceName,
        status: InstanceStatus,
    ) -> None:
        """Pause or resume. What children send to a paused instance waits for it; other events are refused. Raises NotFound."""
        organization_id = require_scope(caller, "instances.admin")
        resident = await self._residents.require(InstanceKey(organization_id, machine, instance))
        await self._store.set_status(resident.id, status)
        # It may have left memory meanwhile and been claimed again, with the status that it had before.
        resident = self._residents.at_hand_by_id(resident.id) or resident
        resident.status = status
        if status is InstanceStatus.RUNNING:
            self._turns.resume(resident)

    async def delete(
        self, caller: AuthContext, machine: MachineName, instance: InstanceName
    ) -> None:
        """Remove an instance with all its data. What waits for it fails. Raises NotFound."""
        organization_id = require_scope(caller, "instances.admin")
        resident = await self._residents.require(InstanceKey(organization_id, machine, instance))
        gone = NotFound(f"instance {instance} was deleted")
        self._turns.void(resident, gone)
        if resident.committing:
            await asyncio.wait(list(resident.committing))
        await self._store.delete_instance(resident.id)
        # Until then it could be found in the store, and may have been claimed from there.
        claimed_again = self._residents.at_hand_by_id(resident.id)
        if claimed_again is not None:
            self._turns.void(claimed_again, gone)
        self._notifier.publish(InstanceDeleted(resident.id))

    # What the world does

    async def fire_timer(
        self,
        instance_id: InstanceId,
        seq: int,
        on_handled: Callable[[StatekeepError | None], None],
    ) -> bool:
        """Post a timer that is due, or the message that it is; `on_handled` hears what came of it. False where it or its instance is gone: nobody is called then."""
        resident = await self._residents.find_by_id(instance_id)
        timer = None if resident is None else resident.timers.get(seq)
        if resident is None or timer is None or timer.is_dead:
            return False
        if timer.message is not None:
            return await self._send_message(resident, timer, on_handled)
        delivery = Delivery(
            Event("(timer)", timer.event), Origin.TIMER, timer_seq=seq, hops=timer.hops
        )
        self._metrics.timer_lateness_seconds.observe(
            max(0.0, self._clock.now_ms() - timer.due_at) / 1000
        )
        letter = Letter(delivery, on_handled=on_handled)
        if self._tracer is not None:
            letter.trace = self._tracer.delivery("timer", (instance_id, seq))
            if letter.trace is not None:
                letter.trace.about(resident.key, delivery.event.type)
        self._turns.post(resident, letter)
        return True

    async def put_off_timer(
        self, instance_id: InstanceId, seq: int, *, due_at: float, failure: str
    ) -> Timer | None:
        """Count a failed delivery: the timer is due again at `due_at`, or dead after its last try. None where it is gone meanwhile.

        A child that will not be made is lost by then: that its parent hears so is written together with the death. Raises Overloaded where
        nothing was written.
        """
        resident = await self._residents.find_by_id(instance_id)
        timer = None if resident is None else resident.timers.get(seq)
        if resident is None or timer is None:
            return None
        undeliverable = self._messages.why_undeliverable(timer)
        tries = timer.tries + 1
        self._metrics.timers_failed += 1
        is_dead = undeliverable is not None or tries >= DELIVERY_TRIES_MAX
        # A dead letter says when it was due, not when it would have been.
        due_at = timer.due_at if is_dead else due_at
        failure = undeliverable or failure
        timer = timer._replace(tries=tries, is_dead=is_dead, due_at=due_at, failure=failure)
        if is_dead:
            await self._bury(resident, timer)
        else:
            await self._update_timer(resident, timer)
            if tries == 1:
                # Its author may be looking on, and would wait minutes for the last word.
                self._write_log(resident, _put_off(timer))
        return timer

    async def recover(self, instance_id: InstanceId) -> None:
        """Deliver the error events of children that were due when the last server ended."""
        resident = await self._residents.find_by_id(instance_id)
        if resident is not None and resident.owed:
            resident.has_to_recover = True
            self._turns.ensure_turn(resident)

    def child_sent(
        self,
        instance_id: InstanceId,
        event: Event,
        handle: int,
        children: ChildrenState,
        child: str | None,
    ) -> None:
        resident = self._residents.at_hand_by_id(instance_id)
        if resident is None:
            return
        resident.due, resident.live = children
        if len(resident.mailbox) + len(resident.held) >= CHILD_LETTERS_MAX:
            self._turns.lose_children(resident, "its children sent more events than may wait")
        else:
            letter = Letter(Delivery(event, Origin.CHILD, handle=handle, child=child))
            letter.posted_at = self._loop.time()
            resident.mailbox.append(letter)
            self._turns.ensure_turn(resident)

    def children_changed(self, instance_id: InstanceId, children: ChildrenState) -> None:
        resident = self._residents.at_hand_by_id(instance_id)
        if resident is not None:
            resident.due, resident.live = children
            self._turns.ensure_turn(resident)

    def host_lost(self, instance_ids: Sequence[InstanceId]) -> None:
        for instance_id in instance_ids:
            resident = self._residents.at_hand_by_id(instance_id)
            if resident is not None:
                self._turns.children_lost(resident)

    def logged(
        self,
        version: MachineVersion,
        instance_id: InstanceId | None,
        stream: int,
        ts: float,
        text: str,
    ) -> None:
        resident = None if instance_id is None else self._residents.at_hand_by_id(instance_id)
        if resident is not None:
            key: InstanceKey | None = resident.key
        else:
            key = None if instance_id is None else self._creation.newborn.get(instance_id)
        self._author_log.write(version, key, is_error=stream == 2, ts=ts, text=text)

    async def drain(self, timeout_seconds: float) -> None:
        """Take no more events, and let what runs finish. After the timeout whoever waits gets the newest state."""
        self._is_draining = True
        for timeout in (timeout_seconds, _LAST_CHANCE_SECONDS):
            ends = [_end_of_turn(resident) for resident in self._turns.under_way]
            ends += [self._end_of_creation(key) for key in self._creation.newborn.values()]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await asyncio.gather(*ends)
            self._turns.lapse_all()

    # Inside

    async def _end_of_creation(self, key: InstanceKey) -> None:
        """Where something comes of it, it goes on as a turn."""
        await self._creation.finished(key)
        resident = self._residents.at_hand(key)
        if resident is not None:
            await _end_of_turn(resident)

    def _on_left(self, resident: Resident) -> None:
        """Its children went along. By what is durable it may wait for them, and then nobody else would tell it."""
        reason = resident.void_because
        if resident.committed_due and not isinstance(reason, NotFound):
            pause = reason.retry_after_seconds if isinstance(reason, Overloaded) else 1
            self._loop.call_later(pause, self._take_up_again, resident.id)

    def _take_up_again(self, instance_id: InstanceId) -> None:
        recovering = self._loop.create_task(self._recover_quietly(instance_id))
        self._recovering.add(recovering)
        recovering.add_done_callback(self._recovering.discard)

    async def _recover_quietly(self, instance_id: InstanceId) -> None:
        try:
            await self.recover(instance_id)
        except Exception:
            _log.exception("instance %d could not be taken up again", instance_id)

    async def _send_message(
        self,
        sender: Resident,
        timer: Timer,
        on_handled: Callable[[StatekeepError | None], None],
    ) -> bool:
        failure = self._messages.why_undeliverable(timer)
        if failure is None:
            return self._messages.post(sender, timer, on_handled)
        on_handled(StatekeepError(failure))
        return True

    async def _bury(self, resident: Resident, timer: Timer) -> None:
        message = timer.message
        is_child = message is not None and message.kind is MessageKind.SPAWN
        if not (is_child and await self._messages.lose_child(resident, timer)):
            await self._update_timer(resident, timer)
        self._metrics.dead_timers += message is None
        self._metrics.dead_messages += message is not None
        self._log_death(resident, timer)
        await self._bound_dead_letters(resident)

    async def _update_timer(self, resident: Resident, timer: Timer) -> None:
        await self._store.update_timer(resident.id, timer)
        # The instance may have cancelled it meanwhile.
        if timer.seq in resident.timers:
            resident.timers[timer.seq] = timer

    async def _bound_dead_letters(self, resident: Resident) -> None:
        oldest = one_too_many(resident.timers)
        if oldest is not None:
            resident.timers.pop(oldest.seq, None)
            what = _what(oldest)
            most = f"an instance keeps {DEAD_LETTERS_PER_INSTANCE_MAX}"
            self._write_log(resident, f"the oldest dead letter ({what}) was dropped: {most}")
            await self._store.remove_timer(resident.id, oldest.seq)

    def _log_death(self, resident: Resident, timer: Timer) -> None:
        text = f"{_what(timer)} was given up and is a dead letter now: {timer.failure}"
        self._write_log(resident, text)

    def _write_log(self, resident: Resident, text: str) -> None:
        now_ms = self._clock.now_ms()
        self._author_log.write(resident.version, resident.key, is_error=True, ts=now_ms, text=text)

    def _require_no_drain(self) -> None:
        if self._is_draining:
            raise Overloaded("the server is shutting down", retry_after_seconds=2)

    async def _send_once(
        self, resident: Resident, letter: Letter, key: str, answer: asyncio.Future[InstanceView]
    ) -> InstanceView:
        """Deliver the letter unless its key was used before; then give the first answer."""
        letter.key = key
        letter.body_hash = hashlib.sha256(letter.delivery.event.json).digest()
        first = resident.keys_under_way.get(key)
        if first is None:
            resident.keys_under_way[key] = FirstRequest(letter.body_hash, answer)
            try:
                used = await self._store.find_key(resident.id, key, now_ms=self._clock.now_ms())
                if used is None:
                    self._turns.post(resident, letter)
                    return await answer
                _require_same(used.body_hash, letter.body_hash)
                view = await self._first_answer(resident, used.answer)
            except BaseException as error:
                # Whoever repeated the request meanwhile waits for this answer too.
                letter.fail(
                    error
                    if isinstance(error, StatekeepError)
                    else Overloaded("the first request with this key was given up")
                )
                if not answer.cancelled():
                    # There may be nobody else.
                    answer.exception()
                raise
            finally:
                del resident.keys_under_way[key]
            letter.reply(view)
            return view
        _require_same(first.body_hash, letter.body_hash)
        return await asyncio.shield(first.answer)

    async def _first_answer(self, resident: Resident, answer: bytes | None) -> InstanceView:
        if answer is None:
            return await self._turns.view_of(resident)
        return InstanceView.of_json(resident.view.revision, answer)


_LAST_CHANCE_SECONDS: Final = 2.0
"""For answers and last commits, once waiting for children is over."""


async def _end_of_turn(resident: Resident) -> None:
    """Also where it becomes a longer one."""
    while resident.turn is not None:
        await asyncio.wait([resident.turn])


def _require_same(first: bytes, second: bytes) -> None:
    if first != second:
        raise IdempotencyMismatch("this Idempotency-Key was used with another event")


def _what(timer: Timer) -> str:
    return "a delayed event" if timer.message is None else _describe(timer.message)


def _put_off(timer: Timer) -> str:
    more = DELIVERY_TRIES_MAX - timer.tries
    return f"{_what(timer)} was not taken and is tried again, {more} times at the most: {timer.failure}"


def _describe(message: Message) -> str:
    to = f"{message.to.machine_name}/{message.to.name}"
    if message.kind is MessageKind.SPAWN:
        return f"the creation of {to}"
    return f"an event to {to}"


def _info(version: MachineVersion) -> VersionInfo:
    return VersionInfo(version.id, version.created_at, version.client_info)

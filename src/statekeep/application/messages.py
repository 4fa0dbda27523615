"""Carries messages from instance to instance (SPEC 7).

What must stay true here:

- messages of one sender set out in the order in which they were sent, each once the one before is in the mailbox of its receiver. Only instances are made beside each other: what is
  sent to one that is being made waits until it is there;
- a message is under way at most once; what applies it removes it, in one commit;
- the receiver's machine decides about each, as about any caller.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import NamedTuple

from statekeep.application.creation import INITIALIZATION, Creation
from statekeep.application.resident import Letter, Resident
from statekeep.application.residents import Residents
from statekeep.application.turns import Turns
from statekeep.domain.errors import Overloaded, StatekeepError
from statekeep.domain.event import Delivery, EndedChild, Event, Origin, Receipt
from statekeep.domain.instance import InstanceKey
from statekeep.domain.message import (
    Address,
    Message,
    MessageKind,
    Parent,
    sender_claims,
)
from statekeep.domain.timer import Timer
from statekeep.domain.turn import lost_child_delivery
from statekeep.ports.metrics import Metrics
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import InstanceStore
from statekeep.ports.tracing import Tracer

_log = logging.getLogger(__name__)

OnHandled = Callable[[StatekeepError | None], None]


class _Mail(NamedTuple):
    """A message on its way."""

    sender: InstanceKey
    receipt: Receipt
    timer: Timer
    message: Message
    on_handled: OnHandled

    @property
    def claims(self) -> bytes:
        return sender_claims(self.address)

    @property
    def address(self) -> Address:
        return Address(self.sender.machine_name, self.sender.name)

    @property
    def receiver(self) -> InstanceKey:
        return InstanceKey(self.sender.organization_id, *self.message.to)


class Messages:
    """Delivers messages that are due. `hops_max` bounds how many may follow from one event, without a pause."""

    def __init__(
        self,
        store: InstanceStore,
        runtime: Runtime,
        residents: Residents,
        turns: Turns,
        creation: Creation,
        *,
        hops_max: int,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._residents = residents
        self._turns = turns
        self._creation = creation
        self._hops_max = hops_max
        self._metrics = metrics or Metrics()
        self._tracer = tracer
        self._under_way: set[Receipt] = set()
        self._lanes: dict[int, deque[_Mail]] = {}
        """What waits behind another message of the same sender."""
        self._births: dict[InstanceKey, asyncio.Task[None]] = {}
        """Instances that are being made."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def post(self, sender: Resident, timer: Timer, on_handled: OnHandled) -> bool:
        """Deliver a message that is due; `on_handled` hears what came of it. False where it is under way already: nobody is called then."""
        assert timer.message is not None
        receipt = Receipt(sender.id, timer.seq)
        if receipt in self._under_way:
            return False
        self._under_way.add(receipt)
        mail = _Mail(sender.key, receipt, timer, timer.message, on_handled)
        lane = self._lanes.get(sender.id)
        if lane is not None:
            lane.append(mail)
        else:
            self._lanes[sender.id] = deque([mail])
            self._in_background(self._carry(sender.id))
        return True

    def why_undeliverable(self, timer: Timer) -> str | None:
        """Why this message will never be delivered; None where it may."""
        if timer.hops <= self._hops_max:
            return None
        return (
            f"more than {self._hops_max} messages followed from one event:"
            " do these instances send to each other for ever?"
        )

    async def lose_child(self, sender: Resident, timer: Timer) -> bool:
        """The creation of a child is a dead letter, as `timer` is: let its parent hear so, in one commit. False where the parent
        could not take it, and nothing was written.

        A paused parent hears of it when it goes on. Raises Overloaded.
        """
        assert timer.message is not None
        delivery = lost_child_delivery(
            timer.message.child_id,
            timer.failure or "it could not be made",
            xstate_major=sender.version.xstate_major,
            address=timer.message.to,
        )
        handled: asyncio.Future[StatekeepError | None] = self._loop.create_future()

        def on_handled(error: StatekeepError | None) -> None:
            if not handled.done():
                handled.set_result(error)

        letter = Letter(delivery._replace(dead_letter=timer), on_handled=on_handled)
        self._turns.post(sender, letter)
        error = await handled
        if isinstance(error, Overloaded):
            raise error
        return letter.is_recorded

    async def close(self) -> None:
        """Carry nothing further: what was not delivered is in the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, sender_id: int) -> None:
        lane = self._lanes[sender_id]
        try:
            while lane:
                await self._set_out(lane.popleft())
        finally:
            del self._lanes[sender_id]

    async def _set_out(self, mail: _Mail) -> None:
        while (birth := self._births.get(mail.receiver)) is not None:
            await asyncio.wait([birth])
        if mail.message.kind is MessageKind.SPAWN:
            birth = self._births[mail.receiver] = self._in_background(self._deliver(mail))
            birth.add_done_callback(lambda _: self._births.pop(mail.receiver))
        else:
            await self._deliver(mail)

    async def _deliver(self, mail: _Mail) -> None:
        try:
            if mail.message.kind is MessageKind.SPAWN:
                await self._spawn(mail)
            else:
                await self._send(mail)
        except StatekeepError as error:
            self._handled(mail, error)
        except Exception:
            _log.exception("a message could not be delivered")
            # Counted as a try: the next one may well end the same way.
            self._handled(mail, StatekeepError("an internal error kept it from being delivered"))

    async def _send(self, mail: _Mail) -> None:
        await self._creation.finished(mail.receiver)
        receiver = await self._residents.require(mail.receiver)
        self._turns.post(receiver, self._letter(mail, self._delivery(mail, receiver)))

    async def _spawn(self, mail: _Mail) -> None:
        """Make the receiver, and wait until it is there: what is sent to it next has to find it."""
        delivery = Delivery(
            INITIALIZATION,
            Origin.CREATION,
            mail.claims,
            receipt=mail.receipt,
            hops=mail.timer.hops,
        )
        letter = self._letter(mail, delivery)
        parent = Parent(mail.address, mail.message.child_id)
        await self._creation.create(
            mail.receiver, mail.message.version_id, mail.timer.event, letter, parent
        )
        await self._creation.finished(mail.receiver)

    def _delivery(self, mail: _Mail, receiver: Resident) -> Delivery:
        event = Event("(message)", mail.timer.event)
        ended = None
        if mail.message.kind is MessageKind.DONE:
            ended = EndedChild(mail.message.child_id, mail.timer.event, mail.address)
            event = self._runtime.done_event(receiver.version, ended.id, ended.output)
        return Delivery(
            event,
            Origin.MESSAGE,
            mail.claims,
            receipt=mail.receipt,
            ended_child=ended,
            hops=mail.timer.hops,
        )

    def _letter(self, mail: _Mail, delivery: Delivery) -> Letter:
        def on_handled(error: StatekeepError | None) -> None:
            if error is None and not letter.is_recorded:
                # A finished receiver: nothing is written there that could take the message along.
                self._in_background(self._forget(mail.receipt))
            self._handled(mail, error)

        letter = Letter(delivery, on_handled=on_handled)
        if self._tracer is not None:
            letter.trace = self._tracer.delivery("message", mail.receipt)
            if letter.trace is not None:
                letter.trace.about(mail.receiver, delivery.event.type)
        return letter

    def _handled(self, mail: _Mail, error: StatekeepError | None) -> None:
        self._under_way.discard(mail.receipt)
        if error is None:
            self._metrics.messages_delivered += 1
            sender = self._residents.at_hand_by_id(mail.receipt.sender)
            if sender is not None:
                # In place: it may be one of thousands.
                sender.timers.pop(mail.receipt.seq, None)
        else:
            self._metrics.messages_failed += 1
        mail.on_handled(error)

    async def _forget(self, receipt: Receipt) -> None:
        try:
            await self._store.remove_timer(*receipt)
        except Exception:
            # It will be delivered again after a restart, and change nothing again.
            _log.exception("a message that was delivered could not be removed")

    def _in_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

"""A runtime without processes: runs one machine, written here, whose events say what is to happen.

Keeps the promises of ports.runtime as far as turns depend on them, and records what it was told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from typing import cast

import msgspec

from statekeep.domain.errors import (
    HttpMappingFailed,
    HttpMappingTimeout,
    InvalidCode,
    MachineError,
    NotFound,
    StatekeepError,
    UpgradeFailed,
)
from statekeep.domain.event import Delivery, Event
from statekeep.domain.http_mapping import HttpAnswer, HttpRequest, Meaning
from statekeep.domain.machine import MachineVersion
from statekeep.domain.message import Address, Message, MessageKind, Parent
from statekeep.domain.migration import RenamedTimer, Upgraded
from statekeep.domain.names import InstanceId, InstanceName, MachineName, OrganizationId, VersionId
from statekeep.domain.step import (
    ChildrenState,
    Effects,
    Failed,
    Ignored,
    Later,
    Macrostep,
    Outcome,
    Refused,
    Stepped,
)
from statekeep.domain.timer import CancelTimer, SetTimer, Timer, TimerOp
from statekeep.ports.runtime import (
    HostLost,
    Leaving,
    MigrationCode,
    ReadAnswer,
    RuntimeListener,
    SavedState,
    Standing,
    VersionFacts,
)
from statekeep.runtimes import protocol


class ToyRuntime:
    """The machine: `log` in its context lists the events it took. Special events:

    FAIL throws; DENY is refused by allowWrite; ACT has an action; SPAWN starts a child named by `id`; DONE finishes; SET sets a timer
    (`id`, `delay`, `event`); CANCEL cancels one (`id`); TELL sends a list of events to another instance (`to`, `events`, perhaps `delay` and `id`);
    RELAY does so with a RELAY to each of `to` in turn, for ever; MAKE makes an instance (`to`, `child`, `context`). Who has a parent tells it of its end.
    Readers whose auth context is {"sub": "stranger"} may not read.

    Its endpoints take what an event is from the JSON of the body (`instance`, `event`, `auth`, `context`) and answer `http_answer`. The one named
    `throw` throws, `never` is late and `missing` is none.
    """

    def __init__(self) -> None:
        self.listener: RuntimeListener
        self.parents: dict[InstanceId, Parent] = {}
        self.asked: list[tuple[str, bytes | None]] = []
        """Events (and names of instances to be made) about which allowWrite was asked, or that came of themselves, with the auth context."""
        self.performed: list[tuple[InstanceId, int]] = []
        self.discarded: list[InstanceId] = []
        self.bursts: list[int] = []
        self.children: dict[InstanceId, set[str]] = {}
        self.pending_children: dict[InstanceId, set[str]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.stepping = asyncio.Event()
        self.asked_at_once: set[asyncio.Task[None]] = set()
        self.requests: list[HttpRequest] = []
        self.responded: list[tuple[VersionId, InstanceId, bytes]] = []
        self.http_answer: HttpAnswer | Exception | None = None
        self.upgrades: list[tuple[str, str, list[str]]] = []
        self.upgrade_error: Exception | None = None
        self.states: defaultdict[str, list[str]] = defaultdict(lambda: ["on"])
        """Of versions, as they describe themselves."""
        self.rehearsals: list[str] = []
        """Instances whose upgrade was tried out."""
        self.upgrade_gate = asyncio.Event()
        self.upgrade_gate.set()
        self.gated: VersionId | None = None
        """The version to which upgrades go through the gate; None for all."""
        self.upgrading = asyncio.Event()
        self.ends_upgrades = False
        """Are instances finished in the new version?"""
        self.careful: asyncio.Lock | None = None
        """Where there is one upgrades pass one at a time, as after a host has died."""
        self.reads: list[str] = []
        """By which versions."""
        self.steps: list[str] = []
        """The same."""
        self.met: set[VersionId] = set()
        """Versions of which something is kept."""
        self.on_perform: Callable[[InstanceId], None] | None = None

    async def inspect(self, organization_id: OrganizationId, code: bytes) -> VersionFacts:
        if code == b"broken":
            raise InvalidCode("broken", parameter="code")
        return VersionFacts(5, "5.0.0")

    async def inspect_migration(self, organization_id: OrganizationId, code: bytes) -> None:
        if code == b"broken":
            raise InvalidCode("broken", parameter="code")

    def has_met(self, version_id: VersionId) -> bool:
        return version_id in self.met

    async def describe(self, version: MachineVersion) -> bytes:
        states = [{"path": [], "type": "compound"}]
        states += [{"path": [name], "type": "atomic"} for name in self.states[version.id]]
        return msgspec.json.encode({"major": 5, "states": states})

    async def upgrade(
        self, leaving: Leaving, target: MachineVersion, path: Sequence[MigrationCode]
    ) -> Upgraded:
        self.upgrading.set()
        if self.gated in (None, target.id):
            await self.upgrade_gate.wait()
        async with self.careful or contextlib.nullcontext():
            # A host is no function call: there is time to call things off.
            for _ in range(20):
                await asyncio.sleep(0)
            return await self._upgrade(leaving, target, path)

    async def _upgrade(
        self, leaving: Leaving, target: MachineVersion, path: Sequence[MigrationCode]
    ) -> Upgraded:
        self.upgrades.append((leaving.version.id, target.id, [code.id for code in path]))
        if self.upgrade_error is not None:
            raise self.upgrade_error
        for code in path:
            if await code.load() == b"fail":
                raise UpgradeFailed("it threw", reason="migration-error", stack="at migration.js:1")
        state = msgspec.json.decode(leaving.standing.snapshot)
        context = state["context"]
        context["log"].append(f"upgraded to {target.id}")
        is_done = self.ends_upgrades or state.get("status") == "done"
        step = _macrostep(context, is_done=is_done)
        return Upgraded(step.snapshot, step.view, is_done, *_timer_moves(leaving.timers))

    async def rehearse(
        self, leaving: Leaving, target: MachineVersion, path: Sequence[MigrationCode]
    ) -> Upgraded:
        self.rehearsals.append(leaving.standing.name)
        return await self.upgrade(leaving, target, path)

    async def create(
        self,
        version: MachineVersion,
        instance_id: InstanceId,
        name: InstanceName,
        context: bytes,
        auth: bytes | None,
        parent: Parent | None = None,
    ) -> Outcome:
        if parent is not None:
            self.parents[instance_id] = parent
        self.asked.append((str(name), auth))
        given = msgspec.json.decode(context)
        if given.get("deny"):
            return Refused()
        if given.get("fail"):
            return Failed(MachineError("no such start"))
        return Stepped((_macrostep({"log": [], **given}, is_done=False),))

    def create_at_once(
        self,
        version: MachineVersion,
        instance_id: InstanceId,
        name: InstanceName,
        context: bytes,
        auth: bytes | None,
        then: Callable[[Outcome], None],
    ) -> bool:
        self._tell(then, self.create(version, instance_id, name, context, auth))
        return True

    def done_event(self, version: MachineVersion, child_id: str, output: bytes) -> Event:
        return protocol.done_event(child_id, output, xstate_major=version.xstate_major)

    async def step(
        self, version: MachineVersion, standing: Standing, deliveries: Sequence[Delivery]
    ) -> Sequence[Outcome]:
        self.stepping.set()
        self.steps.append(version.id)
        await self.gate.wait()
        self.bursts.append(len(deliveries))
        state = msgspec.json.decode(standing.snapshot)
        outcomes: list[Outcome] = []
        for delivery in deliveries:
            last = outcomes[-1] if outcomes else None
            if isinstance(last, Later) or (
                isinstance(last, Stepped) and last.effects is Effects.CHILDREN
            ):
                outcomes.append(Later())
                continue
            outcome = self._deliver(standing.instance_id, state, delivery)
            outcomes.append(outcome)
            if isinstance(outcome, Stepped):
                state = msgspec.json.decode(outcome.macrosteps[-1].snapshot)
        return outcomes

    def step_at_once(
        self,
        version: MachineVersion,
        standing: Standing,
        delivery: Delivery,
        then: Callable[[Outcome], None],
    ) -> bool:
        async def step() -> Outcome:
            [outcome] = await self.step(version, standing, [delivery])
            return outcome

        self._tell(then, step())
        return True

    def _tell(
        self, then: Callable[[Outcome], None], deciding: Coroutine[None, None, Outcome]
    ) -> None:
        async def tell() -> None:
            outcome: Outcome
            try:
                outcome = await deciding
            except StatekeepError as error:
                outcome = Failed(error)
            then(outcome)

        task = asyncio.get_running_loop().create_task(tell())
        self.asked_at_once.add(task)
        task.add_done_callback(self.asked_at_once.discard)

    def perform(self, version: MachineVersion, instance_id: InstanceId, revision: int) -> None:
        self.performed.append((instance_id, revision))
        if self.on_perform is not None:
            self.on_perform(instance_id)

    async def perform_children(
        self, version: MachineVersion, instance_id: InstanceId, revision: int
    ) -> ChildrenState:
        self.performed.append((instance_id, revision))
        children = self.children.setdefault(instance_id, set())
        children |= self.pending_children.pop(instance_id, set())
        return ChildrenState(tuple(sorted(children)), len(children))

    async def read(
        self, version: MachineVersion, standing: Standing, auths: Sequence[bytes]
    ) -> ReadAnswer:
        self.reads.append(version.id)
        state = msgspec.json.decode(standing.snapshot)
        allowed = tuple(b"stranger" not in auth for auth in auths)
        return ReadAnswer(_view(state["context"], is_done=state.get("status") == "done"), allowed)

    async def stop_children(
        self, version: MachineVersion, instance_id: InstanceId
    ) -> ChildrenState:
        self._require(instance_id).clear()
        return ChildrenState((), 0)

    async def save(self, version: MachineVersion, instance_id: InstanceId) -> SavedState:
        raise HostLost

    def discard(self, version: MachineVersion, instance_id: InstanceId) -> None:
        self.discarded.append(instance_id)

    async def handle_http(
        self, version: MachineVersion, slug: str, request: HttpRequest
    ) -> Meaning:
        if slug == "missing":
            raise NotFound("there is no such endpoint")
        if slug == "throw":
            raise HttpMappingFailed("not you")
        if slug == "never":
            raise HttpMappingTimeout("too late")
        self.requests.append(request)
        said = msgspec.json.decode(request.body or b"{}")
        kind = said.get("event", "knock")
        context = said.get("context")
        return Meaning(
            said.get("instance", "front"),
            Event(kind, msgspec.json.encode({"type": kind})),
            msgspec.json.encode(said.get("auth", {"sub": "me"})),
            None if context is None else msgspec.json.encode(context),
        )

    async def respond_http(
        self, version: MachineVersion, slug: str, instance_id: InstanceId, snapshot: bytes
    ) -> HttpAnswer | None:
        self.responded.append((version.id, instance_id, snapshot))
        if isinstance(self.http_answer, Exception):
            raise self.http_answer
        return self.http_answer

    # What a test makes happen

    def child_answers(self, instance_id: InstanceId, child: str) -> None:
        """A child finishes with an event."""
        children = self._require(instance_id)
        children.discard(child)
        json = msgspec.json.encode({"type": "answer", "from": child})
        state = ChildrenState(tuple(sorted(children)), len(children))
        self.listener.child_sent(instance_id, Event("answer", json), 1, state, child)

    def host_dies(self) -> None:
        """All children are gone."""
        lost = [instance_id for instance_id, children in self.children.items() if children]
        self.children.clear()
        self.listener.host_lost(lost)

    def _require(self, instance_id: InstanceId) -> set[str]:
        if instance_id not in self.children:
            raise HostLost
        return self.children[instance_id]

    def _deliver(
        self, instance_id: InstanceId, state: dict[str, object], delivery: Delivery
    ) -> Outcome:
        if state.get("status") == "done":
            return Ignored()
        event = msgspec.json.decode(delivery.event.json)
        if delivery.lost_child is not None:
            event = {"type": f"lost.{delivery.lost_child.id}"}
        match event["type"]:
            case "FAIL":
                return Failed(MachineError("it threw", stack="at author.js:1"))
            case "DENY" if delivery.auth is not None:
                return Refused()
        self.asked.append((event["type"], delivery.auth))
        context = msgspec.json.decode(msgspec.json.encode(state["context"]))
        context["log"].append(event["type"])
        return self._stepped(instance_id, context, event, is_lost=delivery.lost_child is not None)

    def _stepped(
        self, instance_id: InstanceId, context: object, event: dict[str, object], *, is_lost: bool
    ) -> Stepped:
        kind = event["type"]
        children = set(self.children.get(instance_id, ()))
        effects = Effects.ACTIONS if kind == "ACT" else Effects.NONE
        if kind == "SPAWN":
            started = {str(event["id"])}
            self.pending_children[instance_id] = started
            children |= started
            effects = Effects.CHILDREN
        named = msgspec.json.encode(event) if is_lost else None
        return Stepped(
            (_macrostep(context, is_done=kind == "DONE", event=named),),
            (*_timer_ops(event), *self._last_words(instance_id, kind)),
            tuple(sorted(children)),
            len(children),
            effects,
            kind == "DONE",
        )

    def _last_words(self, instance_id: InstanceId, kind: object) -> tuple[TimerOp, ...]:
        parent = self.parents.get(instance_id)
        if kind != "DONE" or parent is None:
            return ()
        message = Message(parent.address, MessageKind.DONE, parent.child_id)
        return (SetTimer("", 0, b'{"good":true}', message=message),)


def _toy(name: object) -> Address:
    return Address(MachineName("toy"), InstanceName(str(name)))


def _timer_moves(
    timers: Sequence[Timer],
) -> tuple[tuple[RenamedTimer, ...], tuple[int, ...], tuple[SetTimer, ...]]:
    """A timer `old` gets another name, `vanishing` is cancelled, and with it one begins."""
    renamed = [
        RenamedTimer(timer.seq, "renamed", b'{"type":"RENAMED"}', b'{"path":[]}')
        for timer in timers
        if timer.send_id == "old"
    ]
    cancelled = [timer.seq for timer in timers if timer.send_id == "vanishing"]
    started = [SetTimer("entered", 500, b'{"type":"ENTERED"}', None) for _ in cancelled]
    return tuple(renamed), tuple(cancelled), tuple(started)


def _timer_ops(event: dict[str, object]) -> tuple[TimerOp, ...]:
    match event:
        case {"type": "TELL", "to": to, "events": list(events)}:
            delay, send_id = cast(float, event.get("delay", 0)), str(event.get("id", ""))
            return tuple(
                SetTimer(send_id, delay, msgspec.json.encode(each), message=Message(_toy(to)))
                for each in events
            )
        case {"type": "RELAY", "to": [first, *rest]}:
            json = msgspec.json.encode({"type": "RELAY", "to": [*rest, first]})
            return (SetTimer("", 0, json, message=Message(_toy(first))),)
        case {"type": "MAKE", "to": to, "child": str(child)}:
            context = msgspec.json.encode(event.get("context", {}))
            message = Message(_toy(to), MessageKind.SPAWN, child)
            return (SetTimer("", 0, context, message=message),)
        case {"type": "SET", "id": str(send_id), "delay": int(delay), "event": str(name)}:
            return (SetTimer(send_id, delay, msgspec.json.encode({"type": name}), None),)
        case {"type": "CANCEL", "id": str(send_id)}:
            return (CancelTimer(send_id),)
    return ()


def _macrostep(context: object, *, is_done: bool, event: bytes | None = None) -> Macrostep:
    state = {"value": "on", "context": context, **({"status": "done"} if is_done else {})}
    return Macrostep(event, msgspec.json.encode(state), _view(context, is_done=is_done))


def _view(context: object, *, is_done: bool) -> bytes:
    return msgspec.json.encode(
        {"state": "on", "publicContext": context, "tags": [], "done": is_done}
    )

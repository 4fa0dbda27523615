"""The host protocol as bytes: requests to frames, frames to values. No I/O.

docs/host-protocol.md is the contract. Snapshots, contexts, events and views pass through as the JSON they came as: they are neither
decoded nor encoded again. Whatever arrives is checked; a frame that does not fit is a BadFrame, and the host that sent it is not to
be trusted any further.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from statekeep.domain.errors import (
    InvalidCode,
    InvalidParameter,
    MachineError,
    StatekeepError,
    TooLarge,
    UpgradeFailed,
)
from statekeep.domain.event import Delivery, EndedChild, Event
from statekeep.domain.limits import OUTLINE_BYTES_MAX, SNAPSHOT_BYTES_MAX
from statekeep.domain.message import Address, Message, MessageKind, Parent
from statekeep.domain.migration import Losses, RenamedTimer, Upgraded
from statekeep.domain.names import VersionId, parse_instance_name, parse_machine_name
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
from statekeep.ports.runtime import Leaving, ReadAnswer, SavedState, Standing


class BadFrame(MachineError):
    """A host sent something that is no frame of the protocol."""


def bad_frame(what: str) -> BadFrame:
    """The error for a frame with this fault."""
    return BadFrame(f"the machine's host broke the protocol: {what}")


class HostLimits(msgspec.Struct, frozen=True, rename="camel"):
    """Bounds that the host keeps by itself. Names as in the protocol."""

    context_bytes: int
    snapshot_bytes: int
    json_depth: int
    macrosteps: int
    log_bytes: int
    sessions: int
    session_bytes: int
    deny_private_network: bool


# Requests: what stands between the braces of a frame. Whoever sends one that is answered puts the id before it.


def load(code: str, limits: HostLimits, *, observe: bool = False) -> bytes:
    """The first frame of a host. With `observe` it tells which transitions each macrostep took."""
    return b'"op":"load","code":%b,"limits":%b%b' % (
        msgspec.json.encode(code),
        msgspec.json.encode(limits),
        b',"observe":true' if observe else b"",
    )


def load_migration(code: str, limits: HostLimits) -> bytes:
    """The same for a migration that is only looked at."""
    return b'"kind":"migration",%b' % load(code, limits)


def upgrade(
    leaving: Leaving, outline: bytes | None, codes: Sequence[tuple[str, bytes | None]]
) -> bytes:
    """Carry an instance over to the version of the host, by migrations of which some come with their code."""
    version, standing, timers = leaving
    states = b"" if outline is None else b'"states":%b,' % _states_in(outline)
    return (
        b'"op":"upgrade","i":%d,"name":"%b","major":%d,%b"snapshot":%b,"timers":[%b],"migrations":[%b]'
        % (
            standing.instance_id,
            standing.name.encode(),
            version.xstate_major,
            states,
            standing.snapshot,
            b",".join([_pending_timer(timer) for timer in timers if _is_own(timer)]),
            b",".join([_migration(*code) for code in codes]),
        )
    )


def _is_own(timer: Timer) -> bool:
    return timer.message is None and not timer.is_dead


def _pending_timer(timer: Timer) -> bytes:
    after = b"" if timer.after is None else b',"after":%b' % timer.after
    send_id = msgspec.json.encode(timer.send_id)
    return b'{"seq":%d,"id":%b,"event":%b%b}' % (timer.seq, send_id, timer.event, after)


def _migration(migration_id: str, code: bytes | None) -> bytes:
    sent = {"id": migration_id} if code is None else {"id": migration_id, "code": code.decode()}
    return msgspec.json.encode(sent)


def create(
    instance_id: int,
    name: str,
    context: bytes,
    auth: bytes | None,
    parent: Parent | None = None,
) -> bytes:
    """Enter the initial state."""
    request = b'"op":"create","i":%d,"name":"%b","context":%b,"auth":%b,"authorize":%b' % (
        instance_id,
        name.encode(),
        context,
        auth or b"null",
        b"false" if auth is None else b"true",
    )
    if parent is None:
        return request
    names = {**_names_of(parent.address), "id": parent.child_id}
    return b'%b,"parent":%b' % (request, msgspec.json.encode(names))


def step(deliveries: Sequence[Delivery]) -> bytes:
    """Deliver events one after the other. Has to be put `on` a revision."""
    if len(deliveries) == 1:
        return b'"op":"step","events":[%b]' % _delivery(deliveries[0])
    return b'"op":"step","events":[%b]' % b",".join(map(_delivery, deliveries))


def read(auths: Iterable[bytes]) -> bytes:
    """Ask allowRead for each auth context. Has to be put `on` a revision."""
    return b'"op":"read","auths":[%b]' % b",".join(auths)


def on(standing: Standing, request: bytes, *, with_snapshot: bool) -> bytes:
    """A request about one revision of an instance, for a host that holds it or, with the snapshot, for any."""
    # Names of instances have no character that JSON escapes (domain.names), so they need no encoder.
    instance_id, name, revision, snapshot = standing
    if with_snapshot:
        return b'%b,"i":%d,"name":"%b","rev":%d,"snapshot":%b' % (
            request,
            instance_id,
            name.encode(),
            revision,
            snapshot,
        )
    return b'%b,"i":%d,"name":"%b","rev":%d' % (request, instance_id, name.encode(), revision)


def perform(instance_id: int, revision: int) -> bytes:
    """Say that everything up to a revision is durable."""
    return b'"op":"perform","i":%d,"rev":%d' % (instance_id, revision)


def stop(instance_id: int) -> bytes:
    """Stop the children that are due."""
    return b'"op":"stop","i":%d' % instance_id


def save(instance_id: int) -> bytes:
    """Read the snapshot as it is now."""
    return b'"op":"save","i":%d' % instance_id


def discard(instance_id: int) -> bytes:
    """Forget the session of an instance."""
    return b'"op":"discard","i":%d' % instance_id


DESCRIBE: Final = b'"op":"describe"'
"""Ask for the states of the version."""
PING: Final = b'"op":"ping"'
"""Ask for a sign of life."""
REST: Final = b'"op":"ping","rest":true'
"""Ask for one when no request of the author's code to somebody else is under way."""


def _delivery(delivery: Delivery) -> bytes:
    if delivery.auth is not None:
        done = b"" if delivery.ended_child is None else b',"done":%b' % _ended(delivery.ended_child)
        return b'{"event":%b,"auth":%b%b}' % (delivery.event.json, delivery.auth, done)
    if delivery.lost_child is not None:
        child_id, why, address = delivery.lost_child
        at = {} if address is None else {"at": _names_of(address)}
        return msgspec.json.encode({"lost": child_id, "why": why, **at})
    if delivery.handle is not None:
        return b'{"event":%b,"h":%d}' % (delivery.event.json, delivery.handle)
    return b'{"event":%b}' % delivery.event.json


def _ended(child: EndedChild) -> bytes:
    return msgspec.json.encode({"id": child.id, "at": _names_of(child.address)})


def _names_of(address: Address) -> dict[str, str]:
    return {"machineName": address.machine_name, "machineInstanceName": address.name}


def done_event(child_id: str, output: bytes, *, xstate_major: int) -> Event:
    """How a machine of that major of XState learns that its child has ended. `output` is JSON."""
    if xstate_major == 5:
        name = f"xstate.done.actor.{child_id}"
        rest = b'"output":%b,"actorId":%b' % (output, msgspec.json.encode(child_id))
    else:
        name = f"done.invoke.{child_id}"
        rest = b'"data":%b' % output
    return Event(name, b'{"type":%b,%b}' % (msgspec.json.encode(name), rest))


# Replies and reports


class LoadedFrame(msgspec.Struct):
    """Answer to load. Without a major for a migration."""

    major: Literal[4, 5] | None = None
    xstate: str = ""
    http_api: tuple[str, ...] = msgspec.field(name="httpApi", default=())


class FailureFrame(msgspec.Struct):
    """Why something failed, in the author's words."""

    code: str
    message: str
    stack: str | None = None
    path: tuple[str, ...] | None = None


_ABSENT: Final = msgspec.Raw()
"""Stands for a field that is not there: msgspec takes `Raw | None` for null alone."""


class _MacrostepFrame(msgspec.Struct):
    snapshot: msgspec.Raw
    view: msgspec.Raw
    event: msgspec.Raw = _ABSENT
    silent: bool = False
    taken: tuple[tuple[int, int], ...] = ()


class _AddressFrame(msgspec.Struct, rename="camel"):
    machine_name: str
    machine_instance_name: str


class _TimerOpFrame(msgspec.Struct):
    set: str | None = None
    cancel: str | None = None
    send: str | None = None
    done: str | None = None
    spawn: str | None = None
    delay: float = 0
    event: msgspec.Raw = _ABSENT
    after: msgspec.Raw = _ABSENT
    to: _AddressFrame | None = None
    output: msgspec.Raw = _ABSENT
    context: msgspec.Raw = _ABSENT
    version: str | None = None


class ResultFrame(msgspec.Struct):
    """Answer to one delivery."""

    steps: tuple[_MacrostepFrame, ...] = ()
    timers: tuple[_TimerOpFrame, ...] = ()
    due: tuple[str, ...] = ()
    live: int = 0
    effects: Literal["actions", "children"] | None = None
    denied: bool = False
    ignored: bool = False
    later: bool = False
    error: FailureFrame | None = None


class _RenamedTimerFrame(msgspec.Struct):
    seq: int
    id: str
    event: msgspec.Raw
    after: msgspec.Raw


class _TimerMovesFrame(msgspec.Struct):
    renamed: tuple[_RenamedTimerFrame, ...]
    cancelled: tuple[int, ...]
    started: tuple[_TimerOpFrame, ...]


class _LossesFrame(msgspec.Struct):
    children: tuple[str, ...]
    history: tuple[tuple[str, ...], ...]


class UpgradedFrame(msgspec.Struct):
    """Answer to upgrade."""

    snapshot: msgspec.Raw
    view: msgspec.Raw
    timers: _TimerMovesFrame
    lost: _LossesFrame


class HostFrame(msgspec.Struct):
    """Any frame of a host: a reply has `re`, a report has `op`."""

    re: int | None = None
    n: int = 0
    r: ResultFrame | None = None
    ok: LoadedFrame | None = None
    due: tuple[str, ...] = ()
    live: int = 0
    view: msgspec.Raw = _ABSENT
    allowed: tuple[bool, ...] = ()
    snapshot: msgspec.Raw = _ABSENT
    need: str | None = None
    error: FailureFrame | None = None
    pong: bool = False
    outline: msgspec.Raw = _ABSENT
    upgraded: UpgradedFrame | None = None
    op: Literal["event", "due", "log", "http"] | None = None
    http: msgspec.Raw = _ABSENT
    pending: bool = False
    i: int | None = None
    h: int = 0
    child: str | None = None
    event: msgspec.Raw = _ABSENT
    stream: Literal[1, 2] = 1
    ts: float = 0
    text: str = ""


class _Typed(msgspec.Struct):
    type: str


class _Outline(msgspec.Struct):
    states: msgspec.Raw


class _Finishable(msgspec.Struct):
    done: bool


_decode_frame = msgspec.json.Decoder(HostFrame).decode
_decode_type = msgspec.json.Decoder(_Typed).decode
_decode_outline = msgspec.json.Decoder(_Outline).decode
_decode_done = msgspec.json.Decoder(_Finishable).decode


_HALF_CHARACTER: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}")
"""What JSON.stringify writes for half of a surrogate pair. Whole ones it writes as they are."""


def decode_frame(line: bytes) -> HostFrame:
    """One line to a frame. Raises msgspec.DecodeError, of which ValidationError is one, and RecursionError.

    Half a character, as of a text that author code cut in the middle of an emoji, is read as U+FFFD: no UTF-8 has it.
    """
    try:
        return _decode_frame(line)
    except msgspec.DecodeError:
        whole = _HALF_CHARACTER.sub(rb"\1\\ufffd", line)
        if whole == line:
            raise
        return _decode_frame(whole)


_EFFECTS: Final = {
    None: Effects.NONE,
    "actions": Effects.ACTIONS,
    "children": Effects.CHILDREN,
}


def outcome_of(frame: ResultFrame) -> Outcome:
    """The value that a result stands for."""
    if frame.steps:
        return Stepped(
            tuple([_macrostep(step) for step in frame.steps]),
            tuple([_timer_op(op) for op in frame.timers]) if frame.timers else (),
            frame.due,
            frame.live,
            _EFFECTS[frame.effects],
            _decode_done(frame.steps[-1].view).done,
        )
    if frame.error is not None:
        return Failed(error_of(frame.error))
    if frame.denied:
        return Refused()
    if frame.ignored:
        return Ignored()
    if frame.later:
        return Later()
    raise bad_frame("a result without any content")


def error_of(frame: FailureFrame) -> StatekeepError:
    """The error that a failure stands for. Codes nobody knows are the author's machine failing."""
    if frame.code == "context-too-large":
        return TooLarge(frame.message)
    if frame.code == "reserved-event":
        return InvalidParameter(frame.message, parameter="event")
    if frame.code == "bad-version":
        return InvalidCode(frame.message, parameter="code", stack=frame.stack)
    if frame.code in _UPGRADE_FAILURES:
        return UpgradeFailed(frame.message, reason=frame.code, stack=frame.stack, path=frame.path)
    return MachineError(frame.message, stack=frame.stack)


_UPGRADE_FAILURES: Final = frozenset({"migration-error", "no-such-state"})


def children_of(frame: HostFrame) -> ChildrenState:
    """The children as a frame tells them."""
    return ChildrenState(frame.due, frame.live)


def read_answer_of(frame: HostFrame, asked: int) -> ReadAnswer:
    """Answer to read."""
    if not frame.view or len(frame.allowed) != asked:
        raise bad_frame("a read without its answer")
    return ReadAnswer(bytes(frame.view), frame.allowed)


def saved_state_of(frame: HostFrame) -> SavedState:
    """Answer to save."""
    if not frame.view or not frame.snapshot:
        raise bad_frame("a save without its answer")
    return SavedState(_snapshot(frame.snapshot), bytes(frame.view))


def outline_of(frame: HostFrame) -> bytes:
    """Answer to describe."""
    outline = bytes(frame.outline)
    if not outline or len(outline) > OUTLINE_BYTES_MAX:
        raise bad_frame("no outline of its version")
    return outline


def _states_in(outline: bytes) -> bytes:
    return bytes(_decode_outline(outline).states)


def upgraded_of(frame: HostFrame) -> Upgraded:
    """Answer to upgrade."""
    answer = frame.upgraded
    if answer is None:
        raise bad_frame("an upgrade without its answer")
    return Upgraded(
        _snapshot(answer.snapshot),
        bytes(answer.view),
        _decode_done(answer.view).done,
        tuple([_renamed_timer(timer) for timer in answer.timers.renamed]),
        answer.timers.cancelled,
        tuple([_started_timer(op) for op in answer.timers.started]),
        Losses(answer.lost.children, answer.lost.history),
    )


def _renamed_timer(frame: _RenamedTimerFrame) -> RenamedTimer:
    return RenamedTimer(frame.seq, frame.id, bytes(frame.event), bytes(frame.after))


def _started_timer(frame: _TimerOpFrame) -> SetTimer:
    op = _timer_op(frame)
    if not isinstance(op, SetTimer):
        raise bad_frame("a timer that is not set")
    return op


def event_of(raw: msgspec.Raw) -> Event:
    """An event that a host reports."""
    if not raw:
        raise bad_frame("an event without its event")
    json = bytes(raw)
    return Event(_decode_type(json).type, json)


def _macrostep(frame: _MacrostepFrame) -> Macrostep:
    event = bytes(frame.event) or None
    snapshot, view = _snapshot(frame.snapshot), bytes(frame.view)
    return Macrostep(event, snapshot, view, frame.silent, frame.taken)


def _snapshot(raw: msgspec.Raw) -> bytes:
    json = bytes(raw)
    if len(json) > SNAPSHOT_BYTES_MAX:
        raise bad_frame("a snapshot over its bound")
    return json


def _timer_op(frame: _TimerOpFrame) -> TimerOp:
    if frame.cancel is not None:
        return CancelTimer(frame.cancel)
    if not 0 <= frame.delay < float("inf"):
        raise bad_frame("a timer that cannot be set")
    if frame.set is not None and frame.event:
        return SetTimer(frame.set, frame.delay, bytes(frame.event), bytes(frame.after) or None)
    if frame.to is None:
        raise bad_frame("a timer that is for nobody")
    return _message_op(frame, _address(frame.to))


def _message_op(frame: _TimerOpFrame, to: Address) -> SetTimer:
    if frame.send is not None and frame.event:
        return SetTimer(frame.send, frame.delay, bytes(frame.event), message=Message(to))
    if frame.done is not None:
        message = Message(to, MessageKind.DONE, frame.done)
        return SetTimer("", 0, bytes(frame.output) or b"null", message=message)
    if frame.spawn is not None and frame.context:
        version_id = None if frame.version is None else VersionId(frame.version)
        message = Message(to, MessageKind.SPAWN, frame.spawn, version_id)
        return SetTimer("", 0, bytes(frame.context), message=message)
    raise bad_frame("a message without its content")


def _address(frame: _AddressFrame) -> Address:
    try:
        return Address(
            parse_machine_name(frame.machine_name),
            parse_instance_name(frame.machine_instance_name),
        )
    except InvalidParameter as error:
        raise bad_frame("a message to what cannot be a name") from error

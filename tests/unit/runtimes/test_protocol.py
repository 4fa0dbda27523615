"""Requests to frames and frames to values, without a process."""

from __future__ import annotations

import json

import msgspec
import pytest

from statekeep.domain.errors import InvalidCode, MachineError, TooLarge
from statekeep.domain.event import Delivery, EndedChild, Event, LostChild, Origin
from statekeep.domain.limits import SNAPSHOT_BYTES_MAX
from statekeep.domain.message import Address, Message, MessageKind, Parent
from statekeep.domain.names import InstanceId, InstanceName, MachineName, VersionId
from statekeep.domain.step import (
    ChildrenState,
    Effects,
    Failed,
    Ignored,
    Later,
    Macrostep,
    Refused,
    Stepped,
)
from statekeep.domain.timer import CancelTimer, SetTimer
from statekeep.ports.runtime import Standing
from statekeep.runtimes import protocol
from statekeep.runtimes.protocol import BadFrame, HostLimits

STANDING = Standing(InstanceId(7), InstanceName("a|b~c"), 3, b'{"value":"on","context":{}}')
KID = Address(MachineName("room"), InstanceName("r1"))
GO = Event("go", b'{"type":"go","n":1}')
VIEW = {"state": "on", "tags": [], "done": False}
STEP = {"snapshot": {"value": "on", "context": {}}, "view": VIEW}


def sent(request: bytes) -> dict[str, object]:
    """The frame that a request becomes."""
    frame: dict[str, object] = json.loads(b'{"id":1,%b}' % request)
    assert b"\n" not in request
    assert frame.pop("id") == 1
    return frame


def outcome(**result: object):
    """What a result stands for."""
    frame = protocol.decode_frame(msgspec.json.encode({"re": 1, "r": result}))
    assert frame.r is not None
    return protocol.outcome_of(frame.r)


# Requests


def test_load() -> None:
    """The code travels as a string, whatever is in it, and limits by their names."""
    limits = HostLimits(1, 2, 3, 4, 5, 6, 7, deny_private_network=True)
    frame = sent(protocol.load('"quoted"\n\\', limits))
    assert frame["code"] == '"quoted"\n\\'
    assert frame["limits"] == {
        "contextBytes": 1,
        "snapshotBytes": 2,
        "jsonDepth": 3,
        "macrosteps": 4,
        "logBytes": 5,
        "sessions": 6,
        "sessionBytes": 7,
        "denyPrivateNetwork": True,
    }


def test_create() -> None:
    """Without an auth context nobody is asked."""
    frame = sent(protocol.create(7, "one", b'{"a":1}', b'{"sub":"me"}'))
    assert frame == {
        "op": "create",
        "i": 7,
        "name": "one",
        "context": {"a": 1},
        "auth": {"sub": "me"},
        "authorize": True,
    }
    frame = sent(protocol.create(7, "one", b"{}", None))
    assert (frame["auth"], frame["authorize"]) == (None, False)
    parent = Parent(Address(MachineName("boss"), InstanceName("b:1")), 'the "kid"')
    frame = sent(protocol.create(7, "one", b"{}", None, parent))
    assert frame["parent"] == {
        "machineName": "boss",
        "machineInstanceName": "b:1",
        "id": 'the "kid"',
    }


def test_done_events() -> None:
    """As each major of XState names them, whatever the child is called."""
    five = protocol.done_event('a "kid"', b'{"n":1}', xstate_major=5)
    name = 'xstate.done.actor.a "kid"'
    assert five.type == name
    expected = {"type": name, "output": {"n": 1}, "actorId": 'a "kid"'}
    assert msgspec.json.decode(five.json) == expected
    four = protocol.done_event("kid", b"null", xstate_major=4)
    assert msgspec.json.decode(four.json) == {"type": "done.invoke.kid", "data": None}


def test_step() -> None:
    """Each kind of delivery has its form, and the snapshot comes only where it is wanted."""
    deliveries = [
        Delivery(GO, Origin.CLIENT, b'{"sub":"me"}'),
        Delivery(GO, Origin.MESSAGE, b"{}", ended_child=EndedChild("kid", b"1", KID)),
        Delivery(GO, Origin.TIMER, timer_seq=4),
        Delivery(GO, Origin.CHILD, handle=9),
        Delivery(GO, Origin.LOST_CHILD, lost_child=LostChild('a "child"', "why")),
        Delivery(GO, Origin.LOST_CHILD, lost_child=LostChild("kid", "why", KID)),
    ]
    request = protocol.step(deliveries)
    event = {"type": "go", "n": 1}
    at = {"machineName": "room", "machineInstanceName": "r1"}
    expected = {
        "op": "step",
        "i": 7,
        "name": "a|b~c",
        "rev": 3,
        "events": [
            {"event": event, "auth": {"sub": "me"}},
            {"event": event, "auth": {}, "done": {"id": "kid", "at": at}},
            {"event": event},
            {"event": event, "h": 9},
            {"lost": 'a "child"', "why": "why"},
            {"lost": "kid", "why": "why", "at": at},
        ],
    }
    assert sent(protocol.on(STANDING, request, with_snapshot=False)) == expected
    full = sent(protocol.on(STANDING, request, with_snapshot=True))
    assert full == {**expected, "snapshot": {"value": "on", "context": {}}}
    alone = protocol.on(STANDING, protocol.step(deliveries[:1]), with_snapshot=False)
    assert sent(alone)["events"] == expected["events"][:1]  # type: ignore[index]


def test_the_rest() -> None:
    """Requests about an instance, and a sign of life."""
    read = protocol.on(STANDING, protocol.read([b"{}", b'{"a":1}']), with_snapshot=False)
    assert sent(read)["auths"] == [{}, {"a": 1}]
    assert sent(protocol.perform(7, 3)) == {"op": "perform", "i": 7, "rev": 3}
    assert sent(protocol.stop(7)) == {"op": "stop", "i": 7}
    assert sent(protocol.save(7)) == {"op": "save", "i": 7}
    assert sent(protocol.discard(7)) == {"op": "discard", "i": 7}
    assert sent(protocol.PING) == {"op": "ping"}


# Replies


def test_an_event_that_was_accepted() -> None:
    """Snapshots, views and events pass through as the bytes they came as."""
    own = {**STEP, "event": {"type": "own"}, "silent": True}
    stepped = outcome(
        steps=[STEP, own],
        timers=[
            {"set": "t", "delay": 5, "event": {"type": "x"}, "after": {"path": ["a"], "n": 0}},
            {"cancel": "u"},
        ],
        due=["a"],
        live=2,
        effects="children",
    )
    view, snapshot = msgspec.json.encode(VIEW), b'{"value":"on","context":{}}'
    assert stepped == Stepped(
        (
            Macrostep(None, snapshot, view),
            Macrostep(b'{"type":"own"}', snapshot, view, is_silent=True),
        ),
        (SetTimer("t", 5, b'{"type":"x"}', b'{"path":["a"],"n":0}'), CancelTimer("u")),
        ("a",),
        2,
        Effects.CHILDREN,
    )
    done = {**STEP, "view": {**VIEW, "done": True}}
    finished = outcome(steps=[done])
    assert isinstance(finished, Stepped)
    assert finished.is_done
    assert finished.effects is Effects.NONE


def test_messages() -> None:
    """What goes to other instances comes among the timers: events, the end of the instance, and instances to be made."""
    to = {"machineName": "toy", "machineInstanceName": "a|b"}
    stepped = outcome(
        steps=[STEP],
        timers=[
            {"send": "s", "to": to, "event": {"type": "x"}, "delay": 5},
            {"send": "", "to": to, "event": {"type": "x"}},
            {"done": "kid", "to": to, "output": [1]},
            {"done": "kid", "to": to},
            {"spawn": "kid", "to": to, "version": "ver_1", "context": {"a": 1}},
        ],
    )
    assert isinstance(stepped, Stepped)
    address = Address(MachineName("toy"), InstanceName("a|b"))
    event, done = Message(address), Message(address, MessageKind.DONE, "kid")
    spawn = Message(address, MessageKind.SPAWN, "kid", VersionId("ver_1"))
    assert stepped.timer_ops == (
        SetTimer("s", 5, b'{"type":"x"}', message=event),
        SetTimer("", 0, b'{"type":"x"}', message=event),
        SetTimer("", 0, b"[1]", message=done),
        SetTimer("", 0, b"null", message=done),
        SetTimer("", 0, b'{"a":1}', message=spawn),
    )


@pytest.mark.parametrize(
    "message",
    [
        {"send": "s", "event": {"type": "x"}},
        {"send": "s", "to": {"machineName": "a/b", "machineInstanceName": "c"}, "event": {}},
        {"send": "s", "to": {"machineName": "a", "machineInstanceName": ".."}, "event": {}},
        {"send": "s", "to": {"machineName": "a", "machineInstanceName": "b"}},
        {"spawn": "s", "to": {"machineName": "a", "machineInstanceName": "b"}},
        {
            "send": "s",
            "to": {"machineName": "a", "machineInstanceName": "b"},
            "event": {},
            "delay": -1,
        },
    ],
)
def test_messages_that_break_the_protocol(message) -> None:
    """A host that names no receiver that can exist, or brings nothing, is not to be trusted."""
    with pytest.raises(protocol.BadFrame):
        outcome(steps=[STEP], timers=[message])


def test_events_that_were_not() -> None:
    """Each reason is a value of its own."""
    assert outcome(denied=True) == Refused()
    assert outcome(ignored=True) == Ignored()
    assert outcome(later=True) == Later()
    failed = outcome(error={"code": "machine-error", "message": "its words", "stack": "at x"})
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, MachineError)
    assert (failed.error.message, failed.error.stack) == ("its words", "at x")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("context-too-large", TooLarge),
        ("bad-version", InvalidCode),
        ("machine-error", MachineError),
        ("something new", MachineError),
    ],
)
def test_codes_are_errors(code: str, kind: type[Exception]) -> None:
    """Codes that nobody knows are the machine failing."""
    frame = protocol.decode_frame(
        msgspec.json.encode({"re": 1, "error": {"code": code, "message": "m"}})
    )
    assert frame.error is not None
    assert type(protocol.error_of(frame.error)) is kind


def test_reads_saves_and_children() -> None:
    """The other answers."""
    frame = protocol.decode_frame(b'{"re":1,"view":{"a": 1},"allowed":[true,false]}')
    assert protocol.read_answer_of(frame, 2) == (b'{"a": 1}', (True, False))
    frame = protocol.decode_frame(b'{"re":1,"view":{},"snapshot":{"value":1}}')
    assert protocol.saved_state_of(frame) == (b'{"value":1}', b"{}")
    frame = protocol.decode_frame(b'{"re":1,"due":["a"],"live":3}')
    assert protocol.children_of(frame) == ChildrenState(("a",), 3)
    frame = protocol.decode_frame(b'{"op":"event","i":7,"h":2,"event":{"type":"x"}}')
    assert protocol.event_of(frame.event) == Event("x", b'{"type":"x"}')


# A host that lies


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"re":"1"}',
        b'{"re":1,"r":{"steps":[{"view":{}}]}}',
        b'{"re":1,"r":{"steps":[{"view":{},"snapshot":{}}],"effects":"all"}}',
        b'{"re":1,"r":{"due":[1]}}',
        b'{"op":"rule","i":1}',
        b'{"op":"log","i":1,"stream":3}',
    ],
)
def test_what_is_no_frame(line: bytes) -> None:
    """It is not taken for one."""
    with pytest.raises(msgspec.DecodeError):
        protocol.decode_frame(line)


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"steps": [STEP], "timers": [{}]},
        {"steps": [STEP], "timers": [{"set": "t", "delay": -1, "event": {}}]},
        {"steps": [STEP], "timers": [{"set": "t", "delay": 1}]},
        {"steps": [{**STEP, "snapshot": "x" * SNAPSHOT_BYTES_MAX}]},
    ],
)
def test_results_that_make_no_sense(result: dict[str, object]) -> None:
    """They are faults of the host."""
    with pytest.raises(BadFrame):
        outcome(**result)


def test_answers_with_parts_missing() -> None:
    """A read without its answer, a save without its snapshot, an event without itself."""
    nothing = protocol.decode_frame(b'{"re":1,"view":{},"allowed":[true]}')
    with pytest.raises(BadFrame):
        protocol.read_answer_of(nothing, 2)
    with pytest.raises(BadFrame):
        protocol.saved_state_of(nothing)
    with pytest.raises(BadFrame):
        protocol.event_of(nothing.event)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"\ud83d", "\ufffd"),
        (rb"a\udc00\ud800b", "a\ufffd\ufffdb"),
        (rb"\\ud800", "\\ud800"),
        (rb"\\\ud800\u001b\\", "\\\ufffd\x1b\\"),
        ("\U0001f600".encode(), "\U0001f600"),
    ],
)
def test_half_a_character_is_read_as_none(written: bytes, read: str) -> None:
    """A host that cuts a text in the middle of an emoji keeps to the protocol, wherever that text is."""
    line = b'{"op":"log","i":null,"stream":1,"ts":0,"text":"%b","event":{"a%b":1}}' % (
        written,
        written,
    )
    frame = protocol.decode_frame(line)
    assert frame.text == read
    assert json.loads(bytes(frame.event)) == {f"a{read}": 1}


def test_other_nonsense_is_no_frame() -> None:
    """Nor is nonsense with half a character in it."""
    for line in (b"{", rb'{"text":"\ud800"', rb'{"text":"\ud8"}', b"\xff"):
        with pytest.raises(msgspec.DecodeError):
            protocol.decode_frame(line)

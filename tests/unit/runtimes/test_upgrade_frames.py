"""Frames about upgrades: requests, and answers that nobody has to believe."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from statekeep.domain.errors import MachineError, UpgradeFailed
from statekeep.domain.limits import OUTLINE_BYTES_MAX, SNAPSHOT_BYTES_MAX
from statekeep.domain.machine import Machine
from statekeep.domain.migration import Losses, RenamedTimer, Upgraded
from statekeep.domain.names import InstanceId, InstanceName, MachineName, OrganizationId
from statekeep.domain.timer import SetTimer, Timer
from statekeep.ports.runtime import Leaving, Standing
from statekeep.runtimes import protocol
from statekeep.runtimes.protocol import BadFrame, HostLimits
from tests.support.builders import NOW, a_version

VERSION = replace(
    a_version(Machine(1, OrganizationId("org_a"), MachineName("m"), (), NOW, None)), xstate_major=4
)
STANDING = Standing(InstanceId(7), InstanceName("a|b~c"), 3, b'{"value":"on","context":{}}')
TIMERS = (
    Timer(1, 'a "quoted" id', 5.0, b'{"type":"T"}', b'{"path":[],"n":0,"delay":1}'),
    Timer(2, "mine", 5.0, b'{"type":"M"}'),
    Timer(3, "dead", 5.0, b'{"type":"D"}', is_dead=True),
)
VIEW = {"state": "on", "tags": [], "done": True}
ANSWER: dict[str, Any] = {
    "snapshot": {"value": "on", "context": {}},
    "view": VIEW,
    "timers": {"renamed": [], "cancelled": [], "started": []},
    "lost": {"children": [], "history": []},
}


def sent(request: bytes) -> dict[str, Any]:
    assert b"\n" not in request
    frame: dict[str, Any] = json.loads(b'{"id":1,%b}' % request)
    return frame


def upgraded(**changes: Any) -> Upgraded:
    text = msgspec.json.encode({"re": 1, "upgraded": ANSWER | changes})
    return protocol.upgraded_of(protocol.decode_frame(text))


def test_the_request() -> None:
    """The old snapshot as it is, living timers only, and code where it is needed."""
    leaving = Leaving(VERSION, STANDING, TIMERS)
    outline = b'{"major":4,"states":[{"path":[],"type":"atomic"}]}'
    codes = [("mig_a", b'"quoted"\n'), ("mig_b", None)]
    assert sent(protocol.upgrade(leaving, outline, codes)) == {
        "id": 1,
        "op": "upgrade",
        "i": 7,
        "name": "a|b~c",
        "major": 4,
        "states": [{"path": [], "type": "atomic"}],
        "snapshot": {"value": "on", "context": {}},
        "timers": [
            {
                "seq": 1,
                "id": 'a "quoted" id',
                "event": {"type": "T"},
                "after": {"path": [], "n": 0, "delay": 1},
            },
            {"seq": 2, "id": "mine", "event": {"type": "M"}},
        ],
        "migrations": [{"id": "mig_a", "code": '"quoted"\n'}, {"id": "mig_b"}],
    }
    assert "states" not in sent(protocol.upgrade(leaving, None, []))


def test_a_migration_is_loaded_as_one() -> None:
    """Else like a machine."""
    limits = HostLimits(1, 2, 3, 4, 5, 6, 7, deny_private_network=True)
    frame = sent(protocol.load_migration("code", limits))
    assert (frame["op"], frame["kind"], frame["code"]) == ("load", "migration", "code")


def test_the_answer() -> None:
    """Every part of it, as the JSON that it came as."""
    timers = {
        "renamed": [{"seq": 1, "id": "n", "event": {"type": "N"}, "after": {"path": []}}],
        "cancelled": [2],
        "started": [{"set": "s", "delay": 5, "event": {"type": "S"}, "after": {"n": 0}}],
    }
    answer = upgraded(timers=timers, lost={"children": ["c"], "history": [["a", "b"]]})
    assert answer == Upgraded(
        b'{"value":"on","context":{}}',
        msgspec.json.encode(VIEW),
        True,
        (RenamedTimer(1, "n", b'{"type":"N"}', b'{"path":[]}'),),
        (2,),
        (SetTimer("s", 5, b'{"type":"S"}', b'{"n":0}'),),
        Losses(("c",), (("a", "b"),)),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshot": "x" * SNAPSHOT_BYTES_MAX},
        {"timers": ANSWER["timers"] | {"started": [{"cancel": "s"}]}},
        {"timers": ANSWER["timers"] | {"started": [{"set": "s", "delay": -1, "event": {}}]}},
        {"timers": ANSWER["timers"] | {"renamed": [{"seq": 1, "id": "n"}]}},
        {"timers": None},
        {"lost": {"children": [1], "history": []}},
        {"view": {}},
    ],
)
def test_an_answer_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    """The host that sent it is not to be trusted any further."""
    with pytest.raises((BadFrame, msgspec.DecodeError)):
        upgraded(**changes)


def test_there_has_to_be_an_answer() -> None:
    """To either question, and within its bound."""
    nothing = protocol.decode_frame(b'{"re":1,"pong":true}')
    for read in (protocol.upgraded_of, protocol.outline_of):
        with pytest.raises(BadFrame):
            read(nothing)
    large = protocol.decode_frame(
        msgspec.json.encode({"re": 1, "outline": "x" * OUTLINE_BYTES_MAX})
    )
    with pytest.raises(BadFrame):
        protocol.outline_of(large)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("migration-error", UpgradeFailed),
        ("no-such-state", UpgradeFailed),
        ("machine-error", MachineError),
    ],
)
def test_failures(code: str, kind: type[MachineError]) -> None:
    """Those of upgrades can be told apart."""
    error = protocol.error_of(protocol.FailureFrame(code, "why", "at x"))
    assert type(error) is kind
    assert error.message == "why"
    if isinstance(error, UpgradeFailed):
        assert (error.reason, error.stack) == (code, "at x")

"""The lines of an export (docs/export.md): JSON objects, told apart by `type`.

JSON of others (snapshots, events) stands in a line as it is where it is an object that every reader of JSON takes. Where it is not, it stands there as a string
that holds the JSON: JavaScript writes strings with half a character in them, which no UTF-8 has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, Literal, NoReturn

from msgspec import UNSET, DecodeError, Meta, Raw, Struct, UnsetType, ValidationError
from msgspec import json as msgspec_json

from statekeep.wire.codecs import Malformed, encode
from statekeep.wire.depth import JSON_DEPTH_MAX, is_too_deep
from statekeep.wire.fields import InstanceStatus

FORMAT: Final = "statekeep-export"
FORMAT_VERSION: Final = 1
NUMBER_MAX: Final = 2**48
"""Of revisions and numbers of timers: so far below what any reader of JSON keeps exact that nothing counts up to there."""

Instant = Annotated[datetime, Meta(tz=True)]
_Number = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
_Revision = Annotated[int, Meta(ge=1, le=NUMBER_MAX)]
_Count = Annotated[int, Meta(ge=0)]
OriginName = Literal[
    "creation",
    "client",
    "timer",
    "child",
    "self",
    "lost_child",
    "housekeeping",
    "message",
    "upgrade",
]


class Line(Struct, rename="camel", tag_field="type", forbid_unknown_fields=True):
    """Base of all lines."""


class Header(Line, tag="header"):
    """The first line."""

    format: str
    version: int
    exported_at: Instant
    organization: str
    organization_name: str
    journal: Literal["all", "newest"]
    server: str


class JournalRetention(Struct, rename="camel", forbid_unknown_fields=True):
    """Bounds of the journals of a machine's instances. One that is missing is none."""

    max_age: str | UnsetType = UNSET
    max_entries: int | UnsetType = UNSET


class LogRetention(Struct, rename="camel", forbid_unknown_fields=True):
    """How long its log entries are kept. As long as the server keeps any where it is missing."""

    max_age: str | UnsetType = UNSET


class Retention(Struct, rename="camel", forbid_unknown_fields=True):
    """What was chosen for a machine. What is missing is left to the server."""

    journal: JournalRetention | UnsetType = UNSET
    logs: LogRetention | UnsetType = UNSET


class Machine(Line, tag="machine"):
    """A machine."""

    name: str
    indexes: tuple[str, ...]
    created_at: Instant
    retention: Retention | UnsetType = UNSET


class Version(Line, tag="version"):
    """A version of a machine before it. `code` is its module in base64."""

    machine: str
    id: str
    created_at: Instant
    is_current: bool
    xstate: int
    index_selectors: dict[str, str]
    code: bytes
    client_info: str | UnsetType = UNSET


class Migration(Line, tag="migration"):
    """A migration between versions before it."""

    machine: str
    id: str
    from_machine_version_id: str
    to_machine_version_id: str
    created_at: Instant
    code: bytes


class VersionSpan(Struct, rename="camel", forbid_unknown_fields=True):
    """From which revision on an instance had which version."""

    from_revision: _Revision
    id: str


class Instance(Line, tag="instance"):
    """An instance; its entries and then its timers follow. `due` are the children whose answers it waits for."""

    machine: str
    name: str
    status: InstanceStatus
    created_at: Instant
    versions: tuple[VersionSpan, ...]
    revision: _Revision
    next_timer_seq: _Number
    due: tuple[str, ...] = ()
    desired_machine_version_id: str | UnsetType = UNSET


class Entry(Line, tag="entry"):
    """A transition of the instance before it."""

    revision: _Revision
    ts: float
    origin: OriginName
    event: Raw
    snapshot: Raw


class Message(Struct, rename="camel", forbid_unknown_fields=True):
    """Where a timer's event goes, where that is another instance."""

    machine: str
    instance: str
    kind: Literal["event", "done", "spawn"]
    child_id: str = ""
    machine_version_id: str | UnsetType = UNSET


class Timer(Line, tag="timer", omit_defaults=True):
    """A pending timer of the instance before it, a message that it has sent and that has not arrived, or a dead letter."""

    seq: _Number
    send_id: str
    due_at: float
    event: Raw
    after: Raw | UnsetType = UNSET
    message: Message | UnsetType = UNSET
    tries: _Number = 0
    is_dead: bool = False
    hops: _Number = 0
    failure: str | UnsetType = UNSET


class End(Line, tag="end"):
    """The last line. `sha256` is that of all lines before it, their ends included."""

    lines: _Count
    sha256: str


class Failure(Line, tag="error"):
    """In place of the end: why the export ended early."""

    error: str


class _Snapshot(Struct):
    value: Raw
    context: Raw


class _Event(Struct):
    type: Raw


AnyLine = Header | Machine | Version | Migration | Instance | Entry | Timer | End | Failure

_decode: Final[Callable[[bytes], AnyLine]] = msgspec_json.Decoder(AnyLine).decode
_decode_snapshot: Final[Callable[[bytes], _Snapshot]] = msgspec_json.Decoder(_Snapshot).decode
_decode_event: Final[Callable[[bytes], _Event]] = msgspec_json.Decoder(_Event).decode
_ODD: Final = re.compile(rb"\\u[dD][89abAB]|[\n\r]")


def encode_line(line: Line) -> bytes:
    """With its end."""
    return encode(line) + b"\n"


def decode_line(line: bytes) -> AnyLine:
    """The line without its end. Raises Malformed."""
    try:
        # What is taken as it stands is not looked at by the decoder.
        line.decode()
        return _decode(line)
    except UnicodeDecodeError as error:
        raise Malformed("it is not UTF-8") from error
    except RecursionError as error:
        raise Malformed(f"it is nested more than {JSON_DEPTH_MAX} deep") from error
    except ValidationError as error:
        raise Malformed(f"it is no line of an export: {error}") from error
    except DecodeError as error:
        raise Malformed(f"it is not JSON: {error}") from error


def embed(text: bytes) -> Raw:
    """JSON of somebody else as part of a line."""
    if text.startswith(b"{") and _ODD.search(text) is None:
        return Raw(text)
    return Raw(encode(text.decode()))


def embedded(raw: Raw, *, is_object: bool = True) -> bytes:
    """Back from `embed`. Raises Malformed where it is not JSON, or not an object though it should be."""
    text = bytes(raw)
    if text.startswith(b'"'):
        text = msgspec_json.decode(text, type=str).encode()
        _require_json(text)
    elif not text.startswith(b"{"):
        raise Malformed("snapshots and events are objects, or strings that hold JSON")
    if is_object and not text.startswith(b"{"):
        raise Malformed("this has to be an object of JSON")
    if is_too_deep(text):
        raise Malformed(f"snapshots and events are nested at most {JSON_DEPTH_MAX} deep")
    return text


def embedded_snapshot(raw: Raw) -> bytes:
    """The same of a snapshot. Raises Malformed also where it lacks what is shown of every one: a state value and a context."""
    text = embedded(raw)
    try:
        is_snapshot = bytes(_decode_snapshot(text).value).startswith((b'"', b"{"))
    except ValidationError as error:
        raise Malformed(f"it is no snapshot: {error}") from error
    except DecodeError:
        # Half a character somewhere. Python's own reader has taken it already.
        odd = json.loads(text)
        is_snapshot = isinstance(odd.get("value"), (str, dict)) and "context" in odd
    if not is_snapshot:
        raise Malformed("it is no snapshot: it needs a context, and a string or object as value")
    return text


def embedded_event(raw: Raw) -> bytes:
    """The same of an event that a machine gets, or got. Raises Malformed also where it has no type."""
    text = embedded(raw)
    try:
        is_event = bytes(_decode_event(text).type).startswith(b'"')
    except ValidationError as error:
        raise Malformed(f"it is no event: {error}") from error
    except DecodeError:
        is_event = isinstance(json.loads(text).get("type"), str)
    if not is_event:
        raise Malformed("it is no event: it needs a string as type")
    return text


def _require_json(text: bytes) -> None:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Malformed("a string should hold JSON, and does not") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)

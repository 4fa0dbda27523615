"""Reading snapshots, whose form is that of docs/host-protocol.md."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from statekeep.domain.errors import TooLarge
from statekeep.ports.snapshots import Place


class _Snapshot(msgspec.Struct):
    context: Any = None


class _Standing(msgspec.Struct):
    value: msgspec.Raw


class _State(msgspec.Struct):
    path: tuple[str, ...]
    type: str


class _Outline(msgspec.Struct):
    states: tuple[_State, ...]


_decode_standing: Final = msgspec.json.Decoder(_Standing).decode
_decode_outline: Final = msgspec.json.Decoder(_Outline).decode
_decode: Final = msgspec.json.Decoder(_Snapshot).decode
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def read_context(snapshot: bytes) -> Any:
    """See ports.snapshots.ReadContext. Nothing but the context is decoded."""
    try:
        return _decode(snapshot).context
    except msgspec.DecodeError:
        return _read_odd(snapshot)
    except RecursionError as error:
        raise _too_deep() from error


def read_state_value(snapshot: bytes) -> bytes:
    """See ports.snapshots.ReadStateValue."""
    return bytes(_decode_standing(snapshot).value)


def read_leaves(value: bytes) -> list[tuple[str, ...]]:
    """See ports.snapshots.ReadLeaves."""
    # Python's own decoder takes names with half a surrogate pair.
    return _leaves(json.loads(value), ())


def read_places(outline: bytes) -> list[Place]:
    """See ports.snapshots.ReadPlaces."""
    try:
        states = _decode_outline(outline).states
    except msgspec.DecodeError:
        odd = json.loads(outline)["states"]
        states = tuple(_State(tuple(state["path"]), state["type"]) for state in odd)
    return [Place(state.path, state.type == "history") for state in states]


def _leaves(value: Any, above: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(value, str):
        return [(*above, value)]
    if not value:
        return [above]
    return [leaf for key, below in value.items() for leaf in _leaves(below, (*above, key))]


def _read_odd(snapshot: bytes) -> Any:
    """JavaScript has strings with half a character in them, and writes them out; no UTF-8 has."""
    try:
        return _whole(json.loads(snapshot).get("context"))
    except RecursionError as error:
        raise _too_deep() from error


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def _too_deep() -> TooLarge:
    return TooLarge("the context is nested too deeply to be searched for what its indexes hold")

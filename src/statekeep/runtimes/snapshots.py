"""Reading snapshots, whose form is that of docs/host-protocol.md."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from statekeep.domain.errors import TooLarge


class _Snapshot(msgspec.Struct):
    context: Any = None


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

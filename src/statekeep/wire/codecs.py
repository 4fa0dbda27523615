"""JSON to values and back.

What leaves here as bytes is one line of valid UTF-8 without duplicate keys, so that it may be put into other JSON as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from statekeep.wire.complaints import complaint
from statekeep.wire.depth import JSON_DEPTH_MAX, is_too_deep

Body = TypeVar("Body")

encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode


class Malformed(Exception):
    """Not JSON, or not of the shape that was asked for. `field` names the offending one at the top level, where there is one."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def decoder_for(shape: type[Body]) -> Callable[[bytes], Body]:
    """A function from JSON to `shape`. An empty body counts as an empty object. The function raises Malformed."""
    decode = msgspec.json.Decoder(shape).decode

    def decode_body(body: bytes) -> Body:
        if is_too_deep(body):
            raise Malformed(f"the body is nested more than {JSON_DEPTH_MAX} deep")
        try:
            return decode(body or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(error, shape, body) from error

    return decode_body


def _malformed(error: Exception, shape: type, body: bytes) -> Malformed:
    if isinstance(error, UnicodeDecodeError):
        return Malformed("the body is not UTF-8")
    if isinstance(error, RecursionError):
        return Malformed("the body is nested too deeply")
    if not isinstance(error, msgspec.ValidationError):
        return Malformed(f"the body is not JSON: {error}")
    message, field = complaint(error, shape, body)
    return Malformed(message, field=field)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds(text: str) -> int | None:
    """An instant in ISO 8601 as whole milliseconds since the epoch, cut off. UTC where it names no offset; None where it is none that
    `timestamp_of_milliseconds` can write."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return (instant.astimezone(UTC) - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None


def timestamp_of_milliseconds(ms: int) -> str:
    """The instant so many whole milliseconds after the epoch, as JavaScript's `toISOString()` writes it. Exact, unlike a float of seconds."""
    return timestamp(_EPOCH + ms * _MILLISECOND)


def timestamp(instant: datetime) -> str:
    """The instant exactly as JavaScript's `toISOString()` writes it."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"

"""The part of the host protocol that is about HTTP mapping (docs/host-protocol.md): requests to frames, frames to values. No I/O."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Any, Final

import msgspec

from statekeep.domain.errors import (
    HttpMappingFailed,
    InvalidParameter,
    NotFound,
    StatekeepError,
)
from statekeep.domain.event import Event
from statekeep.domain.http_mapping import (
    HANDLER_FAILED,
    BodyKind,
    HttpAnswer,
    HttpRequest,
    Meaning,
)
from statekeep.domain.limits import (
    HTTP_DEPTH_MAX,
    HTTP_MEANING_BYTES_MAX,
    HTTP_RESPONSE_BYTES_MAX,
)
from statekeep.domain.message import SENDER_CLAIM
from statekeep.domain.names import InstanceId
from statekeep.runtimes.protocol import FailureFrame, bad_frame, error_of, event_of

_encode: Final = msgspec.json.encode

UNKNOWN: Final = "http-unknown"
"""The code of a failure: the version has no such function."""


class _MeaningFrame(msgspec.Struct):
    name: str
    event: msgspec.Raw
    auth: dict[str, msgspec.Raw]
    context: dict[str, msgspec.Raw] | None = None


class _AnswerFrame(msgspec.Struct):
    status: int
    headers: list[tuple[str, str]]
    body: msgspec.Raw = msgspec.Raw()
    base64: str | None = None


_decode_meaning: Final = msgspec.json.Decoder(_MeaningFrame).decode
_decode_answer: Final = msgspec.json.Decoder(_AnswerFrame).decode


def handle(slug: str, request: HttpRequest) -> bytes:
    """Ask a handler."""
    return b'"op":"handle","slug":%b,"request":%b,"bounds":%b' % (
        _encode(slug),
        _encode(_request(request)),
        _bounds(HTTP_MEANING_BYTES_MAX),
    )


def respond(slug: str, instance_id: InstanceId, snapshot: bytes) -> bytes:
    """Ask a response mapper."""
    return b'"op":"respond","i":%d,"slug":%b,"snapshot":%b,"bounds":%b' % (
        instance_id,
        _encode(slug),
        snapshot,
        _bounds(HTTP_RESPONSE_BYTES_MAX),
    )


def meaning_of(json: msgspec.Raw) -> Meaning:
    """What a handler answered."""
    try:
        frame = _decode_meaning(json)
        event: Event = event_of(frame.event)
    except msgspec.DecodeError as error:
        raise bad_frame(f"a meaning that is none: {error}") from error
    frame.auth.pop(SENDER_CLAIM, None)
    context = None if frame.context is None else _encode(frame.context)
    return Meaning(frame.name, event, _encode(frame.auth), context)


def answer_of(json: msgspec.Raw) -> HttpAnswer:
    """What a response mapper answered."""
    try:
        frame = _decode_answer(json)
        body, media_type = _body(frame)
    except (msgspec.DecodeError, binascii.Error) as error:
        raise bad_frame(f"an HTTP answer that is none: {error}") from error
    return HttpAnswer(frame.status, tuple(frame.headers), body, media_type)


def http_error_of(frame: FailureFrame) -> StatekeepError:
    """The error that a failure stands for."""
    if frame.code == UNKNOWN:
        return NotFound("there is no such endpoint")
    if frame.code == "http-body":
        return InvalidParameter(frame.message, parameter="body")
    if frame.code == "http-refused":
        return HttpMappingFailed(frame.message)
    if frame.code == "http-failed":
        return HttpMappingFailed(HANDLER_FAILED)
    return error_of(frame)


def _bounds(bytes_max: int) -> bytes:
    return b'{"bytes":%d,"depth":%d}' % (bytes_max, HTTP_DEPTH_MAX)


def _request(request: HttpRequest) -> dict[str, Any]:
    fields = {"method": request.method, "headers": request.headers, "query": request.query}
    if not request.body:
        return fields
    if request.kind is BodyKind.BYTES:
        return {**fields, "body": {"base64": b64encode(request.body).decode("ascii")}}
    return {**fields, "body": {request.kind.value: request.body.decode()}}


def _body(frame: _AnswerFrame) -> tuple[bytes, str | None]:
    if frame.base64 is not None:
        return b64decode(frame.base64, validate=True), "application/octet-stream"
    json = bytes(frame.body)
    if not json:
        return b"", None
    if json.startswith(b'"'):
        text: str = msgspec.json.decode(json, type=str)
        return text.encode(), "text/plain; charset=utf-8"
    return json, "application/json"

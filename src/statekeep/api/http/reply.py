"""An answer, ready to send."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from typing import Final, NamedTuple

from starlette.types import Receive, Send

from statekeep.wire import codecs
from statekeep.wire.answers import Answer

Headers = list[tuple[bytes, bytes]]

JSON_HEADERS: Final[Headers] = [
    (b"content-type", b"application/json"),
    # Answers hold private things: states, and once even the secret of a key.
    (b"cache-control", b"no-store"),
]


class StreamReply(NamedTuple):
    """Status and headers, and a body that comes in parts, perhaps for ever. It is broken off where the client takes none for `stall_seconds`."""

    status: int
    headers: Headers
    parts: AsyncGenerator[bytes, None]
    stall_seconds: float | None = None


class Stalled(Exception):
    """The client has stopped reading, and what was read for it is needed elsewhere: its connection has to go."""


class Reply(NamedTuple):
    """Status, headers and body, the length of the body among the headers."""

    status: int
    headers: Headers
    body: bytes


def json_reply(status: int, body: bytes, extra_headers: Headers | None = None) -> Reply:
    """JSON, encoded already."""
    length = (b"content-length", b"%d" % len(body))
    return Reply(status, [*JSON_HEADERS, length, *(extra_headers or ())], body)


def text_reply(status: int, text: str, media_type: str) -> Reply:
    """Text of that type, in UTF-8."""
    body = text.encode()
    headers = [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
    ]
    return Reply(status, headers, body)


def answer_reply(status: int, answer: Answer | None) -> Reply:
    """An answer as JSON; without one there is neither a body nor anything said of it."""
    if answer is None:
        # RFC 9110 forbids a length beside 204.
        return Reply(status, [] if status == 204 else [(b"content-length", b"0")], b"")
    return json_reply(status, codecs.encode(answer))


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as HTTP/1.1 writes them."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


async def send_reply(reply: Reply, send: Send) -> None:
    """Send it whole."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})


async def send_stream(reply: StreamReply, receive: Receive, send: Send) -> None:
    """Send part after part, each once there is room for it, until they end or the client is gone."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    with suppress(TimeoutError):
        async with aclosing(reply.parts) as parts, asyncio.timeout(None) as connection:
            leaving = asyncio.create_task(_left(receive))

            def hang_up(left: asyncio.Task[None]) -> None:
                if not left.cancelled():
                    connection.reschedule(-math.inf)

            leaving.add_done_callback(hang_up)
            try:
                async for part in parts:
                    await _send_part(part, send, reply.stall_seconds)
            finally:
                leaving.remove_done_callback(hang_up)
                leaving.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _send_part(part: bytes, send: Send, stall_seconds: float | None) -> None:
    try:
        async with asyncio.timeout(stall_seconds):
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except TimeoutError as error:
        raise Stalled(f"a client took nothing for {stall_seconds} seconds") from error


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

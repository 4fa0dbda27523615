"""Reading bodies of requests, never more of them than is allowed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from starlette.types import Receive

from statekeep.domain.errors import InvalidParameter, TooLarge


class ClientGone(Exception):
    """The client hung up before its request was read: there is nobody to answer."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, *, bytes_max: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be, having read no more than that, and ClientGone."""
    require_declared_size(headers, bytes_max=bytes_max)
    message = await receive()
    # Nearly every body arrives in one piece.
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) <= bytes_max:
            return body
    parts = [part async for part in _parts_from(message, receive, bytes_max)]
    return b"".join(parts)


async def stream_body(receive: Receive, *, bytes_max: int) -> AsyncGenerator[bytes, None]:
    """The body in pieces as they arrive. Raises what `read_body` raises."""
    async for part in _parts_from(await receive(), receive, bytes_max):
        yield part


def require_declared_size(headers: Mapping[bytes, bytes], *, bytes_max: int) -> None:
    """Raises TooLarge where the request says that its body is larger than `bytes_max`."""
    declared = headers.get(b"content-length")
    if declared is None:
        return
    if not declared.isdigit():
        raise InvalidParameter("content-length is no number", parameter="content-length")
    # The number of digits first: Python refuses to read numbers of some thousand digits.
    if len(declared) > 18 or int(declared) > bytes_max:
        raise _too_large(bytes_max)


async def _parts_from(
    message: Mapping[str, object], receive: Receive, bytes_max: int
) -> AsyncGenerator[bytes, None]:
    read = 0
    while True:
        if message["type"] != "http.request":
            raise ClientGone
        part = message.get("body", b"")
        assert isinstance(part, bytes)
        read += len(part)
        if read > bytes_max:
            raise _too_large(bytes_max)
        yield part
        if not message.get("more_body", False):
            return
        message = await receive()


def _too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"the body is larger than {bytes_max} bytes")

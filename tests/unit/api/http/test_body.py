from __future__ import annotations

from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive

from statekeep.api.http.body import ClientGone, read_body, stream_body
from statekeep.domain.errors import InvalidParameter, TooLarge


def receiving(*messages: Message) -> Receive:
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    return receive


def parts(*bodies: bytes) -> Iterable[Message]:
    for number, body in enumerate(bodies, 1):
        yield {"type": "http.request", "body": body, "more_body": number < len(bodies)}


async def whole(receive: Receive, bytes_max: int) -> bytes:
    return await read_body({}, receive, bytes_max=bytes_max)


async def streamed(receive: Receive, bytes_max: int) -> bytes:
    return b"".join([part async for part in stream_body(receive, bytes_max=bytes_max)])


both = pytest.mark.parametrize("read", [whole, streamed])


@both
@pytest.mark.parametrize("bodies", [(b"abcd",), (b"ab", b"", b"cd"), (b"abcd", b"")])
async def test_a_body_as_long_as_allowed_is_read(read, bodies: tuple[bytes, ...]) -> None:
    """In one piece or in many."""
    assert await read(receiving(*parts(*bodies)), 4) == b"abcd"


@both
@pytest.mark.parametrize("bodies", [(b"abcde",), (b"ab", b"cde"), (b"abcd", b"e", b"f")])
async def test_a_longer_one_is_not(read, bodies: tuple[bytes, ...]) -> None:
    """And what follows is not waited for."""
    with pytest.raises(TooLarge):
        await read(receiving(*parts(*bodies)), 4)


@both
async def test_a_client_may_hang_up(read) -> None:
    """At once or in the middle."""
    gone = {"type": "http.disconnect"}
    for messages in ((gone,), ({"type": "http.request", "body": b"a", "more_body": True}, gone)):
        with pytest.raises(ClientGone):
            await read(receiving(*messages), 4)


async def test_an_empty_message_is_an_empty_body() -> None:
    """ASGI lets servers leave both fields out."""
    assert await whole(receiving({"type": "http.request"}), 4) == b""


@pytest.mark.parametrize(
    ("length", "error"),
    [
        (b"5", TooLarge),
        (b"9" * 5000, TooLarge),
        (b"", InvalidParameter),
        (b"-1", InvalidParameter),
        ("\u0665".encode(), InvalidParameter),
    ],
)
async def test_the_length_is_believed_only_where_it_is_one(
    length: bytes, error: type[Exception]
) -> None:
    """Nothing is read for one that is too large."""
    with pytest.raises(error):
        await read_body({b"content-length": length}, receiving(), bytes_max=4)

"""Answers on their way to a client."""

from __future__ import annotations

import asyncio

import pytest

from statekeep.api.http.reply import Stalled, StreamReply, send_stream


async def test_a_client_that_stops_reading_is_given_up():
    """What the parts hold is let go, and the answer does not end as if it were whole."""
    sent = []
    is_closed = asyncio.Event()
    forever = asyncio.Event()

    async def parts():
        try:
            yield b"first"
            yield b"second"
            yield b"third"
        finally:
            is_closed.set()

    async def send(message):
        if message.get("body") == b"second":
            await forever.wait()
        sent.append(message.get("body"))

    async def receive():
        await forever.wait()

    with pytest.raises(Stalled):
        await send_stream(StreamReply(200, [], parts(), stall_seconds=0.001), receive, send)
    assert sent == [None, b"first"]
    assert is_closed.is_set()

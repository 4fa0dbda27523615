"""What a connection does as time goes by. The clock is handed in; the other end is websockets' own protocol for clients."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from statekeep.api.realtime.connection import RealtimeConnection
from statekeep.domain.access import AuthContext
from statekeep.domain.limits import (
    SOCKET_CLOSE_TIMEOUT,
    SOCKET_IDLE_TIMEOUT,
    SOCKET_PING_INTERVAL,
    SOCKET_PONG_TIMEOUT,
)
from tests.support.clock import FakeClock

PING_AFTER = SOCKET_PING_INTERVAL.total_seconds()
PONG_WITHIN = SOCKET_PONG_TIMEOUT.total_seconds()
IDLE = SOCKET_IDLE_TIMEOUT.total_seconds()
CLOSE_WITHIN = SOCKET_CLOSE_TIMEOUT.total_seconds()


class Wire:
    """A transport, and the client at its other end."""

    def __init__(self) -> None:
        caller = AuthContext(None, None, frozenset(), b"{}")
        services = SimpleNamespace(
            authenticator=SimpleNamespace(cached=lambda *_: caller), clock=FakeClock()
        )
        hub = SimpleNamespace(services=services, connections=set(), allows=lambda _: True)
        config: Any = SimpleNamespace(loaded_app=SimpleNamespace(realtime=hub))
        state: Any = SimpleNamespace(connections=set())
        self.is_aborted = False
        self.client = ClientProtocol(parse_uri("ws://localhost/rt?token=t"))
        self.connection = RealtimeConnection(config, state)
        self.connection.connection_made(self)  # type: ignore[arg-type]
        self.client.send_request(self.client.connect())
        self.answer()
        self.heard()

    def write(self, data: bytes) -> None:
        self.client.receive_data(data)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.client.receive_eof()

    def abort(self) -> None:
        self.is_aborted = True

    def heard(self) -> list[Opcode]:
        """What kinds of frames have come."""
        events = self.client.events_received()
        return [event.opcode for event in events if isinstance(event, Frame)]

    def answer(self) -> None:
        """The client sends what it has to send."""
        self.connection.data_received(b"".join(self.client.data_to_send()))


@pytest.fixture
async def wire() -> Wire:
    return Wire()


async def test_a_client_that_answers_pings_stays(wire: Wire) -> None:
    """As long as it has something to say itself now and then."""
    now = asyncio.get_running_loop().time()
    wire.connection.look_at_clock(now + PING_AFTER - 1)
    assert wire.heard() == []
    wire.connection.look_at_clock(now + PING_AFTER + 1)
    assert wire.heard() == [Opcode.PING]
    wire.answer()
    wire.connection.look_at_clock(now + PING_AFTER + 1)
    assert wire.connection.is_open


async def test_a_client_that_is_not_there_any_more_is_let_go(wire: Wire) -> None:
    """It gets time to answer, then the code for it, and then the line is cut."""
    now = asyncio.get_running_loop().time() + PING_AFTER + 1
    wire.connection.look_at_clock(now)
    wire.connection.look_at_clock(now + PONG_WITHIN - 1)
    assert wire.connection.is_open
    wire.connection.look_at_clock(now + PONG_WITHIN)
    assert wire.client.close_rcvd is not None
    assert wire.client.close_rcvd.code == 1011
    assert not wire.is_aborted
    wire.connection.look_at_clock(asyncio.get_running_loop().time() + CLOSE_WITHIN + 1)
    assert wire.is_aborted


async def test_a_client_that_never_says_anything_is_let_go(wire: Wire) -> None:
    """Though its end answers pings by itself."""
    wire.connection.look_at_clock(asyncio.get_running_loop().time() + IDLE + 1)
    assert wire.client.close_rcvd is not None
    assert wire.client.close_rcvd.code == 4408


async def test_who_sleeps_is_not_listened_to(wire: Wire) -> None:
    """A client that does not read could have answers pile up; the one who waits for room goes on when there is some."""
    calls: list[str] = []
    wire.pause_reading = lambda: calls.append("pause")  # type: ignore[attr-defined]
    wire.resume_reading = lambda: calls.append("resume")  # type: ignore[attr-defined]
    wire.connection.pause_writing()
    waiting = asyncio.ensure_future(wire.connection.has_room())
    await asyncio.sleep(0)
    assert (calls, waiting.done()) == (["pause"], False)
    wire.connection.resume_writing()
    await waiting
    assert calls == ["pause", "resume"]

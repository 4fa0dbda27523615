"""What a connection does as time goes by. The clock is handed in; the other end is websockets' own protocol for clients."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from statekeep.api.realtime.connection import RealtimeConnection
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import Overloaded, Unauthenticated
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

    def __init__(self, change: Callable[[bytes], bytes] = lambda head: head) -> None:
        caller = AuthContext(None, None, frozenset(), b"{}")
        self.services = services = SimpleNamespace(
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
        self.connection.data_received(change(b"".join(self.client.data_to_send())))
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


async def test_a_client_that_speaks_and_leaves_in_one_breath(wire: Wire) -> None:
    """There is nothing to answer it with any more, and nothing fails over that."""
    for message, is_text in ((b"nonsense", True), (b"\x00", False)):
        other = Wire()
        (other.client.send_text if is_text else other.client.send_binary)(message)
        other.client.send_close(1000)
        other.answer()
        assert other.heard() == [Opcode.CLOSE]


async def test_a_message_of_endless_empty_parts_takes_no_memory(wire: Wire) -> None:
    """Parts count by their bytes, and these have none."""
    wire.client.send_text(b"", fin=False)
    wire.answer()
    tracemalloc.start()
    try:
        for _ in range(2_000):
            wire.client.send_continuation(b"", fin=False)
            wire.answer()
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 8_192


async def test_a_handshake_that_names_two_origins_is_refused() -> None:
    """No browser sends that."""
    two = "Origin: https://a.example\r\nOrigin: https://b.example\r\n\r\n"
    wire = Wire(lambda head: head[:-2] + two.encode())
    assert wire.client.handshake_exc is not None
    assert "400" in str(wire.client.handshake_exc)


class FailingAuthenticator:
    """Forgets whom it knows, and fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def cached(self, *_: object) -> None:
        return None

    async def authenticate(self, *_: object) -> AuthContext:
        raise self.error


async def test_a_busy_server_does_not_call_a_token_bad(wire: Wire) -> None:
    """Who cannot be looked up right now is not sent away for good: the next ping looks again."""
    await asyncio.sleep(0)
    services: Any = wire.services
    services.authenticator = FailingAuthenticator(Overloaded("busy"))
    wire.client.send_text(b'{"type":"ping"}')
    wire.answer()
    for _ in range(3):
        await asyncio.sleep(0)
    assert wire.heard() == []
    services.authenticator = FailingAuthenticator(Unauthenticated("there is no such key"))
    wire.client.send_text(b'{"type":"ping"}')
    wire.answer()
    for _ in range(3):
        await asyncio.sleep(0)
    assert wire.heard() == [Opcode.CLOSE]


@pytest.mark.parametrize("since", [-1, -(10**30)])
async def test_a_revision_that_cannot_be_is_told(wire: Wire, since: int) -> None:
    """With the request id, and the socket goes on."""
    message = {
        "type": "subscribe-to-instance",
        "requestId": "r",
        "machineName": "door",
        "machineInstanceName": "front",
        "since": since,
    }
    wire.client.send_text(json.dumps(message).encode())
    wire.answer()
    events = [event for event in wire.client.events_received() if isinstance(event, Frame)]
    assert [json.loads(bytes(event.data))["status"] for event in events] == [400]
    assert json.loads(bytes(events[0].data))["requestId"] == "r"

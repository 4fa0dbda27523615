"""A WebSocket connection: carries bytes between a transport and websockets' protocol, and messages between that and a `Socket`.

No ASGI app, which costs two tasks, a queue and copies of all headers for as long as it is open: twice the memory of an idle
subscription (docs/decisions/0006). Nothing here waits: messages are handled as they come, and one sweep over all connections keeps the time.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from statekeep.api.http.authentication import credentials_in_query
from statekeep.api.http.hot import HotRoutes
from statekeep.api.http.routes.realtime import REALTIME_PATH
from statekeep.api.realtime import closing
from statekeep.api.realtime.socket import Socket
from statekeep.domain.limits import (
    SOCKET_CLOSE_TIMEOUT,
    SOCKET_IDLE_TIMEOUT,
    SOCKET_MESSAGE_BYTES_MAX,
    SOCKET_PING_INTERVAL,
    SOCKET_PONG_TIMEOUT,
)

_IDLE: Final = SOCKET_IDLE_TIMEOUT.total_seconds()
_PING_AFTER: Final = SOCKET_PING_INTERVAL.total_seconds()
_PONG_WITHIN: Final = SOCKET_PONG_TIMEOUT.total_seconds()
_CLOSE_WITHIN: Final = SOCKET_CLOSE_TIMEOUT.total_seconds()


class RealtimeConnection(asyncio.Protocol):
    """For `uvicorn.Config(ws=...)` where the app is HotRoutes: takes a connection over once its client asked for a WebSocket."""

    __slots__ = (
        "_asleep",
        "_connections",
        "_heard_at",
        "_hub",
        "_loop",
        "_message",
        "_over_at",
        "_pinged_at",
        "_protocol",
        "_transport",
        "socket",
    )

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any] | None = None
    ) -> None:
        self._hub = cast(HotRoutes, config.loaded_app).realtime
        self._connections = server_state.connections
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(max_size=SOCKET_MESSAGE_BYTES_MAX)
        self._transport: asyncio.Transport
        self._message = b""
        """What has come of a message that comes in parts."""
        self._asleep: asyncio.Future[None] | None = None
        """Where the client does not read what it was sent: done once there is room again."""
        self._heard_at = self._loop.time()
        self._pinged_at = 0.0
        self._over_at = math.inf
        """When the connection is cut, once it is closing."""
        self.socket: Socket | None = None

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(cast(Any, self))
        self._hub.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(cast(Any, self))
        self._hub.connections.discard(self)
        self.resume_writing()
        if self.socket is not None:
            self.socket.end()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._open(event)
            else:
                self._take(cast(Frame, event))
        self._flush()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()

    def pause_writing(self) -> None:
        # Whoever does not read is not listened to either: answers would pile up.
        self._asleep = self._loop.create_future()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._asleep is not None:
            self._asleep.set_result(None)
            self._asleep = None
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def shutdown(self) -> None:
        """The server ends (uvicorn)."""
        self.close(closing.SHUTTING_DOWN)
        self._transport.close()

    # What the socket says

    @property
    def is_open(self) -> bool:
        """May anything be sent? Not once the client has said goodbye, which it may have in the same breath as what is handled now."""
        return (
            self._over_at == math.inf
            and self._protocol.state is State.OPEN
            and not self._transport.is_closing()
        )

    def send_text(self, text: bytes) -> None:
        """Send a message, which is valid UTF-8. Nothing once the connection is closing."""
        if self.is_open:
            self._protocol.send_text(text)
            self._flush()

    async def has_room(self) -> None:
        """Wait until the client has read most of what it was sent, or is gone."""
        while self._asleep is not None:
            await asyncio.shield(self._asleep)

    def close(self, close: closing.Close) -> None:
        """Tell the client why it ends, and end."""
        if self.is_open:
            self._over_at = self._loop.time() + _CLOSE_WITHIN
            if self.socket is not None:
                self._protocol.send_close(close.code, close.reason)
                self.socket.end()
            self._flush()

    # What the clock says

    def look_at_clock(self, now: float) -> None:
        """Ping, close or cut, if it is time for that. Called every second or so."""
        if now >= self._over_at:
            self._transport.abort()
        elif self.socket is None:
            if now >= self._heard_at + _CLOSE_WITHIN:
                self._transport.abort()
        elif now >= self.socket.ends_at:
            self.close(closing.EXPIRED)
        elif now >= self.socket.heard_at + _IDLE:
            self.close(closing.IDLE)
        elif self._pinged_at > self._heard_at:
            if now >= self._pinged_at + _PONG_WITHIN:
                self.close(closing.NO_ANSWER)
        elif now >= self._heard_at + _PING_AFTER and self.is_open:
            self._pinged_at = now
            self._protocol.send_ping(b"")
            self._flush()

    # Inside

    def _open(self, request: Request) -> None:
        path, _, query = request.path.partition("?")
        origins = request.headers.get_all("origin")
        if path != REALTIME_PATH:
            response = self._protocol.reject(
                404, f"There is no WebSocket here but {REALTIME_PATH}.\n"
            )
        elif len(origins) > 1:
            response = self._protocol.reject(400, "A handshake comes from one origin.\n")
        elif not self._hub.allows(origins[0] if origins else None):
            response = self._protocol.reject(403, "Pages of this origin may not connect.\n")
        else:
            response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if response.status_code == 101:
            headers = {
                name.lower().encode(): value.encode("latin-1")
                for name, value in request.headers.raw_items()
            }
            credentials = credentials_in_query(headers, query.encode())
            self.socket = Socket(self._hub, self, credentials)
        else:
            self._over_at = self._loop.time() + _CLOSE_WITHIN

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            # Joined at once: empty parts, of which there may be any number, leave nothing behind.
            message = self._message + bytes(frame.data)
            self._message = b"" if frame.fin else message
            if frame.fin and self.socket is not None and self.is_open:
                self.socket.hear(message)
        elif frame.opcode is Opcode.BINARY:
            self.close(closing.TEXT_ONLY)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                # Both ends have said goodbye; the server is the one who hangs up.
                self._transport.close()
        if self._over_at == math.inf and self._protocol.close_expected():
            self._over_at = self._loop.time() + _CLOSE_WITHIN

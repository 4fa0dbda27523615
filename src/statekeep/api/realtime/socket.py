"""The realtime socket: carries messages between a client and the flows of updates that it has subscribed to (SPEC 5).

What must stay true here:

- a client that does not read holds up nobody and nothing but the update that each of its flows is about to send;
- who is asking is looked up again before each update, so that a token that has expired or was revoked ends the socket;
- a socket whose client is gone, silent or without a good token ends by itself.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache
from typing import Final, NamedTuple

import structlog
from msgspec import UNSET
from starlette.types import Receive, Scope, Send

from statekeep.api.http.authentication import Credentials, identify
from statekeep.api.http.errors import status_of
from statekeep.api.http.views import state_json
from statekeep.api.realtime.protocol import Flow, Subscriptions
from statekeep.application.authenticate import Authenticator
from statekeep.application.watching import Watching
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import Overloaded, StatekeepError, Unauthenticated
from statekeep.domain.instance import InstanceView
from statekeep.domain.limits import SOCKET_IDLE_TIMEOUT, STRANGER_LINGER
from statekeep.domain.names import InstanceName, MachineName
from statekeep.ports.clock import Clock
from statekeep.wire import realtime

_log = structlog.get_logger(__name__)

_IDLE_SECONDS: Final = SOCKET_IDLE_TIMEOUT.total_seconds()
_LINGER_SECONDS: Final = STRANGER_LINGER.total_seconds()
_REASON_BYTES_MAX: Final = 120
"""What fits into the frame that closes a socket (RFC 6455, 5.5)."""


class Close(NamedTuple):
    """Why a socket ends, as the other end gets to know it (RFC 6455, 7.4; codes from 4000 on are ours)."""

    code: int
    reason: str


TEXT_ONLY: Final = Close(1003, "messages are JSON in text frames")
INTERNAL: Final = Close(1011, "something went wrong here")
TRY_AGAIN: Final = Close(1013, "the server is busy or shutting down: connect again")
NOT_AUTHENTICATED: Final = 4401
EXPIRED: Final = Close(NOT_AUTHENTICATED, "the token has expired, or never was good")
IDLE: Final = Close(4408, "nothing was heard for too long: send a ping every five minutes")


class RealtimeEndpoint:
    """An ASGI app for WebSockets."""

    def __init__(self, authenticator: Authenticator, watching: Watching, clock: Clock) -> None:
        self._authenticator = authenticator
        self._watching = watching
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        credentials = Credentials.of_query(dict(scope["headers"]), scope["query_string"])
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.connect"
        socket = Socket(credentials, self._authenticator, self._watching, self._clock, send)
        await socket.serve(receive)


class Socket:
    """One client, from the first message to the last."""

    def __init__(
        self,
        credentials: Credentials,
        authenticator: Authenticator,
        watching: Watching,
        clock: Clock,
        send: Send,
    ) -> None:
        self._credentials = credentials
        self._authenticator = authenticator
        self._watching = watching
        self._clock = clock
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._subscriptions = Subscriptions()
        self._tasks: dict[Flow, asyncio.Task[None]] = {}
        self._is_known = False
        self._ends_at = self._loop.time() + _LINGER_SECONDS
        """Whatever the client does meanwhile. In the loop's time."""
        self._is_closing = False

    async def serve(self, receive: Receive) -> None:
        """Until the client is gone, or has to go."""
        try:
            await self._begin()
            while not self._is_closing:
                message = await self._next(receive)
                if message is None:
                    return
                await self._handle(message)
        finally:
            self._is_closing = True
            for task in self._tasks.values():
                task.cancel()

    async def _begin(self) -> None:
        try:
            caller = await self._identify()
        except StatekeepError:
            # Refused, the official client would wait for ever: it is told when it asks for something.
            return
        self._is_known = True
        left_ms = caller.expires_at_ms - self._clock.now_ms()
        self._ends_at = math.inf if left_ms == math.inf else self._loop.time() + left_ms / 1000

    async def _next(self, receive: Receive) -> str | None:
        """What the client says; None at the end."""
        idle_at = self._loop.time() + _IDLE_SECONDS
        try:
            async with asyncio.timeout_at(min(idle_at, self._ends_at)):
                message = await receive()
        except TimeoutError:
            is_over = self._loop.time() >= self._ends_at
            await self._close(
                Close(NOT_AUTHENTICATED, "the token has expired, or never was good")
                if is_over
                else IDLE
            )
            return None
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        if text is None:
            await self._close(TEXT_ONLY)
        return text

    async def _handle(self, text: str) -> None:
        try:
            message = realtime.read_message(text)
        except realtime.UnreadableMessage as error:
            await self._tell(400, "invalid-parameter", error.message, error.request_id)
            return
        if isinstance(message, realtime.SubscribeToInstance):
            await self._subscribe(message)
        elif isinstance(message, realtime.UnsubscribeFromInstance):
            self._stop(self._subscriptions.unsubscribe(message.request_id))
        elif self._is_known:
            await self._look_again()

    async def _subscribe(self, message: realtime.SubscribeToInstance) -> None:
        try:
            flow, stopped = self._subscriptions.subscribe(message)
        except StatekeepError as error:
            await self._tell_error(error, message.request_id)
            return
        for other in stopped:
            self._stop(other)
        self._tasks[flow] = self._loop.create_task(self._run(flow))

    async def _look_again(self) -> None:
        """A client that only pings has to go too once its token is worth nothing."""
        try:
            await self._identify()
        except StatekeepError as error:
            await self._close(Close(NOT_AUTHENTICATED, error.message))

    def _stop(self, flow: Flow | None) -> None:
        task = None if flow is None else self._tasks.pop(flow, None)
        if task is not None:
            task.cancel()

    async def _run(self, flow: Flow) -> None:
        try:
            async with aclosing(self._states(flow)) as states:
                async for view in states:
                    if view is not None:
                        await self._send_text(
                            _update(flow.machine, flow.instance, view, flow.request_id)
                        )
        except StatekeepError as error:
            await self._end(flow, error)
        except OSError:
            # The client is gone, which the reader is told too.
            return
        except Exception:
            _log.exception("realtime_failed")
            await self._close(INTERNAL)
        finally:
            self._tasks.pop(flow, None)

    def _states(self, flow: Flow) -> AsyncGenerator[InstanceView | None, None]:
        if flow.since is None:
            return self._watching.newest_states(self._identify, flow.machine, flow.instance)
        return self._watching.all_states(
            self._identify, flow.machine, flow.instance, after=flow.since
        )

    async def _end(self, flow: Flow, error: StatekeepError) -> None:
        if isinstance(error, Overloaded):
            await self._close(TRY_AGAIN)
        elif isinstance(error, Unauthenticated) and self._is_known:
            await self._close(Close(NOT_AUTHENTICATED, error.message))
        else:
            for request_id in self._subscriptions.end(flow):
                await self._tell_error(error, request_id)

    async def _identify(self) -> AuthContext:
        return await identify(self._credentials, self._authenticator)

    async def _tell_error(self, error: StatekeepError, request_id: str) -> None:
        await self._tell(status_of(type(error)), error.code, error.message, request_id)

    async def _tell(
        self, status: int, code: str | None, message: str, request_id: str | None
    ) -> None:
        error = realtime.SubscriptionError(
            status,
            message,
            UNSET if request_id is None else request_id,
            UNSET if code is None else code,
        )
        await self._send_text(realtime.encode(error).decode())

    async def _send_text(self, text: str) -> None:
        if not self._is_closing:
            await self._send({"type": "websocket.send", "text": text})

    async def _close(self, close: Close) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        reason = close.reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")
        await self._send({"type": "websocket.close", "code": close.code, "reason": reason})


@lru_cache(maxsize=16)
def _update(
    machine: MachineName, instance: InstanceName, view: InstanceView, request_id: str | None
) -> str:
    """The same text for everybody who gets this update: it is encoded once, however many there are."""
    update = realtime.InstanceUpdate(
        machine, instance, view.revision, UNSET if request_id is None else request_id
    )
    return realtime.update_json(update, state_json(view))

"""A realtime socket: what one client has subscribed to, and the flows of updates to it (SPEC 5).

What must stay true here:

- a client that does not read holds up nobody and nothing but the update that each of its flows is about to send;
- who is asking is looked up again before each update, so that a token that has expired or was revoked ends the socket;
- a client whose token is no good is told so when it asks for something: refused, the official one would wait for ever.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache
from typing import Final, Protocol

import structlog
from msgspec import UNSET

from statekeep.api.http.authentication import Credentials, identify
from statekeep.api.http.errors import status_of
from statekeep.api.http.views import state_json
from statekeep.api.realtime import closing
from statekeep.api.realtime.hub import Hub
from statekeep.api.realtime.protocol import Flow, Subscriptions
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import Overloaded, StatekeepError, Unauthenticated
from statekeep.domain.instance import InstanceView
from statekeep.domain.limits import STRANGER_LINGER
from statekeep.domain.names import InstanceName, MachineName
from statekeep.wire import realtime

_log = structlog.get_logger(__name__)

_LINGER_SECONDS: Final = STRANGER_LINGER.total_seconds()


class Outlet(Protocol):
    """Where messages leave."""

    def send_text(self, text: bytes) -> None:
        """Send a message, if the connection is open."""

    async def has_room(self) -> None:
        """Wait until the client has read what it was sent."""

    def close(self, close: closing.Close) -> None:
        """End the connection."""


class Socket:
    """One client, from its first message to its last."""

    __slots__ = (
        "_checking",
        "_credentials",
        "_is_known",
        "_loop",
        "_outlet",
        "_services",
        "_subscriptions",
        "_tasks",
        "ends_at",
        "heard_at",
    )

    def __init__(self, hub: Hub, outlet: Outlet, credentials: Credentials) -> None:
        self._services = hub.services
        self._outlet = outlet
        self._credentials = credentials
        self._loop = asyncio.get_running_loop()
        self._subscriptions = Subscriptions()
        self._tasks: dict[Flow, asyncio.Task[None]] = {}
        self._is_known = False
        self.ends_at = self._loop.time() + _LINGER_SECONDS
        """When the socket ends whatever the client does. In the loop's time, as all here."""
        self.heard_at = self._loop.time()
        """When the client last had something to say."""
        self._checking: asyncio.Task[None] | None = self._loop.create_task(self._begin())

    def hear(self, text: bytes) -> None:
        """Handle a message of the client."""
        self.heard_at = self._loop.time()
        try:
            message = realtime.read_message(text)
        except realtime.UnreadableMessage as error:
            self._tell(400, "invalid-parameter", error.message, error.request_id)
            return
        if isinstance(message, realtime.SubscribeToInstance):
            self._subscribe(message)
        elif isinstance(message, realtime.UnsubscribeFromInstance):
            self._stop(self._subscriptions.unsubscribe(message.request_id))
        elif self._checking is None:
            self._checking = self._loop.create_task(self._look_again())

    def end(self) -> None:
        """The client is gone, or is told to go."""
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.cancel()
        if self._checking is not None:
            self._checking.cancel()

    async def _begin(self) -> None:
        try:
            caller = await self._identify()
        except Overloaded:
            self._outlet.close(closing.TRY_AGAIN)
            return
        except StatekeepError:
            return
        finally:
            self._checking = None
        self._is_known = True
        left_ms = caller.expires_at_ms - self._services.clock.now_ms()
        self.ends_at = math.inf if left_ms == math.inf else self._loop.time() + left_ms / 1000

    async def _look_again(self) -> None:
        """A client that only pings has to go too once its token is worth nothing."""
        try:
            await self._identify()
        except Overloaded:
            # Nothing was found out about the token; the next ping looks again.
            return
        except StatekeepError:
            if self._is_known:
                self._outlet.close(closing.REVOKED)
        finally:
            self._checking = None

    def _subscribe(self, message: realtime.SubscribeToInstance) -> None:
        try:
            flow, stopped = self._subscriptions.subscribe(message)
        except StatekeepError as error:
            self._tell_error(error, message.request_id)
            return
        for other in stopped:
            self._stop(other)
        self._tasks[flow] = self._loop.create_task(self._run(flow))

    def _stop(self, flow: Flow | None) -> None:
        task = None if flow is None else self._tasks.pop(flow, None)
        if task is not None:
            task.cancel()

    async def _run(self, flow: Flow) -> None:
        try:
            self._services.rate_limits.admit(await self._identify())
            async with aclosing(self._states(flow)) as states:
                async for view in states:
                    if view is not None:
                        self._outlet.send_text(
                            _update(flow.machine, flow.instance, view, flow.request_id)
                        )
                    # Not kept until the next one comes, which may be in days.
                    del view
                    await self._outlet.has_room()
        except StatekeepError as error:
            self._end_flow(flow, error)
        except Exception:
            _log.exception("realtime_failed")
            self._outlet.close(closing.INTERNAL)
        finally:
            self._tasks.pop(flow, None)

    def _states(self, flow: Flow) -> AsyncGenerator[InstanceView | None, None]:
        watching = self._services.watching
        if flow.since is None:
            return watching.newest_states(self._identify, flow.machine, flow.instance)
        return watching.all_states(self._identify, flow.machine, flow.instance, after=flow.since)

    def _end_flow(self, flow: Flow, error: StatekeepError) -> None:
        if isinstance(error, Overloaded):
            self._outlet.close(closing.TRY_AGAIN)
        elif isinstance(error, Unauthenticated) and self._is_known:
            self._outlet.close(closing.EXPIRED)
        else:
            for request_id in self._subscriptions.end(flow):
                self._tell_error(error, request_id)

    async def _identify(self) -> AuthContext:
        return await identify(self._credentials, self._services.authenticator)

    def _tell_error(self, error: StatekeepError, request_id: str) -> None:
        self._tell(status_of(type(error)), error.code, error.message, request_id)

    def _tell(self, status: int, code: str | None, message: str, request_id: str | None) -> None:
        error = realtime.SubscriptionError(
            status,
            message,
            UNSET if request_id is None else request_id,
            UNSET if code is None else code,
        )
        self._outlet.send_text(realtime.encode(error))


@lru_cache(maxsize=16)
def _update(
    machine: MachineName, instance: InstanceName, view: InstanceView, request_id: str | None
) -> bytes:
    """The same bytes for everybody who gets this update: it is encoded once, however many there are."""
    update = realtime.InstanceUpdate(
        machine, instance, view.revision, UNSET if request_id is None else request_id
    )
    return realtime.update_json(update, state_json(view))

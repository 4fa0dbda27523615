"""Events past the framework: uvicorn's HTTP protocol, with a short way for the request that nearly all requests are.

uvicorn parses every request whose head is not known. One that sends an event, in one piece, from a caller that is known, to an instance in memory, or that makes an instance, then goes to the
use case at once, and its answer to the socket: without the scope, the task and the messages of ASGI, which cost more than the event
itself. Every other request takes the usual way, and so does one that turns out to be of another kind only when it has arrived.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final, cast

import structlog
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from statekeep.api.http.bounded import BoundedProtocol
from statekeep.api.http.hot import HotRoutes, head_of
from statekeep.api.http.known_heads import Head
from statekeep.api.http.views import state_json
from statekeep.domain.instance import InstanceView

_log = structlog.get_logger(__name__)

BODY_BYTES_MAX: Final = 16 * 1024
"""Larger events are rare, and not in a hurry."""


class ExpressProtocol(BoundedProtocol):
    """For `uvicorn.Config(http=...)`. Takes the short way where the app is HotRoutes."""

    # Beside uvicorn's own, as in BoundedProtocol.
    __slots__ = ("_arrived",)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        self._arrived = b""
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take it at once where it is a request of which only the body is new; parse it otherwise."""
        app = self.app
        if type(app) is HotRoutes and self._is_free() and self.is_between:
            known = app.known_heads.find(data)
            if known is not None and self._is_taken(app, *known):
                return
            self._arrived = data
        super().data_received(data)
        self._arrived = b""

    def _is_taken(self, app: HotRoutes, head: Head, body: bytes) -> bool:
        cycle = ExpressCycle(self, head.headers, keep_alive=True)
        cycle.more_body = False
        before, self.cycle = self.cycle, cast(RequestResponseCycle, cycle)
        try:
            is_posted = app.post(head, body, cycle)
        except Exception as error:
            self.message_passed()
            cycle.set_exception(error)
            return True
        if is_posted:
            self.message_passed()
        else:
            self.cycle = before
        return is_posted

    def on_message_begin(self) -> None:
        """As uvicorn does, but for the scope, which an express request does not need."""
        self.message_began()
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Choose the way."""
        self.head_arrived()
        headers = dict(self.headers)
        if self._is_express(headers):
            cycle = ExpressCycle(self, headers, keep_alive=self.parser.should_keep_alive())
            self.cycle = cast(RequestResponseCycle, cycle)
        else:
            self._take_usual_way()

    def on_body(self, body: bytes) -> None:
        """Keep it; that of an express request is never much."""
        cycle: Any = self.cycle
        if type(cycle) is ExpressCycle and not cycle.response_complete:
            self._body_bytes += len(body)
            cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """An express request has arrived."""
        cycle: Any = self.cycle
        is_of_this = type(cycle) is ExpressCycle and cycle.more_body
        if not is_of_this or self.declines_upgrade():
            super().on_message_complete()
            return
        self.message_ended()
        cycle.more_body = False
        app = cast(HotRoutes, self.app)
        head, body = head_of(self.url.decode("ascii"), cycle.headers), bytes(cycle.body)
        try:
            is_posted = head is not None and app.post(head, body, cycle)
        except Exception as error:
            cycle.set_exception(error)
            return
        if not is_posted:
            self._take_usual_way_after_all(cycle)
        elif head is not None and cycle.keep_alive and b"transfer-encoding" not in cycle.headers:
            app.known_heads.remember(self._arrived, head, body)

    def _is_express(self, headers: dict[bytes, bytes]) -> bool:
        length = headers.get(b"content-length", b"")
        return (
            (self.url.endswith(b"/events") or self.url.count(b"/") == 2)
            and self.parser.get_method() == b"POST"
            and length.isdigit()
            and len(length) < 6
            and int(length) <= BODY_BYTES_MAX
            and b"idempotency-key" not in headers
            and b"%" not in self.url
            and b"?" not in self.url
            and self.url.isascii()
            and self._is_free()
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
            and type(self.app) is HotRoutes
        )

    def _is_free(self) -> bool:
        """Is what came before answered, and read by the client? The usual way waits for that."""
        last = cast("RequestResponseCycle | None", self.cycle)
        return (last is None or last.response_complete) and not self.flow.write_paused

    def _take_usual_way(self) -> None:
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        super().on_headers_complete()

    def _take_usual_way_after_all(self, cycle: ExpressCycle) -> None:
        cycle.response_complete = True
        self._take_usual_way()
        self.cycle.body += cycle.body
        super().on_message_complete()

    def answer(self, cycle: ExpressCycle, outcome: InstanceView | BaseException) -> None:
        """Answer an express request. Never raises: it is called amid the answers of others, who would hear nothing."""
        app = cast(HotRoutes, self.app)
        try:
            if self._is_ended(cycle):
                return
            if isinstance(outcome, InstanceView):
                lines = app.view_lines(cycle.headers)
                self.write_json(lines, state_json(outcome), keep_alive=cycle.keep_alive)
            else:
                reply = app.error_reply(cast(Exception, outcome), cycle.headers)
                self.write_reply(reply, keep_alive=cycle.keep_alive)
            if not cycle.keep_alive:
                self.transport.close()
            self.reply_written()
        except Exception:
            _log.exception("an answer could not be written")
            self._raw.abort()

    def _is_ended(self, cycle: ExpressCycle) -> bool:
        """Whether nobody is there any more to be answered. From now on the cycle is answered."""
        cycle.response_complete = True
        # uvicorn tells only the last of the requests on a connection that it is lost, and uvloop raises where something is written then.
        return cycle.disconnected or self._raw.is_closing()


class ExpressCycle:
    """An express request under way, with what uvicorn's protocol looks at in a request of its own; and where its answer goes."""

    response_started: ClassVar = False
    """What there is of an answer is written at once."""

    __slots__ = (
        "_protocol",
        "body",
        "disconnected",
        "headers",
        "keep_alive",
        "more_body",
        "response_complete",
    )

    def __init__(
        self, protocol: ExpressProtocol, headers: dict[bytes, bytes], *, keep_alive: bool
    ) -> None:
        self._protocol = protocol
        self.headers = headers
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> ExpressCycle:
        """What uvicorn sets when more has arrived."""
        return self

    def set(self) -> None:
        """Nobody waits for parts."""

    # application.resident.Answer

    def done(self) -> bool:
        """Is it answered?"""
        return self.response_complete

    def set_result(self, view: InstanceView, /) -> None:
        """Answer with a state."""
        self._protocol.answer(self, view)

    def set_exception(self, error: BaseException, /) -> None:
        """Answer with an error."""
        self._protocol.answer(self, error)

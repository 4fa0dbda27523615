"""Events past the framework: uvicorn's HTTP protocol, with a short way for the request that nearly all requests are.

uvicorn parses every request. One that sends an event, in one piece, from a caller that is known, to an instance in memory, or that makes an instance, then goes to the
use case at once, and its answer to the socket: without the scope, the task and the messages of ASGI, which cost more than the event
itself. Every other request takes the usual way, and so does one that turns out to be of another kind only when it has arrived.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, cast

import structlog
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from statekeep.api.http.bounded import BoundedProtocol
from statekeep.api.http.hot import HotRoutes
from statekeep.api.http.reply import Reply
from statekeep.domain.instance import InstanceView

_log = structlog.get_logger(__name__)

BODY_BYTES_MAX: Final = 16 * 1024
"""Larger events are rare, and not in a hurry."""


class ExpressProtocol(BoundedProtocol):
    """For `uvicorn.Config(http=...)`. Takes the short way where the app is HotRoutes."""

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
        try:
            path, body = self.url.decode("ascii"), bytes(cycle.body)
            is_posted = app.post(path, cycle.headers, body, cycle)
        except Exception as error:
            cycle.set_exception(error)
            return
        if not is_posted:
            self._take_usual_way_after_all(cycle)

    def _is_express(self, headers: dict[bytes, bytes]) -> bool:
        length = headers.get(b"content-length", b"")
        last = cast("RequestResponseCycle | None", self.cycle)
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
            and (last is None or last.response_complete)
            # The usual way waits until the client has read what it was answered.
            and not self.flow.write_paused
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
            and type(self.app) is HotRoutes
        )

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
            if isinstance(outcome, InstanceView):
                self._reply(cycle, app.view_reply(outcome, cycle.headers))
            else:
                self._reply(cycle, app.error_reply(cast(Exception, outcome), cycle.headers))
        except Exception:
            _log.exception("an answer could not be written")
            self._raw.abort()

    def _reply(self, cycle: ExpressCycle, reply: Reply) -> None:
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            # uvicorn tells only the last of the requests on a connection that it is lost, and uvloop raises where something is written then.
            return
        self.write_reply(reply, keep_alive=cycle.keep_alive)
        if not cycle.keep_alive:
            self.transport.close()
        self.reply_written()


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

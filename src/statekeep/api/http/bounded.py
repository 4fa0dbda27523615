"""uvicorn's HTTP protocol with bounds on what a connection may send, and on how long it may take.

uvicorn waits for ever for a head or a body that has begun, keeps heads of any size, and takes any number of connections. Here each phase of a
message has a bound in bytes and a deadline; what breaks one is answered in JSON as far as there is somebody to answer, and its connection closed.

What must stay true: a request that arrives whole in one read costs a few attribute look-ups, and no timer; and the time in which *we* do not read
(a request is queued behind another, or its body is not wanted yet) is never held against the client.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

import httptools
import structlog

from statekeep.api.http.hot import HotRoutes
from statekeep.api.http.one_write import OneWriteProtocol
from statekeep.api.http.reply import Reply, json_reply, lines_of
from statekeep.domain import limits
from statekeep.wire import codecs
from statekeep.wire.answers import Error

_log = structlog.get_logger(__name__)

_BETWEEN, _HEAD, _BODY = range(3)
"""Phases: no message is arriving, its head is, its body is."""

_HEADERS_MAX: Final = limits.HEADERS_MAX
_URL_BYTES_MAX: Final = limits.URL_BYTES_MAX
_PIECE_BYTES: Final = 16 * limits.KIB
"""What is parsed at a time. A head may go over its bound by that much before it shows, as where in a piece it began is not known."""
_LINGERING_SECONDS: Final = 2
"""How long a refused client may go on sending. A socket that is closed with something unread takes its last answer down with it."""
_LINGERING_BYTES_MAX: Final = limits.MIB
_WARNING_INTERVAL_SECONDS: Final = 60

_OF_THE_CLIENT: Final = (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeError)
"""What the parser may have stopped at before an error, and is none of ours: the wish for an upgrade too, when what follows it is read."""

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


class Refused(Exception):
    """What arrives on a connection goes no further, and this is why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = Error(message, code=code)


class BoundedProtocol(OneWriteProtocol):
    """For `uvicorn.Config(http=...)`."""

    # Beside uvicorn's own, these would be too many attributes for a dictionary that shares its keys: a kilobyte for each connection.
    __slots__ = (
        "_began_at",
        "_bodiless_bytes",
        "_body_bytes",
        "_body_bytes_before",
        "_cycle_before",
        "_deadline",
        "_head_bytes",
        "_idle_since",
        "_messages",
        "_phase",
    )

    connections_max: ClassVar[int] = limits.CONNECTIONS_MAX
    head_seconds: ClassVar[float] = limits.HEAD_TIMEOUT.total_seconds()
    body_seconds: ClassVar[float] = limits.BODY_STALL_TIMEOUT.total_seconds()
    _warned_at: ClassVar[float] = float("-inf")
    _defaults: ClassVar[tuple[object, bytes]] = (None, b"")
    """The headers that uvicorn gives to every answer, a new list each second, and how they are written."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, or turn the connection down."""
        super().connection_made(transport)
        self._phase = _BETWEEN
        self._messages = 0
        self._cycle_before: Any = None
        self._head_bytes = 0
        self._body_bytes = 0
        self._bodiless_bytes = 0
        self._began_at = 0.0
        self._idle_since = 0.0
        self._body_bytes_before = 0
        self._deadline: asyncio.TimerHandle | None = None
        if len(self.connections) > self.connections_max:
            self._turn_down()
        else:
            self._await_request(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_deadline()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, in pieces where it is much."""
        if len(data) > _PIECE_BYTES:
            self._receive_in_pieces(data)
            return
        messages, body_bytes = self._messages, self._body_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            if self._should_upgrade():
                self._hand_over()
                return
            if self.declines_upgrade():
                self._go_on_without_upgrade(data[stopped.args[0] :])
                return
        except httptools.HttpParserError as error:
            self._refuse(_reason_of(error))
            return
        if self._phase != _BETWEEN:
            count = len(data) if messages == self._messages else 0
            self._watch(count, has_body=body_bytes != self._body_bytes)

    def _hand_over(self) -> None:
        """The connection belongs to another protocol from here on: no timer of this one may close it, and nothing keep this one in memory."""
        cycle = cast(Any, self.cycle)
        if cycle is not None and not cycle.response_complete:
            # Its answer would come in the midst of the other protocol.
            self._refuse(Refused(400, "invalid-parameter", "a request before it is not answered"))
            return
        self._stop_deadline()
        self._unset_keepalive_if_required()
        self.handle_websocket_upgrade()
        self.parser = cast(Any, None)

    def on_message_begin(self) -> None:
        """A head begins."""
        self.message_began()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.head_arrived()
        if self.declines_upgrade():
            return
        super().on_headers_complete()
        # The request has that list. What the parser adds from here on are trailers, which are no headers (RFC 9110, 6.5.1): proxies do not look at them.
        self.headers = self.headers.copy()

    def on_body(self, body: bytes) -> None:
        """A piece of a body; nobody may be interested any more."""
        self._body_bytes += len(body)
        if self.cycle.response_complete and self._body_bytes > limits.UNREAD_BODY_BYTES_MAX:
            raise Refused(413, "too-large", "the request was answered and its body does not end")
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The message is whole, and may have been answered long ago."""
        if self.declines_upgrade():
            return
        self.message_ended()
        super().on_message_complete()
        if self._is_idle():
            self._rest()

    def on_response_complete(self) -> None:
        """The next request may be waited for."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def reply_written(self) -> None:
        """The same for an answer that went past uvicorn. A timer that runs goes on running: it looks by itself whether anything happened."""
        if self.pipeline:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        if not self._raw.is_closing():
            self.flow.resume_reading()
            self._rest()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing happens. Once a message has begun its deadline counts."""
        self.timeout_keep_alive_task = None
        if not self._is_idle():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if self._messages and left > 0:
            self._await_request(left)
        else:
            super().timeout_keep_alive_handler()

    def message_began(self) -> None:
        """To be called when a head begins."""
        if not self._messages:
            # The first request may be waited for longer than others.
            self._unset_keepalive_if_required()
        self._phase = _HEAD
        self._messages += 1
        self._cycle_before = self.cycle

    def head_arrived(self) -> None:
        """To be called when a head is whole. Raises Refused where it is more than we take."""
        self._phase = _BODY
        self._body_bytes = 0
        if self._deadline is not None:
            self._stop_deadline()
        if len(self.headers) > _HEADERS_MAX:
            raise Refused(431, "too-large", f"more than {limits.HEADERS_MAX} headers")
        if len(self.url) > _URL_BYTES_MAX:
            raise _url_too_long()

    def message_ended(self) -> None:
        """To be called when a message is whole."""
        self._phase = _BETWEEN
        if self._deadline is not None:
            self._stop_deadline()

    @property
    def is_between(self) -> bool:
        """Is no message arriving?"""
        return self._phase == _BETWEEN

    def message_passed(self) -> None:
        """To be called for a whole message that need not be parsed, when none is arriving."""
        if not self._messages:
            self._unset_keepalive_if_required()
        self._messages += 1

    def declines_upgrade(self) -> bool:
        """Whether the message asks for a protocol that we do not speak. It has then only seemed to end, and has no cycle."""
        return (
            self.parser.should_upgrade()
            and any(name == b"upgrade" for name, _ in self.headers)
            and not self._should_upgrade()
        )

    def write_reply(self, reply: Reply, *, keep_alive: bool) -> None:
        """Write an answer in one piece. Whether the connection stays open is said, and not done."""
        self._write(reply.status, lines_of(reply.headers), reply.body, keep_alive=keep_alive)

    def write_json(self, lines: bytes, body: bytes, *, keep_alive: bool) -> None:
        """The same with status 200 and with headers that are lines already, but for the length."""
        lines = b"%bcontent-length: %d\r\n" % (lines, len(body))
        self._write(200, lines, body, keep_alive=keep_alive)

    def _write(self, status: int, lines: bytes, body: bytes, *, keep_alive: bool) -> None:
        defaults = self.server_state.default_headers
        known, default_lines = BoundedProtocol._defaults
        if defaults is not known:
            default_lines = lines_of(defaults)
            BoundedProtocol._defaults = (defaults, default_lines)
        close = b"" if keep_alive else b"connection: close\r\n"
        parts = (_STATUS_LINES[status], default_lines, lines, close, body)
        self._raw.write(b"%b%b%b%b\r\n%b" % parts)
        if type(self.app) is HotRoutes:
            self.app.responses[status] += 1

    def _unsupported_upgrade_warning(self) -> None:
        """The request is answered as if it had not asked, which RFC 9110 (7.8) allows and is worth no line in the log."""

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Read a message anew that asks for a protocol which we do not speak, as if it had not asked.

        The parser ends such a message with its head, and its body would be lost. Java's HttpClient asks for HTTP/2 in this way, whatever it sends.
        """
        asked = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        kept = [header for header in self.headers if header[0] != b"upgrade"]
        lines = [b"%b %b HTTP/%b" % asked, *(b"%b: %b" % header for header in kept)]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _receive_in_pieces(self, data: bytes) -> None:
        for at in range(0, len(data), _PIECE_BYTES):
            self.data_received(data[at : at + _PIECE_BYTES])
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return

    def _watch(self, count: int, *, has_body: bool) -> None:
        """A message has more to come: check its bounds. `count` bytes of it arrived, without those of the piece in which it began."""
        if self._deadline is None:
            self._start_deadline(self.head_seconds if self._phase == _HEAD else self.body_seconds)
        if self._phase == _HEAD:
            self._head_bytes = self._head_bytes + count if count else 0
            if self._head_bytes > limits.HEAD_BYTES_MAX:
                self._refuse(_head_too_large() if self.headers else _url_too_long())
        else:
            # Trailers and what a chunk says of itself: the parser keeps them, and nobody counts them.
            self._bodiless_bytes = self._bodiless_bytes + count if count and not has_body else 0
            if self._bodiless_bytes > limits.HEAD_BYTES_MAX:
                self._refuse(_head_too_large())

    def _start_deadline(self, seconds: float) -> None:
        self._began_at = self.loop.time()
        self._body_bytes_before = self._body_bytes
        self._deadline = self.loop.call_later(seconds, self._on_deadline)

    def _on_deadline(self) -> None:
        self._deadline = None
        if self.flow.read_paused:
            self._start_deadline(self.body_seconds)
        elif self._phase == _BODY:
            earned = (self._body_bytes - self._body_bytes_before) / limits.BODY_BYTES_PER_SECOND_MIN
            left = self._began_at + self.body_seconds + earned - self.loop.time()
            if left > 0:
                self._deadline = self.loop.call_later(left, self._on_deadline)
            else:
                self._refuse(Refused(408, "timeout", "the body of the request came too slowly"))
        else:
            self._refuse(Refused(408, "timeout", "the head of the request came too slowly"))

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _await_request(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _rest(self) -> None:
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._await_request(self.timeout_keep_alive)

    def _is_idle(self) -> bool:
        cycle = cast(Any, self.cycle)
        return (
            self._phase == _BETWEEN
            and (cycle is None or cycle.response_complete)
            and not self.transport.is_closing()
        )

    def _refuse(self, reason: Refused) -> None:
        """Answer the message that is arriving, unless that is impossible, and let the connection come to an end."""
        self._stop_deadline()
        if self.transport.is_closing():
            return
        cycle = cast(Any, self.cycle)
        if self._phase != _BETWEEN and cycle is not self._cycle_before:
            self._cut_off(cycle, reason)
        elif cycle is None or cycle.response_complete:
            self._end_with(self._refusal(reason))
        else:
            # Requests before it are still to be answered, and this refusal would be taken for one of those answers.
            cycle.keep_alive = False
            self.flow.pause_reading()

    def _cut_off(self, cycle: Any, reason: Refused) -> None:
        """Refuse the rest of a message whose request is with the app already, or queued for it."""
        if self.pipeline or cycle.response_started or cycle.response_complete:
            self.transport.close()
            return
        cycle.disconnected = True
        cycle.message_event.set()
        self._end_with(self._refusal(reason))

    def _refusal(self, reason: Refused) -> Reply:
        reply = json_reply(reason.status, codecs.encode(reason.body))
        is_ours = isinstance(self.app, HotRoutes)
        headers = dict(self.headers or ())
        return cast(HotRoutes, self.app).refusal(reply, headers) if is_ours else reply

    def _end_with(self, reply: Reply) -> None:
        self.write_reply(reply, keep_alive=False)
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        _Lingering(self._raw, self, self.loop)

    def _turn_down(self) -> None:
        now = self.loop.time()
        if now - self._warned_at > _WARNING_INTERVAL_SECONDS:
            type(self)._warned_at = now
            _log.warning("connections_max_reached", connections=len(self.connections))
        reply = self._refusal(Refused(503, "overloaded", "there are too many connections"))
        reply.headers.append((b"retry-after", b"1"))
        self.write_reply(reply, keep_alive=False)
        self.transport.close()


class _Lingering(asyncio.Protocol):
    """A connection that got its last answer: what still comes is thrown away, for a while."""

    def __init__(
        self,
        transport: asyncio.Transport,
        protocol: BoundedProtocol,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._bytes = 0
        self._end = loop.call_later(_LINGERING_SECONDS, transport.close)
        transport.set_protocol(self)
        transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """Throw it away, and the rest with it where it does not end."""
        self._bytes += len(data)
        if self._bytes > _LINGERING_BYTES_MAX:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Now it is over."""
        self._end.cancel()
        self._protocol.connection_lost(exc)


def limited_to(connections_max: int, protocol: type[BoundedProtocol]) -> type[BoundedProtocol]:
    """`protocol` for a server that takes so many connections at once."""
    return type(protocol.__name__, (protocol,), {"connections_max": connections_max})


def _reason_of(error: httptools.HttpParserError) -> Refused:
    cause = error.__context__
    if isinstance(cause, Refused):
        return cause
    if cause is not None and not isinstance(cause, _OF_THE_CLIENT):
        _log.error("request_failed", exc_info=cause)
    return Refused(400, "invalid-parameter", "this is no HTTP/1.1 request")


def _head_too_large() -> Refused:
    return Refused(
        431, "too-large", f"the headers are larger than {limits.HEAD_BYTES_MAX} bytes together"
    )


def _url_too_long() -> Refused:
    return Refused(414, "too-large", f"the URL is longer than {limits.URL_BYTES_MAX} bytes")

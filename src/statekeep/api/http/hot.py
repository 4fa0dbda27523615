"""The routes that carry nearly all requests, without a framework: send an event, read an instance, create one.

Works on the bytes of ASGI in the order in which they arrive and allocates little. All else goes to the app behind.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from statekeep.api.http.authentication import caller_of, known_caller
from statekeep.api.http.body import ClientGone, read_body
from statekeep.api.http.cors import Cors
from statekeep.api.http.errors import ErrorAnswers
from statekeep.api.http.known_heads import Head, KnownHeads
from statekeep.api.http.reply import Reply, lines_of, send_reply
from statekeep.api.http.route import instance_in_path, machine_in_path
from statekeep.api.http.views import state_json
from statekeep.api.realtime.hub import Hub
from statekeep.application.authenticate import Authenticator
from statekeep.application.instances import Instances
from statekeep.application.rate_limits import RateLimits
from statekeep.application.resident import Answer
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import InvalidParameter, Overloaded
from statekeep.domain.event import Event
from statekeep.domain.instance import InstanceView
from statekeep.domain.limits import IDEMPOTENCY_KEY_LENGTH_MAX, REQUEST_BYTES_MAX
from statekeep.domain.names import InstanceName, MachineName, VersionId, parse_instance_name
from statekeep.ports.metrics import Metrics
from statekeep.ports.tracing import Caller, EventTrace, Tracer
from statekeep.wire import codecs, requests

_Answering = Callable[
    [AuthContext, list[str], dict[bytes, bytes], Receive, EventTrace | None],
    Awaitable[InstanceView],
]

# uvicorn looks at each header twice, so there are none here that an answer does not need: those to POST are not cached anyway.
_CONTENT_TYPE: Final = (b"content-type", b"application/json")
_NO_STORE: Final = (b"cache-control", b"no-store")
_EVENTS: Final = "POST /machines/{machine}/i/{instance}/events"
_READS: Final = "GET /machines/{machine}/i/{instance}"
_CREATIONS: Final = "POST /machines/{machine}"
_IDEMPOTENCY_KEY: Final = re.compile(rb"[\x21-\x7e]{1,%d}" % IDEMPOTENCY_KEY_LENGTH_MAX)

_read_event = codecs.decoder_for(requests.SendEvent)
_read_creation = codecs.decoder_for(requests.CreateInstance)


def head_of(path: str, headers: dict[bytes, bytes]) -> Head | None:
    """That of a POST to /machines/M/i/I/events or /machines/M; None of any other."""
    segments = path.split("/")
    route = _route_of("POST", segments) if segments[1] == "machines" else None
    return None if route is None else Head(route, segments, headers)


def _route_of(method: str, segments: list[str]) -> str | None:
    # The segments of /machines/M/i/I/events are "", machines, M, i, I, events.
    match len(segments):
        case 6:
            is_event = method == "POST" and segments[3] == "i" and segments[5] == "events"
            return _EVENTS if is_event else None
        case 5:
            is_read = method in ("GET", "HEAD") and segments[3] == "i"
            return _READS if is_read else None
        case 3:
            return _CREATIONS if method == "POST" else None
    return None


class HotRoutes:
    """An ASGI app that answers the hot routes itself and hands everything else to `fallback`. `realtime` is for the connections that become WebSockets."""

    def __init__(
        self,
        authenticator: Authenticator,
        instances: Instances,
        errors: ErrorAnswers,
        realtime: Hub,
        fallback: ASGIApp,
        *,
        rate_limits: RateLimits,
        cors: Cors,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._instances = instances
        self._errors = errors
        self.realtime = realtime
        self._fallback = fallback
        self._rate_limits = rate_limits
        self._cors = cors
        self._view_lines = cors.always and lines_of([_CONTENT_TYPE, *cors.always])
        self._tracer = tracer
        self._answering: dict[str, _Answering] = {
            _EVENTS: self._send_event,
            _READS: self._read,
            _CREATIONS: self._create,
        }
        self.known_heads = KnownHeads()
        self._creating: set[asyncio.Task[InstanceView]] = set()
        self.responses = (metrics or Metrics()).http_responses
        """By status. Whoever sends an answer counts it: the protocol those that go past ASGI, this all others."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith("/machines/"):
            segments = path.split("/")
            route = _route_of(scope["method"], segments)
            if route is not None:
                await self._answer(route, segments, scope, receive, send)
                return
        await self._fallback(scope, receive, self._counting(send))

    def _counting(self, send: Send) -> Send:
        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.responses[message["status"]] += 1
            await send(message)

        return count

    def post(self, head: Head, body: bytes, answer: Answer) -> bool:
        """Do at once what a whole request asks for; `answer` is told later what came of it.

        False, and nothing done, where there is something to wait for before its order among others is known. Raises what is wrong with the request.
        """
        caller = known_caller(head.headers, self._authenticator, self._rate_limits)
        if caller is None:
            return False
        post = self._post_creation if head.route is _CREATIONS else self._post_event
        trace = self._trace_of(head.route, head.headers)
        if trace is None:
            return post(caller, head.segments, body, answer, None)
        try:
            traced = _TracedAnswer(answer, trace, self._errors)
            return post(caller, head.segments, body, traced, trace)
        except Exception as error:
            trace.failed(error)
            trace.ended(self._errors.status_of(error))
            raise

    def _post_event(
        self,
        caller: AuthContext,
        segments: list[str],
        body: bytes,
        answer: Answer,
        trace: EventTrace | None,
    ) -> bool:
        is_posted = self._instances.post_event(
            caller,
            machine_in_path(segments[2]),
            instance_in_path(segments[4]),
            event_of(_read_event(body)),
            answer,
            trace,
        )
        if not is_posted:
            # It will come again, by the other way.
            self._rate_limits.give_back(caller)
        return is_posted

    def _post_creation(
        self,
        caller: AuthContext,
        segments: list[str],
        body: bytes,
        answer: Answer,
        trace: EventTrace | None,
    ) -> bool:
        creation = _creation_of(segments, body)
        if self._instances.post_creation(caller, *creation, answer, trace):
            return True
        creating = asyncio.get_running_loop().create_task(
            self._instances.create(caller, *creation, trace)
        )
        self._creating.add(creating)
        creating.add_done_callback(partial(self._pass_on, answer, trace))
        return True

    def _pass_on(
        self, answer: Answer, trace: EventTrace | None, creating: asyncio.Task[InstanceView]
    ) -> None:
        self._creating.discard(creating)
        if creating.cancelled():
            answer.set_exception(Overloaded("the server is shutting down", retry_after_seconds=2))
            return
        error = creating.exception()
        if error is None:
            answer.set_result(creating.result())
            return
        if trace is not None:
            trace.failed(error)
        answer.set_exception(error)

    def view_reply(self, view: InstanceView, headers: dict[bytes, bytes]) -> Reply:
        """A state as the answer to a request, with these headers, that changed something."""
        body = state_json(view)
        length = (b"content-length", b"%d" % len(body))
        return Reply(200, [_CONTENT_TYPE, *self._cors.headers_for(headers), length], body)

    def view_lines(self, headers: dict[bytes, bytes]) -> bytes:
        """The headers of `view_reply` as they are written, but for the length."""
        return self._view_lines or lines_of([_CONTENT_TYPE, *self._cors.headers_for(headers)])

    def error_reply(self, error: Exception, headers: dict[bytes, bytes]) -> Reply:
        """An error as the answer to a request with these headers."""
        return self.refusal(self._errors.of(error), headers)

    def refusal(self, reply: Reply, headers: dict[bytes, bytes]) -> Reply:
        """The answer with what browsers need to see it."""
        reply.headers.extend(self._cors.error_headers_for(headers))
        return reply

    async def _answer(
        self,
        route: str,
        segments: list[str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        headers = dict(scope["headers"])
        trace = self._trace_of(route, headers)
        try:
            caller = known_caller(headers, self._authenticator, self._rate_limits)
            if caller is None:
                caller = await caller_of(headers, self._authenticator, self._rate_limits)
            view = await self._answering[route](caller, segments, headers, receive, trace)
        except ClientGone:
            if trace is not None:
                trace.ended()
            return
        except Exception as error:
            if trace is not None:
                trace.failed(error)
            reply = self.error_reply(error, headers)
        else:
            reply = self.view_reply(view, headers)
            if scope["method"] != "POST":
                reply.headers.append(_NO_STORE)
        self.responses[reply.status] += 1
        await send_reply(reply, send)
        if trace is not None:
            trace.ended(reply.status)

    def _trace_of(self, route: str, headers: dict[bytes, bytes]) -> EventTrace | None:
        if self._tracer is None or route is _READS:
            return None
        return _trace(self._tracer, route, headers)

    async def _send_event(
        self,
        caller: AuthContext,
        segments: list[str],
        headers: dict[bytes, bytes],
        receive: Receive,
        trace: EventTrace | None,
    ) -> InstanceView:
        machine = machine_in_path(segments[2])
        instance = instance_in_path(segments[4])
        body = await read_body(headers, receive, bytes_max=REQUEST_BYTES_MAX)
        return await self._instances.send_event(
            caller,
            machine,
            instance,
            event_of(_read_event(body)),
            idempotency_key=idempotency_key_in(headers),
            trace=trace,
        )

    async def _read(
        self,
        caller: AuthContext,
        segments: list[str],
        _headers: dict[bytes, bytes],
        _receive: Receive,
        _trace: EventTrace | None,
    ) -> InstanceView:
        return await self._instances.read(
            caller, machine_in_path(segments[2]), instance_in_path(segments[4])
        )

    async def _create(
        self,
        caller: AuthContext,
        segments: list[str],
        headers: dict[bytes, bytes],
        receive: Receive,
        trace: EventTrace | None,
    ) -> InstanceView:
        body = await read_body(headers, receive, bytes_max=REQUEST_BYTES_MAX)
        return await self._instances.create(caller, *_creation_of(segments, body), trace)


class _TracedAnswer:
    """An answer, and a trace that ends once it is written and whoever gave it has told the trace of it."""

    __slots__ = ("_answer", "_errors", "_trace")

    def __init__(self, answer: Answer, trace: EventTrace, errors: ErrorAnswers) -> None:
        self._answer = answer
        self._trace = trace
        self._errors = errors

    def done(self) -> bool:
        return self._answer.done()

    def set_result(self, result: InstanceView, /) -> None:
        self._answer.set_result(result)
        self._end(200)

    def set_exception(self, exception: BaseException, /) -> None:
        self._answer.set_exception(exception)
        self._end(self._errors.status_of(exception))

    def _end(self, status: int) -> None:
        asyncio.get_running_loop().call_soon(self._trace.ended, status)


def _trace(tracer: Tracer, route: str, headers: dict[bytes, bytes]) -> EventTrace | None:
    parent, state = headers.get(b"traceparent"), headers.get(b"tracestate")
    caller = Caller(
        None if parent is None else parent.decode("latin-1"),
        None if state is None else state.decode("latin-1"),
    )
    return tracer.request(route, caller)


class _Creation(NamedTuple):
    """What a request to create asks for, in the order in which Instances takes it."""

    machine: MachineName
    instance: InstanceName
    context: bytes
    version_id: VersionId | None


def _creation_of(segments: list[str], body: bytes) -> _Creation:
    creation = _read_creation(body)
    version_id = creation.machine_version_id
    return _Creation(
        machine_in_path(segments[2]),
        parse_instance_name(creation.slug),
        codecs.encode(creation.context),
        None if version_id is None else VersionId(version_id),
    )


def event_of(body: requests.SendEvent) -> Event:
    """The event in a request; a bare name stands for an event of that type. Raises InvalidParameter.

    It is encoded anew: for a small event that costs less than to check that the caller's text is one line of valid UTF-8, which
    is what an event has to be from here on.
    """
    event = {"type": body.event} if isinstance(body.event, str) else body.event
    kind = event.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidParameter("an event has a type, which is a string", parameter="event")
    return Event(kind, codecs.encode(event))


def idempotency_key_in(headers: dict[bytes, bytes]) -> str | None:
    """The header `idempotency-key`. Raises InvalidParameter where it is unusable."""
    key = headers.get(b"idempotency-key")
    if key is None:
        return None
    if _IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise InvalidParameter(
            f"an idempotency key has 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} visible ASCII characters",
            parameter="idempotency-key",
        )
    return key.decode("ascii")

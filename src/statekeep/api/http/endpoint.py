"""Routes as ASGI apps: for each what is alike in all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from statekeep.api.http.authentication import caller_of
from statekeep.api.http.body import ClientGone, read_body
from statekeep.api.http.errors import ErrorAnswers
from statekeep.api.http.reply import (
    Reply,
    StreamReply,
    answer_reply,
    send_reply,
    send_stream,
    text_reply,
)
from statekeep.api.http.route import Call, Route
from statekeep.api.http.services import Services
from statekeep.domain.access import require_scope
from statekeep.domain.errors import InvalidParameter
from statekeep.wire import codecs
from statekeep.wire.requests import StrictRequest

Responder = Callable[[Request], Awaitable[Reply | StreamReply]]


class PathEndpoint:
    """All methods of one path, each with its responder. Errors become answers here."""

    def __init__(self, by_method: Mapping[str, Responder], errors: ErrorAnswers) -> None:
        self._by_method = by_method
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        respond = self._by_method["GET" if scope["method"] == "HEAD" else scope["method"]]
        try:
            reply = await respond(Request(scope, receive))
        except ClientGone:
            return
        except Exception as error:
            reply = self._errors.of(error)
        if isinstance(reply, StreamReply):
            await send_stream(reply, receive, send)
        else:
            await send_reply(reply, send)


class RouteResponder:
    """A route of the table: find the caller, read the body, call the handler, encode what it answers."""

    def __init__(self, route: Route, services: Services, public_url: str | None) -> None:
        assert route.handler is not None, "hot and public routes are served elsewhere"
        self._route = route
        self._handler = route.handler
        self._decode = None if route.request is None else codecs.decoder_for(route.request)
        self._is_strict = route.request is not None and issubclass(route.request, StrictRequest)
        self._services = services
        self._public_url = public_url

    async def __call__(self, request: Request) -> Reply:
        headers = dict(request.scope["headers"])
        # The caller first: whoever may not do this does not get a body read. The use case asks again, as not only routes call it.
        services = self._services
        caller = await caller_of(headers, services.authenticator, services.rate_limits)
        for scope in (self._route.scope, *self._route.more_scopes):
            if scope is not None:
                require_scope(caller, scope)
        if self._is_strict:
            _require_known(request.query_params, self._route)
        call = Call(
            services=services,
            caller=caller,
            path=request.path_params,
            query=request.query_params,
            body=await self._body(headers, request),
            base_url=self._public_url or str(request.base_url).rstrip("/"),
        )
        answer = await self._handler(call)
        if isinstance(answer, str):
            assert self._route.text_media_type is not None
            return text_reply(self._route.status, answer, self._route.text_media_type)
        return answer_reply(self._route.status, answer)

    async def _body(self, headers: Mapping[bytes, bytes], request: Request) -> Any:
        # Clients send bodies, and say that they do, where none is wanted: those are left alone.
        if self._decode is None:
            return None
        body = await read_body(headers, request.receive, bytes_max=self._route.request_bytes_max)
        return self._decode(body)


def _require_known(query: Mapping[str, str], route: Route) -> None:
    """A restriction that is put in the wrong place must not be taken for none either. Raises InvalidParameter."""
    unknown = query.keys() - {parameter.name for parameter in route.query}
    if unknown:
        name = min(unknown)
        raise InvalidParameter(
            f"{name} is not known in the URL: what the request says belongs into its body",
            parameter=name,
        )

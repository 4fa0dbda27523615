"""Requests to the endpoints of machines (SPEC 9): any method and any body, from anyone.

Past the framework and past the answers of its CORS layer: a preflight request is the handler's like any other, and what the author says
about origins wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from statekeep.api.http.body import ClientGone, read_body
from statekeep.api.http.cors import Cors
from statekeep.api.http.errors import ErrorAnswers
from statekeep.api.http.hot import idempotency_key_in
from statekeep.api.http.reply import Headers, Reply, send_reply
from statekeep.api.http.route import machine_in_path
from statekeep.api.http.services import Services
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.http_mapping import BODILESS, BodyKind, HttpAnswer, HttpRequest
from statekeep.domain.limits import HTTP_REQUEST_BYTES_MAX
from statekeep.domain.names import OrganizationId

_PREFIX: Final = "/http-api/"
_JSON: Final = ("application/json", "text/json")
_TEXT: Final = (
    "application/x-www-form-urlencoded",
    "application/xml",
    "application/javascript",
    "application/graphql",
    "application/x-ndjson",
    "application/jwt",
    "application/sql",
    "application/yaml",
)
_UTF_8: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_COOKIES: Final = frozenset({b"cookie", b"cookie2"})
"""They are what browsers have for somebody else at this address, or at one above it."""


class HttpApiRoute:
    """An ASGI app that answers what is sent to endpoints and hands everything else to `fallback`."""

    def __init__(
        self, services: Services, errors: ErrorAnswers, cors: Cors, fallback: ASGIApp
    ) -> None:
        self._http_api = services.http_api
        self._rate_limits = services.rate_limits
        self._errors = errors
        self._cors = cors
        self._fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_PREFIX):
            match scope["path"].split("/"):
                case ["", "http-api", organization, "machines", machine, slug] if slug:
                    await self._answer(organization, machine, slug, scope, receive, send)
                    return
        await self._fallback(scope, receive, send)

    async def _answer(
        self,
        organization: str,
        machine: str,
        slug: str,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        headers = dict(scope["headers"])
        try:
            # Counted before anything is looked for or read.
            self._rate_limits.admit_http(OrganizationId(organization))
            endpoint = await self._http_api.find(
                OrganizationId(organization), machine_in_path(machine), slug
            )
            key = idempotency_key_in(headers)
            body = await read_body(headers, receive, bytes_max=HTTP_REQUEST_BYTES_MAX)
            answer = await self._http_api.serve(
                endpoint, request_of(scope, body), idempotency_key=key
            )
        except ClientGone:
            return
        except Exception as error:
            reply = self._errors.of(error)
            reply.headers.extend(self._cors.error_headers_for(headers))
        else:
            reply = self._reply(answer, headers)
        await send_reply(reply, send)

    def _reply(self, answer: HttpAnswer, request_headers: Mapping[bytes, bytes]) -> Reply:
        headers: Headers = [
            (name.encode("ascii"), value.encode("latin-1")) for name, value in answer.headers
        ]
        if all(name != b"access-control-allow-origin" for name, _ in headers):
            headers.extend(self._cors.headers_for(request_headers))
        if answer.status not in BODILESS:
            headers.append((b"content-length", b"%d" % len(answer.body)))
        return Reply(answer.status, headers, answer.body)


def request_of(scope: Scope, body: bytes) -> HttpRequest:
    """What the handler gets of a request. Raises InvalidParameter where the body is text, by its type, and not UTF-8."""
    headers = _headers_of(scope["headers"])
    kind = _kind_of(headers) if body else BodyKind.BYTES
    if kind is not BodyKind.BYTES:
        _require_utf8(body)
    query = scope["query_string"].decode("latin-1")
    return HttpRequest(scope["method"], headers, query, body, kind)


def _headers_of(sent: Headers) -> dict[str, str]:
    """Those of one name as one, which RFC 9110, 5.3 says means the same."""
    headers: dict[str, str] = {}
    for name, value in sent:
        if name not in _COOKIES:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _kind_of(headers: Mapping[str, str]) -> BodyKind:
    """By its type and never by its looks: what is text today may not be tomorrow."""
    if (headers.get("content-encoding") or "identity").lower() != "identity":
        return BodyKind.BYTES
    media_type, _, parameters = headers.get("content-type", "text/plain").lower().partition(";")
    media_type = media_type.strip()
    if not _is_utf8(parameters):
        return BodyKind.BYTES
    if media_type in _JSON or media_type.endswith("+json"):
        return BodyKind.JSON
    is_text = media_type.startswith("text/") or media_type.endswith("+xml") or media_type in _TEXT
    return BodyKind.TEXT if is_text else BodyKind.BYTES


def _is_utf8(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _UTF_8:
            return False
    return True


def _require_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameter("the body is not UTF-8", parameter="body") from error

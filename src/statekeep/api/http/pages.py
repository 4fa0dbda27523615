"""What the server says of itself: health, the OpenAPI document, and a page to read it on."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.requests import Request

from statekeep.api.http.openapi import Document
from statekeep.api.http.reference import render
from statekeep.api.http.reply import Headers, Reply, answer_reply, json_reply
from statekeep.domain.errors import Overloaded
from statekeep.wire import codecs
from statekeep.wire.answers import Error, Health

_PAGE_HEADERS: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    # The page is text and one style sheet inside it: nothing to run and nothing to fetch.
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
]


class HealthResponder:
    """Whether requests are taken, for load balancers and whoever starts the server."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready

    async def __call__(self, _request: Request) -> Reply:
        if not self._is_ready():
            raise Overloaded("the server is starting or ending")
        return answer_reply(200, Health("ok"))


class DocumentResponder:
    """The OpenAPI document."""

    def __init__(self, document: Document) -> None:
        self._reply = json_reply(200, msgspec.json.encode(document))

    async def __call__(self, _request: Request) -> Reply:
        return self._reply


class PageResponder:
    """The same document for people."""

    def __init__(self, document: Document) -> None:
        page = render(document).encode()
        length = (b"content-length", b"%d" % len(page))
        self._reply = Reply(200, [*_PAGE_HEADERS, length], page)

    async def __call__(self, _request: Request) -> Reply:
        return self._reply


async def upgrade_wanted(_request: Request) -> Reply:
    """What a request to the realtime socket gets that wants no WebSocket (RFC 9110, 15.5.22)."""
    body = codecs.encode(Error("this is a WebSocket: connect with wss:// or ws://"))
    return json_reply(426, body, [(b"upgrade", b"websocket"), (b"connection", b"upgrade")])

"""`/metrics`: what the server counts, for whoever has the token of its operator. Tokens of callers open nothing here."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request

from statekeep.api.http.reply import Reply
from statekeep.domain.errors import Unauthenticated

METRICS_PATH: Final = "/metrics"


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """The page, made anew at each call of `render`, and the token that opens it."""

    render: Callable[[], bytes]
    content_type: str
    token: str = field(repr=False)


class MetricsResponder:
    """Answers with the page, or with 401."""

    def __init__(self, page: MetricsPage) -> None:
        self._page = page
        self._token = page.token.encode()

    async def __call__(self, request: Request) -> Reply:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(token.strip().encode("latin-1"), self._token)
        if scheme.lower() != "bearer" or not is_right:
            raise Unauthenticated("the metrics want the server's metrics_token as bearer token")
        body = self._page.render()
        return Reply(
            200,
            [
                (b"content-type", self._page.content_type.encode()),
                (b"cache-control", b"no-store"),
                (b"content-length", b"%d" % len(body)),
            ],
            body,
        )

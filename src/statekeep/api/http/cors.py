"""Which pages may call from a browser. By default any: what lets a caller in is a token in a header, which no browser sends on its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from statekeep.api.http.reply import Headers

ANY_ORIGIN: Final = "*"

_EXPOSED: Final = ("Retry-After", "WWW-Authenticate")
_EXPOSE: Final = (b"access-control-expose-headers", ", ".join(_EXPOSED).encode())
_ALLOW_ANY: Final = (b"access-control-allow-origin", b"*")


class Cors:
    """The origins that are allowed: those of `origins` exactly, or all where `*` is one of them."""

    def __init__(self, origins: Iterable[str] = (ANY_ORIGIN,)) -> None:
        self._origins = frozenset(origins)
        self._allows_any = ANY_ORIGIN in self._origins
        self.always = [_ALLOW_ANY] if self._allows_any else None
        """What `headers_for` answers, where that does not depend on the request."""

    def allows(self, origin: str | None) -> bool:
        """Whether a request with that header `origin` may come in. One without it comes from no other page, or from no browser at all."""
        return self._allows_any or origin is None or origin in self._origins

    def headers_for(self, request_headers: Mapping[bytes, bytes]) -> Headers:
        """What a good answer has to say. Not to be changed."""
        if self.always is not None:
            return self.always
        origin = request_headers.get(b"origin")
        if origin is None or not self.allows(origin.decode("latin-1")):
            return []
        return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]

    def error_headers_for(self, request_headers: Mapping[bytes, bytes]) -> Headers:
        """What any other answer has to say."""
        allowed = self.headers_for(request_headers)
        return [*allowed, _EXPOSE] if allowed else []

    def around(self, app: ASGIApp) -> ASGIApp:
        """The app with these headers on all it answers, and answers to preflight requests."""
        return CORSMiddleware(
            app,
            allow_origins=(ANY_ORIGIN,) if self._allows_any else sorted(self._origins),
            allow_methods=("GET", "POST", "PUT", "DELETE"),
            allow_headers=(
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "Last-Event-ID",
                "X-Statebacked-Act",
                "X-Statebacked-Org-Id",
            ),
            expose_headers=_EXPOSED,
            max_age=86_400,
        )

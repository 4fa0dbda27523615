"""Browsers of any origin may call: what lets a caller in is a token in a header, which no browser sends on its own."""

from __future__ import annotations

from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_EXPOSED: Final = ("Retry-After", "WWW-Authenticate")

ALLOW_ANY_ORIGIN: Final = (b"access-control-allow-origin", b"*")
HEADERS: Final = [
    ALLOW_ANY_ORIGIN,
    (b"access-control-expose-headers", ", ".join(_EXPOSED).encode()),
]
"""For answers that do not pass through `allow_any_origin`. Good ones need the first only."""


def allow_any_origin(app: ASGIApp) -> ASGIApp:
    """The app with the headers of CORS on all it answers, and answers to preflight requests."""
    return CORSMiddleware(
        app,
        allow_origins=("*",),
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=(
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "X-Statebacked-Act",
            "X-Statebacked-Org-Id",
        ),
        expose_headers=_EXPOSED,
        max_age=86_400,
    )

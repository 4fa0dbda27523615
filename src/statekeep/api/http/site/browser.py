"""Browsers: the session that they send along, and whether it was one of our pages that made them send something.

What must stay true: nothing is done by GET but shown; whatever does something asks `require_own_page` first. The session is in a cookie, and nothing but the
pages reads it. Another cookie has the page that somebody wanted before they had signed in: it is theirs to change, so it is no more than a wish.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request

from statekeep.api.http.reply import Reply
from statekeep.application.sessions import BegunSession, Sessions, SignedIn
from statekeep.domain.errors import CrossOrigin, Unauthenticated
from statekeep.domain.limits import LABEL_LENGTH_MAX, NEXT_PAGE_KEPT_FOR

_SESSION: Final = "statekeep-session"
_NEXT: Final = "statekeep-next"
_HOST_PREFIX: Final = "__Host-"
"""Browsers take a name that begins so from this very host only, over TLS (RFC 6265bis, 4.1.3)."""


def session_token_in(request: Request, base_url: str) -> str | None:
    """What the browser was told to keep by `signed_in`."""
    return request.cookies.get(_cookie_name(_SESSION, base_url))


async def who_sent(request: Request, sessions: Sessions, base_url: str) -> SignedIn | None:
    """Who is signed in in this browser, if anybody is."""
    token = session_token_in(request, base_url)
    if token is None:
        return None
    try:
        return await sessions.in_browser(token)
    except Unauthenticated:
        return None


def require_own_page(headers: Mapping[str, str], base_url: str) -> None:
    """Raises CrossOrigin unless the browser says that a page of this origin made it send this.

    All do since 2023 in Sec-Fetch-Site, where the connection is safe or to their own machine, and since long before in Origin.
    """
    site = headers.get("sec-fetch-site")
    if site is None:
        url = urlsplit(base_url)
        is_own = headers.get("origin") == f"{url.scheme}://{url.netloc}"
    else:
        is_own = site == "same-origin"
    if not is_own:
        raise CrossOrigin("this was sent by a page of somebody else, or by no page at all")


def label_of(headers: Mapping[str, str]) -> str:
    """What the browser calls itself."""
    agent = "".join(letter for letter in headers.get("user-agent", "") if letter.isprintable())
    return agent[:LABEL_LENGTH_MAX] or "a browser"


def signed_in(begun: BegunSession, path: str, base_url: str) -> Reply:
    """Go on at that path, and keep the session."""
    session = begun.session
    reply = redirect(path)
    _keep(reply, _SESSION, begun.token, session.expires_at - session.created_at, base_url)
    return reply


def signed_out(path: str, base_url: str) -> Reply:
    """Go on at that path, and forget the session."""
    reply = redirect(path)
    _keep(reply, _SESSION, "", timedelta(), base_url)
    return reply


def keep_next(reply: Reply, path: str, base_url: str) -> None:
    """Keep where to go on after signing in: links that the operator makes do not say."""
    _keep(reply, _NEXT, quote(path, safe=""), NEXT_PAGE_KEPT_FOR, base_url)


def forget_next(reply: Reply, base_url: str) -> None:
    """They have been there."""
    _keep(reply, _NEXT, "", timedelta(), base_url)


def next_in(request: Request, base_url: str) -> str | None:
    """What `keep_next` has kept, or whatever else the browser says."""
    kept = request.cookies.get(_cookie_name(_NEXT, base_url))
    return None if kept is None else unquote(kept)


def redirect(path: str) -> Reply:
    """Go on at that path, by GET."""
    headers = [
        (b"location", path.encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"content-length", b"0"),
    ]
    return Reply(303, headers, b"")


def _keep(reply: Reply, name: str, value: str, time: timedelta, base_url: str) -> None:
    age = f"Max-Age={int(time.total_seconds())}"
    # Lax, not Strict: links in terminals and mails lead here, and who follows one is signed in.
    cookie = f"{_cookie_name(name, base_url)}={value}; Path=/; {age}; HttpOnly; SameSite=Lax"
    if _is_secure(base_url):
        cookie += "; Secure"
    reply.headers.append((b"set-cookie", cookie.encode("ascii")))


def _cookie_name(name: str, base_url: str) -> str:
    return f"{_HOST_PREFIX}{name}" if _is_secure(base_url) else name


def _is_secure(base_url: str) -> bool:
    return base_url.startswith("https:")

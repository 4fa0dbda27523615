"""From the headers of a request to its caller. Every request with a caller passes here, and is counted here before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from statekeep.application.authenticate import Authenticator
from statekeep.application.rate_limits import RateLimits
from statekeep.domain.access import AuthContext

_QUERY_FIELDS_MAX: Final = 20


Credentials = tuple[bytes | None, bytes | None, bytes | None]
"""What a request says about who is asking, as it was sent: `authorization`, `x-statebacked-org-id` and `x-statebacked-act`."""


def credentials_in(headers: Mapping[bytes, bytes]) -> Credentials:
    """As nearly all requests have them."""
    return (
        headers.get(b"authorization"),
        headers.get(b"x-statebacked-org-id"),
        headers.get(b"x-statebacked-act"),
    )


def credentials_in_query(headers: Mapping[bytes, bytes], query_string: bytes) -> Credentials:
    """Of the query where the headers have none: `token` and `x-statebacked-org-id`. Browsers set no headers on WebSocket and EventSource."""
    query = fields_of(query_string)
    authorization, organization, act = credentials_in(headers)
    token = query.get("token")
    return (
        authorization or (None if token is None else _header(f"Bearer {token}")),
        organization or _header(query.get("x-statebacked-org-id", "")) or None,
        act,
    )


def known_caller(
    headers: Mapping[bytes, bytes], authenticator: Authenticator, rate_limits: RateLimits
) -> AuthContext | None:
    """Who is asking, if that was found out before: nearly always, and then there is nothing to wait for. Raises TooManyRequests."""
    caller = authenticator.cached(*credentials_in(headers))
    if caller is not None:
        rate_limits.admit(caller)
    return caller


async def caller_of(
    headers: Mapping[bytes, bytes], authenticator: Authenticator, rate_limits: RateLimits
) -> AuthContext:
    """Who is asking. Raises Unauthenticated, TooManyRequests, and what else is wrong with the headers."""
    caller = await identify(credentials_in(headers), authenticator)
    rate_limits.admit(caller)
    return caller


async def identify(credentials: Credentials, authenticator: Authenticator) -> AuthContext:
    """Who has these credentials now, without counting it. Raises as `caller_of` does."""
    return authenticator.cached(*credentials) or await authenticator.authenticate(*credentials)


def fields_of(query_string: bytes) -> dict[str, str]:
    """The fields of a query string, the first of each name; none where it is no query."""
    try:
        fields = parse_qs(query_string.decode("ascii"), max_num_fields=_QUERY_FIELDS_MAX)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _header(text: str) -> bytes:
    return text.encode("latin-1", errors="replace")

"""From the headers of a request to its caller. Every request with a caller passes here, and is counted here before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from statekeep.application.authenticate import Authenticator
from statekeep.application.rate_limits import RateLimits
from statekeep.domain.access import AuthContext

_QUERY_FIELDS_MAX: Final = 20


class Credentials(NamedTuple):
    """What a request says about who is asking, as it was sent."""

    authorization: bytes | None
    organization: bytes | None
    act: bytes | None

    @classmethod
    def of_headers(cls, headers: Mapping[bytes, bytes]) -> Credentials:
        """As nearly all requests have them."""
        return cls(
            headers.get(b"authorization"),
            headers.get(b"x-statebacked-org-id"),
            headers.get(b"x-statebacked-act"),
        )

    @classmethod
    def of_query(cls, headers: Mapping[bytes, bytes], query_string: bytes) -> Credentials:
        """Of the query where the headers have none: `token` and `x-statebacked-org-id`. Browsers set no headers on WebSocket and EventSource."""
        query = _fields_of(query_string)
        given = cls.of_headers(headers)
        token = query.get("token")
        return cls(
            given.authorization or (None if token is None else _header(f"Bearer {token}")),
            given.organization or _header(query.get("x-statebacked-org-id", "")) or None,
            given.act,
        )


def known_caller(
    headers: Mapping[bytes, bytes], authenticator: Authenticator, rate_limits: RateLimits
) -> AuthContext | None:
    """Who is asking, if that was found out before: nearly always, and then there is nothing to wait for. Raises TooManyRequests."""
    caller = authenticator.cached(*Credentials.of_headers(headers))
    if caller is not None:
        rate_limits.admit(caller)
    return caller


async def caller_of(
    headers: Mapping[bytes, bytes], authenticator: Authenticator, rate_limits: RateLimits
) -> AuthContext:
    """Who is asking. Raises Unauthenticated, TooManyRequests, and what else is wrong with the headers."""
    caller = await identify(Credentials.of_headers(headers), authenticator)
    rate_limits.admit(caller)
    return caller


async def identify(credentials: Credentials, authenticator: Authenticator) -> AuthContext:
    """Who has these credentials now, without counting it. Raises as `caller_of` does."""
    return authenticator.cached(*credentials) or await authenticator.authenticate(*credentials)


def _fields_of(query_string: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(query_string.decode("ascii"), max_num_fields=_QUERY_FIELDS_MAX)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _header(text: str) -> bytes:
    return text.encode("latin-1", errors="replace")

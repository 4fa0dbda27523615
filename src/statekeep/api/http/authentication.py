"""From the headers of a request to its caller. Every request with a caller passes here, and is counted here before anything is done."""

from __future__ import annotations

from collections.abc import Mapping

from statekeep.application.authenticate import Authenticator
from statekeep.application.rate_limits import RateLimits
from statekeep.domain.access import AuthContext


def known_caller(
    headers: Mapping[bytes, bytes], authenticator: Authenticator, rate_limits: RateLimits
) -> AuthContext | None:
    """Who is asking, if that was found out before: nearly always, and then there is nothing to wait for. Raises TooManyRequests."""
    caller = authenticator.cached(*_credentials(headers))
    if caller is not None:
        rate_limits.admit(caller)
    return caller


async def caller_of(
    headers: Mapping[bytes, bytes], authenticator: Authenticator, rate_limits: RateLimits
) -> AuthContext:
    """Who is asking. Raises Unauthenticated, TooManyRequests, and what else is wrong with the headers."""
    caller = known_caller(headers, authenticator, rate_limits)
    if caller is None:
        caller = await authenticator.authenticate(*_credentials(headers))
        rate_limits.admit(caller)
    return caller


def _credentials(
    headers: Mapping[bytes, bytes],
) -> tuple[bytes | None, bytes | None, bytes | None]:
    return (
        headers.get(b"authorization"),
        headers.get(b"x-statebacked-org-id"),
        headers.get(b"x-statebacked-act"),
    )

"""From the headers of a request to its caller."""

from __future__ import annotations

from collections.abc import Mapping

from statekeep.application.authenticate import Authenticator
from statekeep.domain.access import AuthContext


def known_caller(
    headers: Mapping[bytes, bytes], authenticator: Authenticator
) -> AuthContext | None:
    """Who is asking, if that was found out before: nearly always, and then there is nothing to wait for."""
    return authenticator.cached(*_credentials(headers))


async def caller_of(headers: Mapping[bytes, bytes], authenticator: Authenticator) -> AuthContext:
    """Who is asking. Raises Unauthenticated, and what else is wrong with the headers."""
    caller = known_caller(headers, authenticator)
    return caller or await authenticator.authenticate(*_credentials(headers))


def _credentials(
    headers: Mapping[bytes, bytes],
) -> tuple[bytes | None, bytes | None, bytes | None]:
    return (
        headers.get(b"authorization"),
        headers.get(b"x-statebacked-org-id"),
        headers.get(b"x-statebacked-act"),
    )

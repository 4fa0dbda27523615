"""Tokens that identity providers signed, which are taken in exchange for ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class UnverifiedSubject(NamedTuple):
    """For whom a token says it is, and by whom, before anything is believed."""

    audiences: tuple[str, ...]
    issuer: str | None


class Trust(NamedTuple):
    """Which signatures are right: by these algorithms, and by a key that `read_key` read or by one that is published."""

    algorithms: tuple[str, ...]
    key: str | None
    jwks_url: str | None


class SubjectTokens(Protocol):
    """JSON Web Tokens (RFC 7519) signed by others."""

    def read_key(self, key: str, algorithms: Sequence[str]) -> str:
        """A key in base64url as text to keep, always the same for the same key.

        For HS* the key is the shared secret itself, else a public key: SubjectPublicKeyInfo as PEM or DER, or a JSON Web Key. Raises
        InvalidParameter naming `key` where it is anything else, does not fit every one of `algorithms`, or is too weak or too large.
        """
        ...

    def read_jwks_url(self, url: str) -> str:
        """A URL from which key sets can be fetched. Raises InvalidParameter naming `jwksUrl` for any other."""
        ...

    def peek(self, token: str) -> UnverifiedSubject:
        """What a token says of itself. Raises InvalidExchange where it is too large or no token, whoever may have made it."""
        ...

    async def verify(self, token: str, trust: Trust, *, now: float) -> dict[str, Any]:
        """The claims of a token that `peek` has read, signed as `trust` wants it and valid at `now` (seconds since the epoch).

        Raises Untrusted for a wrong signature, and only for a right one InvalidExchange where the token is out of its time. Raises
        IssuerUnavailable where the published keys cannot be had.
        """
        ...


class Untrusted(Exception):
    """The token was not signed as it had to be. The message is for the server's log: a stranger learns nothing from it."""

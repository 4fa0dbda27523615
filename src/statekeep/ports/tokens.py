"""Checking and making tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from statekeep.domain.names import KeyId, SessionId, UserId
from statekeep.domain.people import Session
from statekeep.domain.token_exchange import ExchangePath


class UnverifiedToken(NamedTuple):
    """What a token says of itself, before anything is believed. `key_id` is None for our own tokens."""

    key_id: KeyId | None


class KeyClaims(NamedTuple):
    """A checked token of an API key: claims as JSON of the end user, and when it ends (seconds since the epoch, None for never).

    `exchange` says through what it was exchanged, if it was. `session_id` is the end user's `sid`.
    """

    auth_context: bytes
    expires_at: float | None
    exchange: ExchangePath | None
    session_id: str | None


class SessionClaims(NamedTuple):
    """A checked token of a session. `auth_context` is the JSON of whose it is: an object with nothing but `sub`."""

    session_id: SessionId
    user_id: UserId
    auth_context: bytes
    expires_at: float


class Tokens(Protocol):
    """JSON Web Tokens (RFC 7519), with the server's own key inside.

    Everything that is wrong with a token is Unauthenticated; the message says what, never more than the token itself shows.
    """

    def peek(self, token: str) -> UnverifiedToken:
        """Which key a token claims to be signed with."""
        ...

    def verify_key_token(self, token: str, secret: str, *, now: float) -> KeyClaims:
        """Check an HS256 token of an API key: signature, audience, times (SPEC 3)."""
        ...

    def issue_exchanged(
        self,
        key_id: KeyId,
        secret: str,
        act: Mapping[str, Any],
        path: ExchangePath,
        *,
        now: float,
        valid_for_seconds: int,
    ) -> str:
        """A token of an API key for an end user with the claims `act`, which tells through what it was exchanged."""
        ...

    def verify_session(self, token: str, *, now: float) -> SessionClaims:
        """Check a token of `issue_session`. Whether the session was ended meanwhile is not in it."""
        ...

    def issue_session(self, session: Session) -> str:
        """The token of a session, good from its beginning to its end."""
        ...

    def read_claims(self, text: bytes) -> bytes:
        """The header `x-statebacked-act` as the JSON of an auth context.

        A JSON object in UTF-8, or in Latin-1 as browsers send it. Raises InvalidParameter for anything else.
        """
        ...

    def seal(self, secret: str) -> bytes:
        """Encrypt a key's secret with the server's key."""
        ...

    def unseal(self, sealed: bytes) -> str:
        """Decrypt what `seal` made. Raises SealBroken where it was altered or made with another server's key."""
        ...

    def sign(
        self, purpose: str, claims: dict[str, Any], *, now: float, valid_for_seconds: int
    ) -> str:
        """A short-lived statement by the server to itself, safe in a URL path."""
        ...

    def verify(self, purpose: str, token: str, *, now: float) -> dict[str, Any]:
        """What `sign` stated for the same purpose. Raises InvalidParameter where it is forged, altered or expired."""
        ...


class SealBroken(Exception):
    """A sealed secret does not belong to this server's key: the data came from elsewhere, or the key was replaced."""


class BrokenServerKey(Exception):
    """The file of the server's key is there and holds no key; the message says which and what to do."""

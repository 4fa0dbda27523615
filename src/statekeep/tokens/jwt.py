"""JSON Web Tokens: those that API keys sign, and those of the server itself.

What must stay true: the header is looked at before anything else, and nothing but HS256 gets past it; no claim is
read before the signature was found right; each purpose has a key of its own, so that a token made for one
is a forgery for every other.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import OctKey

from statekeep.domain import limits
from statekeep.domain.errors import InvalidParameter, Unauthenticated
from statekeep.domain.message import SENDER_CLAIM
from statekeep.domain.names import IdentityProviderId, KeyId, SessionId, TokenProviderId, UserId
from statekeep.domain.people import Session
from statekeep.domain.token_exchange import ExchangePath
from statekeep.ports.entropy import Entropy
from statekeep.ports.tokens import KeyClaims, SealBroken, SessionClaims, UnverifiedToken
from statekeep.tokens.server_key import ServerKey

STATE_BACKED: Final = "https://api.statebacked.dev"
"""The audience of tokens made for State Backed, as `@statebacked/token` makes all of them."""

_EXCHANGE: Final = "statekeep_exchange"
"""The claim that holds an ExchangePath."""
_SESSION: Final = "session"
_NONCE_BYTES: Final = 12
_END_OF_TIME_S: Final = 253_402_300_800
"""The year 10000."""
_SKEW_S: Final = int(limits.CLOCK_SKEW.total_seconds())
# Headers we do not know are no reason to refuse a token (RFC 7515, 4).
_REGISTRY: Final = jws.JWSRegistry(algorithms=["HS256"], strict_check_header=False)


class _Header(msgspec.Struct):
    alg: Literal["HS256"]
    kid: str | None = None
    # An extension without which the token must not be understood (RFC 7515, 4.1.11): we know none, so any is one too many.
    crit: msgspec.UnsetType = msgspec.UNSET


class JwtTokens:
    """Tokens signed with HS256 (ports.tokens.Tokens)."""

    def __init__(self, server_key: ServerKey, entropy: Entropy, *, public_url: str) -> None:
        self._entropy = entropy
        self._audiences = [
            base.rstrip("/") + slash for base in (STATE_BACKED, public_url) for slash in ("", "/")
        ]
        self._sealing = AESGCM(server_key.derive("seal"))
        # Purposes are written in our own code: there is a handful of them.
        self._key_for = lru_cache(maxsize=None)(
            lambda purpose: OctKey.import_key(server_key.derive(f"sign/{purpose}"))
        )

    def peek(self, token: str) -> UnverifiedToken:
        """Which key a token claims to be signed with."""
        key_id = _header(token).kid
        return UnverifiedToken(None if key_id is None else KeyId(key_id))

    def verify_key_token(self, token: str, secret: str, *, now: float) -> KeyClaims:
        """Check an HS256 token of an API key: signature, audience, times (SPEC 3)."""
        key = OctKey.import_key(secret.encode())
        claims = _verified(token, key, self._audiences, now=now, leeway_s=_SKEW_S)
        expires_at = claims.get("exp")
        if expires_at is not None:
            # JSON has integers that no float can hold.
            expires_at = float(min(expires_at, _END_OF_TIME_S))
        act = _act(claims)
        sid = act.get("sid")
        return KeyClaims(
            msgspec.json.encode(act),
            expires_at,
            _exchange(claims),
            sid if isinstance(sid, str) else None,
        )

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
        """A token of an API key for an end user, which tells through what it was exchanged."""
        claims = {
            "aud": STATE_BACKED + "/",
            "iat": int(now),
            "exp": int(now) + valid_for_seconds,
            "act": act,
            _EXCHANGE: list(path),
        }
        # Ours is stricter than the library's encoder, and so is what reads it.
        payload = msgspec.json.encode(claims)
        header = {"alg": "HS256", "kid": key_id}
        key = OctKey.import_key(secret.encode())
        return jws.serialize_compact(header, payload, key, registry=_REGISTRY)

    def verify_session(self, token: str, *, now: float) -> SessionClaims:
        """Check a token of `issue_session`."""
        key = self._key_for(_SESSION)
        claims = _verified(token, key, [_SESSION], now=now, leeway_s=_SKEW_S)
        if "sid" not in claims:
            # As they were before sessions could be ended.
            raise Unauthenticated("the session has ended: sign in again")
        user_id = claims["sub"]
        return SessionClaims(
            SessionId(claims["sid"]),
            UserId(user_id),
            msgspec.json.encode({"sub": user_id}),
            claims["exp"],
        )

    def issue_session(self, session: Session) -> str:
        """The token of a session, good from its beginning to its end."""
        lasts = session.expires_at - session.created_at
        return self._issue(
            _SESSION,
            {"sub": session.user_id, "sid": session.id},
            session.created_at.timestamp(),
            int(lasts.total_seconds()),
        )

    def read_claims(self, text: bytes) -> bytes:
        """The header `x-statebacked-act` as the JSON of an auth context."""
        if len(text) > limits.ACT_BYTES_MAX:
            raise _invalid_act(f"must not be longer than {limits.ACT_BYTES_MAX} bytes")
        try:
            return msgspec.json.encode(_of_nobody_else(_object(_as_utf8(text))))
        except (ValueError, RecursionError) as error:
            raise _invalid_act("must be a JSON object") from error

    def seal(self, secret: str) -> bytes:
        """Encrypt a key's secret with the server's key."""
        nonce = self._entropy.token_bytes(_NONCE_BYTES)
        return nonce + self._sealing.encrypt(nonce, secret.encode(), None)

    def unseal(self, sealed: bytes) -> str:
        """Decrypt what `seal` made. Raises SealBroken."""
        try:
            nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return self._sealing.decrypt(nonce, ciphertext, None).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken(
                "a secret was sealed with another server.key than the one in use"
            ) from error

    def sign(
        self, purpose: str, claims: dict[str, Any], *, now: float, valid_for_seconds: int
    ) -> str:
        """A short-lived statement by the server to itself, safe in a URL path."""
        return self._issue(_statement(purpose), {"claims": claims}, now, valid_for_seconds)

    def verify(self, purpose: str, token: str, *, now: float) -> dict[str, Any]:
        """What `sign` stated for the same purpose. Raises InvalidParameter."""
        audience = _statement(purpose)
        try:
            # No leeway: issuer and judge have the same clock.
            stated = _verified(token, self._key_for(audience), [audience], now=now, leeway_s=0)
        except Unauthenticated as error:
            raise InvalidParameter(error.message) from error
        claims: dict[str, Any] = stated["claims"]
        return claims

    def _issue(self, purpose: str, claims: dict[str, Any], now: float, valid_for_s: int) -> str:
        stated = {"aud": purpose, "iat": int(now), "exp": int(now) + valid_for_s, **claims}
        return jwt.encode({"alg": "HS256"}, stated, self._key_for(purpose))


def _statement(purpose: str) -> str:
    # Set apart from sessions, whatever a purpose is called.
    return f"statement/{purpose}"


def _header(token: str) -> _Header:
    if len(token) > limits.TOKEN_BYTES_MAX:
        raise Unauthenticated(f"a token has at most {limits.TOKEN_BYTES_MAX} bytes")
    encoded = token.partition(".")[0]
    try:
        return msgspec.json.decode(urlsafe_b64decode(encoded + "=="), type=_Header)
    except (ValueError, RecursionError) as error:
        raise Unauthenticated("the token is no JSON Web Token signed with HS256") from error


def _verified(
    token: str, key: OctKey, audiences: list[str], *, now: float, leeway_s: int
) -> dict[str, Any]:
    """The claims of a token that was signed with `key` for one of `audiences` and is valid now."""
    _header(token)
    try:
        claims = _object(jws.deserialize_compact(token, key, registry=_REGISTRY).payload)
        jwt.JWTClaimsRegistry(
            now=int(now), leeway=leeway_s, aud={"essential": True, "values": audiences}
        ).validate(claims)
    except ClaimError as error:
        raise Unauthenticated(f"{error.claim}: {error.description}") from error
    except (JoseError, ValueError, RecursionError) as error:
        raise Unauthenticated("the token is malformed or its signature is wrong") from error
    return claims


def _act(claims: dict[str, Any]) -> dict[str, Any]:
    act = claims.get("act", {})
    if not isinstance(act, dict):
        raise Unauthenticated("act: must be an object")
    if "sub" in claims and "sub" not in act:
        act = {**act, "sub": claims["sub"]}
    return _of_nobody_else(act)


def _of_nobody_else(act: dict[str, Any]) -> dict[str, Any]:
    """Without what only instances can be."""
    act.pop(SENDER_CLAIM, None)
    return act


def _exchange(claims: dict[str, Any]) -> ExchangePath | None:
    match claims.get(_EXCHANGE):
        case None:
            return None
        case [str(identity_provider_id), str(token_provider_id)]:
            return ExchangePath(
                IdentityProviderId(identity_provider_id), TokenProviderId(token_provider_id)
            )
        case _:
            raise Unauthenticated(f"{_EXCHANGE}: must be what the server wrote")


def _object(text: bytes | str) -> dict[str, Any]:
    # Stricter than json.loads: no NaN, no lone surrogates, and no number that a double cannot hold.
    return msgspec.json.decode(text, type=dict[str, Any])


def _as_utf8(text: bytes) -> str:
    # Browsers put each character of a header into one byte and refuse all beyond U+00FF; other clients send UTF-8.
    # Latin-1 text that happens to be UTF-8 too is rare enough ("Ã©").
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _invalid_act(expectation: str) -> InvalidParameter:
    return InvalidParameter(f"x-statebacked-act {expectation}", parameter="x-statebacked-act")

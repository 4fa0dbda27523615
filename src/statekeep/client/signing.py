"""Tokens that are made on this side, and what can be read of others."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from statekeep.client.clock import now_seconds

AUDIENCE: Final = "https://api.statebacked.dev/"
"""Every server takes tokens for this audience, as `@statebacked/token` makes them."""


def sign_token(
    key_id: str,
    secret_key: str,
    claims: Mapping[str, Any],
    *,
    expires: timedelta | datetime | None = timedelta(hours=1),
    audience: str = AUDIENCE,
    issuer: str | None = None,
) -> str:
    """A token for an end user, signed with an API key (SPEC 3). For your back end: whoever has the secret can be anybody.

    `claims` are what machines see as `authContext`; `sub` among them names the user. The token is good for, or until, `expires`; None
    is for ever, or rather until the key is deleted.
    """
    now = now_seconds()
    payload: dict[str, Any] = {"aud": audience, "iat": int(now), "act": dict(claims)}
    if isinstance(claims.get("sub"), str):
        payload["sub"] = claims["sub"]
    if issuer is not None:
        payload["iss"] = issuer
    if expires is not None:
        payload["exp"] = int(_instant(expires, now))
    return sign(payload, secret_key, key_id=key_id)


def sign(payload: Mapping[str, Any], secret: str, *, key_id: str | None = None) -> str:
    """A JSON Web Token with HS256."""
    # Three tenths of a second to import, which few need.
    from joserfc import jwt
    from joserfc.jwk import OctKey

    header = {"alg": "HS256", "typ": "JWT"} | ({} if key_id is None else {"kid": key_id})
    return jwt.encode(header, dict(payload), OctKey.import_key(secret))


class _Expiry(msgspec.Struct):
    exp: float | None = None


def expiry_of(token: str) -> float | None:
    """When a token says that it ends, in seconds since the epoch. None where it does not say, or is none that we can read."""
    try:
        payload = token.split(".")[1]
        padded = payload + "=" * (-len(payload) % 4)
        return msgspec.json.decode(urlsafe_b64decode(padded), type=_Expiry).exp
    except (IndexError, ValueError, msgspec.DecodeError):
        return None


def _instant(expires: timedelta | datetime, now: float) -> float:
    return now + expires.total_seconds() if isinstance(expires, timedelta) else expires.timestamp()

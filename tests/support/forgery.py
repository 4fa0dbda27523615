"""Tokens as an attacker, or a careless issuer, would make them: any header, any payload, any key."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

AUDIENCE = "https://api.statebacked.dev/"


def forge(header: Any, payload: Any, secret: str, *, digest: str = "sha256") -> str:
    """A compact token whose HMAC is right. `bytes` are taken as they are, everything else as JSON."""
    signed = f"{_segment(header)}.{_segment(payload)}"
    signature = hmac.digest(secret.encode(), signed.encode(), digest)
    return f"{signed}.{encode(signature)}"


def key_token(key_id: str, secret: str, **claims: Any) -> str:
    """What a customer's back end makes with a key, as `@statebacked/token` does."""
    claims = {"aud": AUDIENCE, "act": {"sub": "ada"}} | claims
    return forge({"alg": "HS256", "kid": key_id}, claims, secret)


def encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _segment(value: Any) -> str:
    return encode(value if isinstance(value, bytes) else json.dumps(value).encode())

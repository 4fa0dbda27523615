"""New ids: a prefix that says of what, and chance (SPEC 1)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Final

from statekeep.ports.entropy import Entropy

_ID_BYTES: Final = 16
_SECRET_BYTES: Final = 32


def new_id(prefix: str, entropy: Entropy, *, byte_count: int = _ID_BYTES) -> str:
    """`prefix`, `_` and the base64url of random bytes: no two are ever the same, and none can be guessed."""
    return f"{prefix}_{urlsafe_b64encode(entropy.token_bytes(byte_count)).rstrip(b'=').decode()}"


def new_secret(entropy: Entropy) -> str:
    """The secret of an API key."""
    return new_id("sbsec", entropy, byte_count=_SECRET_BYTES)

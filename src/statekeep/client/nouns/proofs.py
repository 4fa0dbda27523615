"""Proofs that deleting is meant (SPEC 2). They protect against slips, not against attackers."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode


def proof_of(machine_name: str, name: str) -> str:
    """Of the deletion of `name`, which is the machine or one of its instances."""
    digest = hmac.digest(machine_name.encode(), name.encode(), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()

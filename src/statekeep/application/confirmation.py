"""Deleting what cannot be restored needs proof that it is meant (SPEC 2).

The proof is an HMAC of the name that is deleted. It protects against slips, not against attackers; it is compared in constant
time all the same, since that costs nothing.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from statekeep.domain.errors import InvalidParameter

DANGER = "dangerDataWillBeDeletedForever"
MACHINE_PROOF = "hmacSha256OfMachineNameWithMachineNameKey"
INSTANCE_PROOF = "hmacSha256OfMachineInstanceNameWithMachineNameKey"


def require_confirmation(
    *, is_confirmed: bool, proof: str, key: str, name: str, proof_parameter: str
) -> None:
    """Nothing where `proof` is the unpadded base64url of the HMAC-SHA-256 of `name` under `key`.

    Raises InvalidParameter naming the parameter that is missing or wrong.
    """
    if not is_confirmed:
        raise InvalidParameter(f"{DANGER} must be true", parameter=DANGER)
    expected = urlsafe_b64encode(hmac.digest(key.encode(), name.encode(), sha256)).rstrip(b"=")
    if not hmac.compare_digest(expected, proof.encode(errors="replace").rstrip(b"=")):
        raise InvalidParameter(
            f"{proof_parameter} is not the HMAC of the name that would be deleted",
            parameter=proof_parameter,
        )

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

import pytest

from statekeep.application.confirmation import DANGER, MACHINE_PROOF, require_confirmation
from statekeep.domain.errors import InvalidParameter

PROOF = urlsafe_b64encode(hmac.digest(b"door", b"front", "sha256")).decode()


@pytest.mark.parametrize("proof", [PROOF, PROOF.rstrip("=")])
def test_a_proof_may_be_padded(proof: str) -> None:
    """The official client leaves the padding out; others may not."""
    require_confirmation(
        is_confirmed=True, proof=proof, key="door", name="front", proof_parameter=MACHINE_PROOF
    )


@pytest.mark.parametrize(
    ("is_confirmed", "proof", "parameter"),
    [
        (False, PROOF, DANGER),
        (True, "", MACHINE_PROOF),
        (True, PROOF[:-2] + "A=", MACHINE_PROOF),
        (True, "\ud800é", MACHINE_PROOF),
    ],
)
def test_what_is_wrong_is_named(is_confirmed: bool, proof: str, parameter: str) -> None:
    """One parameter at a time, the confirmation first."""
    with pytest.raises(InvalidParameter) as caught:
        require_confirmation(
            is_confirmed=is_confirmed,
            proof=proof,
            key="door",
            name="front",
            proof_parameter=MACHINE_PROOF,
        )
    assert caught.value.parameter == parameter

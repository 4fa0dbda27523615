"""New ids."""

from __future__ import annotations

import re

from statekeep.application.ids import new_id
from tests.support.entropy import SeededEntropy


def test_an_id_is_a_prefix_and_16_bytes():
    """As base64url without padding, so that it fits into a path."""
    assert re.fullmatch(r"org_[A-Za-z0-9_-]{22}", new_id("org", SeededEntropy()))


def test_ids_differ():
    """Chance decides."""
    entropy = SeededEntropy()
    assert len({new_id("org", entropy) for _ in range(100)}) == 100


def test_secrets_can_be_longer():
    """32 bytes are 43 characters."""
    assert len(new_id("sbsec", SeededEntropy(), byte_count=32)) == len("sbsec_") + 43

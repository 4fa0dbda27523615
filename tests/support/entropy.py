"""Chance that repeats itself: the same in every run of a test, different at every call."""

from __future__ import annotations

import random


class SeededEntropy:
    """Bytes from a seed (ports.entropy.Entropy)."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def token_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

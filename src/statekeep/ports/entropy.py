"""Chance, handed in."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """Unpredictable bytes."""

    def token_bytes(self, count: int) -> bytes:
        """`count` bytes nobody can guess."""
        ...

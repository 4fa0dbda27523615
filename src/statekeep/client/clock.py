"""The time, for tokens that end and sockets that must not fall silent: the only file of the client that reads it."""

from __future__ import annotations

import time


def now_seconds() -> float:
    """Seconds since the epoch."""
    return time.time()


def monotonic_seconds() -> float:
    """Seconds since some moment, whatever is done to the clock."""
    return time.monotonic()

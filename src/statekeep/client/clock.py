"""The time, for tokens that end: the only file of the client that reads it."""

from __future__ import annotations

import time


def now_seconds() -> float:
    """Seconds since the epoch."""
    return time.time()

"""Time, handed in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The time of day. It may jump, as real clocks do."""

    def now_ms(self) -> float:
        """Milliseconds since the epoch, to the microsecond: no finer, so that what is written reads as what it was (SPEC 2)."""
        ...


def datetime_of(ms: float) -> datetime:
    """That instant as an aware datetime in UTC, to the millisecond."""
    return datetime.fromtimestamp(int(ms) / 1000, tz=UTC)

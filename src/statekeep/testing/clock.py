"""Time that stands still unless somebody moves it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When a world begins where nobody says otherwise, so that every run of a test sees the same times."""


class VirtualClock:
    """The time of day of one world (ports.clock.Clock)."""

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            raise ValueError("the start of a world needs a time zone: datetime(..., tzinfo=UTC)")
        self._ms = _whole_microseconds(start.timestamp() * 1000)

    def now_ms(self) -> float:
        """Milliseconds since the epoch, to the microsecond."""
        return self._ms

    def move_to(self, ms: float) -> None:
        """It is that late now. Nothing where it is later already: time does not go back."""
        self._ms = max(self._ms, _whole_microseconds(ms))


def _whole_microseconds(ms: float) -> float:
    """Never earlier: what is due then is due."""
    rounded = round(ms, 3)
    return rounded if rounded >= ms else round(rounded + 0.001, 3)

"""A clock that moves when a test says so."""

from __future__ import annotations


class FakeClock:
    """Time as the test sets it (ports.clock.Clock)."""

    def __init__(self, now_ms: float = 1_767_225_600_000.0) -> None:
        self.time_ms = now_ms

    def now_ms(self) -> float:
        return self.time_ms

    @property
    def now_s(self) -> float:
        return self.time_ms / 1000

    def advance(self, *, seconds: float) -> None:
        self.time_ms += seconds * 1000

"""Where batches are written: on the event loop while the disk is fast, on a thread while it is slow.

Handing a batch to a thread and back costs more than a fast disk takes; a slow disk would stall everything else the loop does. On the
thread, what arrives during one write forms the next batch, so the slower the disk, the larger the batches.
"""

from __future__ import annotations

from typing import Final

SLOW_SECONDS: Final = 0.003
FAST_SECONDS: Final = 0.0015
WEIGHT_OF_NEWEST: Final = 0.2
"""One write of 15 ms is enough to leave the loop; a dozen fast ones to return."""


class Pace:
    """Learns from how long batches take. Two bounds, so that a disk in between does not make it waver."""

    def __init__(self) -> None:
        self.is_inline = True
        self._average_seconds = 0.0

    def observe(self, seconds: float) -> None:
        """A batch was written in this time."""
        self._average_seconds += WEIGHT_OF_NEWEST * (seconds - self._average_seconds)
        bound = SLOW_SECONDS if self.is_inline else FAST_SECONDS
        self.is_inline = self._average_seconds < bound

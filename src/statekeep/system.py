"""The real world: the only readers of real time and chance."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """The time of day of this machine (ports.clock.Clock)."""

    def now_ms(self) -> float:
        """Milliseconds since the epoch, to the microsecond."""
        # Whole microseconds divided are the float that is nearest to them, as rounding would find it, at a tenth of its price.
        return time.time_ns() // 1000 / 1000


class SystemEntropy:
    """The operating system's random numbers (ports.entropy.Entropy)."""

    def token_bytes(self, count: int) -> bytes:
        """`count` bytes nobody can guess."""
        return secrets.token_bytes(count)

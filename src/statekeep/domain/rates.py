"""How often something may be done."""

from __future__ import annotations

from typing import NamedTuple


class Rate(NamedTuple):
    """So many a second in the long run, and at most `burst` at once after a pause."""

    per_second: float
    burst: int

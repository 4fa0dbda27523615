"""Named places at which tests kill the process, to prove that every promise of `ports` survives it.

Nothing happens at any of them unless one was armed, which only the start of the process does.
"""

from __future__ import annotations

import os
import signal
from typing import Final

BEFORE_COMMIT: Final = "before-commit"
"""Everything is decided and nothing is durable."""
AFTER_COMMIT_BEFORE_EFFECTS: Final = "after-commit-before-effects"
AMID_EFFECTS: Final = "amid-effects"
"""Some effects were performed, others not."""
BEFORE_REPLY: Final = "before-reply"
"""Everything is done and the caller does not know."""
BEFORE_UPGRADE: Final = "before-upgrade"
"""An upgrade is decided, and nothing of it is durable."""
AFTER_UPGRADE: Final = "after-upgrade"
"""An upgrade is durable, and the event that it came before is not handled."""
BEFORE_UPGRADE_RESULTS: Final = "before-upgrade-results"
"""Instances of a bulk upgrade are upgraded, and the job does not know."""

CRASH_POINTS: Final = frozenset(
    {
        BEFORE_COMMIT,
        AFTER_COMMIT_BEFORE_EFFECTS,
        AMID_EFFECTS,
        BEFORE_REPLY,
        BEFORE_UPGRADE,
        AFTER_UPGRADE,
        BEFORE_UPGRADE_RESULTS,
    }
)

_armed: str | None = None
_hits_left = 0


def arm(point: str, *, hits: int = 1) -> None:
    """Kill this process when it reaches `point` for the `hits`-th time. Raises ValueError for a name that is none."""
    global _armed, _hits_left
    if point not in CRASH_POINTS:
        raise ValueError(
            f"{point!r} is no crash point; there are {', '.join(sorted(CRASH_POINTS))}"
        )
    _armed, _hits_left = point, hits


def reach(point: str) -> None:
    """Die here if armed: without a signal handler, an exit handler or a flush, as in a loss of power."""
    if point == _armed:
        _strike()


def _strike() -> None:
    global _hits_left
    _hits_left -= 1
    if _hits_left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)

"""Where the output and the failures of author code go."""

from __future__ import annotations

from typing import Protocol

from statekeep.domain.instance import InstanceKey
from statekeep.domain.machine import MachineVersion


class AuthorLog(Protocol):
    """Takes what authors want to see of their machines. Never waits, never fails."""

    def write(
        self,
        version: MachineVersion,
        instance: InstanceKey | None,
        *,
        is_error: bool,
        ts: float,
        text: str,
    ) -> None:
        """One piece of output; `ts` in ms since the epoch. `instance` is None where it cannot be attributed."""
        ...

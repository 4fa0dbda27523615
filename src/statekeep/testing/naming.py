"""What machines are called that come from files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from statekeep.domain.names import MachineName, parse_machine_name

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)


def machine_name_of(source: str | Path | None, name: str | None = None) -> MachineName:
    """As `name` says, or else after the file: `door` of `machines/door.machine.ts`. Raises ValueError where neither is there, and InvalidParameter where that is no name."""
    if name is None:
        if source is None:
            raise ValueError(
                "a machine that comes from no file needs a name: machine(code=..., name=...)"
            )
        name = _NOT_IN_NAMES.sub("-", Path(source).name.partition(".")[0])
    return parse_machine_name(name, parameter="name")

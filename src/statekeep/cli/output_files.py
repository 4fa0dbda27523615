"""Files that commands write where the person says: what is there already is theirs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from statekeep.cli.output import CommandFailed

Overwrite = Annotated[
    bool, Parameter(negative="", show_default=False, help="Replace FILE where it exists.")
]


def require_free(file: Path, *, overwrite: bool) -> None:
    """Raises CommandFailed where something has that name, unless it is a file and may be replaced.

    To be asked before the work: nobody should wait for what then cannot be kept.
    """
    if not os.path.lexists(file):
        return
    if not file.is_file():
        raise CommandFailed(f"{file} exists already, and is no file: choose another name")
    if not overwrite:
        raise CommandFailed(
            f"{file} exists already: choose another name, or replace it with --overwrite"
        )

"""`statekeep init`: a project to begin with."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from statekeep.cli.output import PROGRAM, CommandFailed, say

_STARTER: Final = Path(__file__).parents[2] / "examples" / "starter"
_FILES: Final = ("toggle.ts", "test_toggle.py", "deno.json", ".gitignore")
_HERE: Final = Path()


def init(folder: Annotated[Path, Parameter(metavar="DIR")] = _HERE, /) -> None:
    """Write a starter project: a machine in TypeScript and a test of it. Nothing that is there is overwritten.

    Parameters
    ----------
    folder
        Where to. It is made where there is none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_room(folder)
        for name in _FILES:
            # What somebody else put there a moment ago is theirs, too.
            with (folder / name).open("xb") as file:
                file.write((_STARTER / name).read_bytes())
    except OSError as error:
        raise CommandFailed(f"cannot write to {folder}: {error.strerror}") from error
    say(f"Wrote {', '.join(_FILES)}. Next:\n")
    for line in _next_steps(folder):
        say(f"  {line}")


def _require_room(folder: Path) -> None:
    taken = [name for name in _FILES if os.path.lexists(folder / name)]
    if taken:
        raise CommandFailed(
            f"{folder} has {', '.join(taken)} already, and nothing was written: choose another folder"
        )


def _next_steps(folder: Path) -> Iterator[str]:
    if folder != _HERE:
        yield f"cd {shlex.quote(str(folder))}"
    yield f"{PROGRAM} dev toggle.ts"
    # A plugin of it is all that comes with this package.
    yield "pip install pytest && pytest"

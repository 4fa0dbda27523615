"""Questions before something that cannot be undone. They are asked on stderr and answered on stdin, which may be a pipe."""

from __future__ import annotations

import sys
from typing import Annotated, Final

from cyclopts import Parameter

from statekeep.cli.output import CommandFailed, tell

Yes = Annotated[
    bool, Parameter(name="--yes", help="Do not ask for confirmation. For scripts.", negative="")
]

WARNING: Final = "!!! WARNING !!!"


def ask(question: str) -> str:
    """The answer, without the end of the line; nothing where there is nobody to answer."""
    return _line(question).rstrip("\r\n")


def confirm_name(question: str, name: str, what: str, *, is_confirmed: bool) -> None:
    """Goes on where the name is typed again, or where that was waived. Raises CommandFailed else; nothing was done then."""
    if not is_confirmed and _answer(question) != name:
        raise CommandFailed(f"{what} did not match. Aborting.")


def confirm(question: str, *, is_confirmed: bool) -> None:
    """The same for a question that is answered with y."""
    if not is_confirmed and _answer(question).strip().lower() != "y":
        raise CommandFailed("Aborting")


def _answer(question: str) -> str:
    """Of somebody who is there: a script that has nothing on stdin learns what to say instead."""
    line = _line(question)
    if not line:
        tell("")
        raise CommandFailed("nobody is there to confirm it: --yes goes on without the question")
    return line.rstrip("\r\n")


def _line(question: str) -> str:
    """With its end, which nothing at all has not."""
    sys.stderr.write(question + " ")
    sys.stderr.flush()
    return sys.stdin.readline()


def warn_of(*lines: str, is_confirmed: bool) -> None:
    """What the question that follows is about."""
    if not is_confirmed:
        for line in (WARNING, *lines):
            tell(line)

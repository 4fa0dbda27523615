"""How commands are put together, so that all of them look and behave alike."""

from __future__ import annotations

import re
from typing import Final

from cyclopts import App, Parameter

# A switch says --clean; that it is off needs no words, and neither does a default of nothing.
_QUIET: Final = Parameter(negative="", show_default=lambda value: value or None)

_WIDTH_MAX: Final = 70


def noun(name: str) -> App:
    """An app for the commands about one noun. Its one line of help stands in main.py, where it is needed without the module."""
    return App(name=name, default_parameter=_QUIET, group_commands="Commands")


def examples(*lines: str) -> str:
    """The end of a command's help: what to type, in lines that a narrow terminal does not break."""
    return "\n".join(["Examples:", *(f"  $ {_folded(line)}" for line in lines)])


def _folded(line: str) -> str:
    """Folded before options, as a shell reads it."""
    folded, *options = re.split(r" (?=--?[a-z])", line)
    width = len(folded)
    for option in options:
        if width + len(option) > _WIDTH_MAX:
            folded += " \\\n     "
            width = 0
        folded += f" {option}"
        width += len(option) + 1
    return folded

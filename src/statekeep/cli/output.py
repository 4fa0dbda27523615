"""What commands say: results on stdout, everything else on stderr.

Rich colours only what goes to a terminal, and nothing where NO_COLOR is set.
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


class CommandFailed(Exception):
    """A command could not do its work; the message is for the person who typed it. Ends the process with 1."""


def say(text: str = "") -> None:
    """A line of the result, exactly as it is: never wrapped, so that it can be copied."""
    Console(highlight=False, markup=False, emoji=False, soft_wrap=True).print(text)


def complain(message: str) -> None:
    """Why it did not work."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text("statekeep: ", style="bold red") + Text(message))

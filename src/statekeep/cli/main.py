"""The command `statekeep`.

Exit codes: 0 done, 1 it did not work, 2 it was not understood.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App

from statekeep import __version__
from statekeep.cli.commands.demo import demo
from statekeep.cli.commands.serve import serve
from statekeep.cli.output import CommandFailed, complain, say
from statekeep.settings import SOURCES

app = App(
    name="statekeep",
    help="Durable state machines, self-hosted: upload XState machines, send them events over HTTP.",
    version=__version__,
    config=SOURCES,
    result_action="return_value",
)
app.command(serve)
app.command(demo)


@app.command
def version() -> None:
    """Print the version."""
    say(__version__)


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say and return the exit code. Raises SystemExit where they are not understood."""
    try:
        return app(arguments) or 0
    except CommandFailed as error:
        complain(str(error))
        return 1


def main() -> None:
    """Entry point of the installed commands."""
    sys.exit(run(sys.argv[1:]))

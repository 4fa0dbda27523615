"""The command `statekeep`.

Exit codes: 0 done, 1 it did not work, 2 it was not understood.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CoercionError, CycloptsError, MissingArgumentError, UnusedCliTokensError

from statekeep import __version__
from statekeep.cli.commands.backup import backup
from statekeep.cli.commands.demo import demo
from statekeep.cli.commands.serve import serve
from statekeep.cli.commands.sign_in_link import sign_in_link
from statekeep.cli.commands.transfer import export, import_
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
app.command(backup)
app.command(sign_in_link, name="sign-in-link")
app.command(export)
app.command(import_, name="import")


@app.command
def version() -> None:
    """Print the version."""
    say(__version__)


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say and return the exit code."""
    try:
        return app(arguments, exit_on_error=False, print_error=False) or 0
    except CycloptsError as error:
        complain(explain(error))
        return 2
    except CommandFailed as error:
        complain(str(error))
        return 1


def explain(error: CycloptsError) -> str:
    """What was not understood, in words of those who typed it and not of Python."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        command = " ".join([app.name[0], *(error.command_chain or ())])
        return f'Nothing takes "{error.unused_tokens[0]}": {command} --help lists what there is.'
    if isinstance(error, MissingArgumentError) and error.keyword:
        return f"{error.keyword} needs a value."
    if isinstance(error, CoercionError) and error.token and error.target_type is bool:
        return f'{error.token.keyword}: expected true or false, not "{error.token.value}".'
    return str(error)


def main() -> None:
    """Entry point of the installed commands."""
    sys.exit(run(sys.argv[1:]))

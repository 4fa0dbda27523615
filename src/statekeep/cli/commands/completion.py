"""`statekeep completion`: what a shell needs to complete the commands."""

from typing import Annotated, Literal

from cyclopts import Parameter

from statekeep.cli.output import say


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(metavar="SHELL")], /
) -> None:
    """Print a script that lets bash, zsh or fish complete commands and options with the Tab key.

    The script for the name smply is what smply prints. For zsh it goes into a file named _statekeep in a folder of $fpath.

    Parameters
    ----------
    shell
        The shell that is to read it.
    """
    # Only here: main imports this module.
    from statekeep.cli.main import app

    say(app.generate_completion(shell=shell))

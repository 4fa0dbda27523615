"""`statekeep completion`: what a shell needs to complete the commands."""

from typing import Annotated, Final, Literal

from cyclopts import Parameter

from statekeep.cli.output import PROGRAM, say

_ZSH_END: Final = """
if [[ $funcstack[1] == _{0} ]]; then
  _cyclopts_{0} "$@"
else
  compdef _cyclopts_{0} {0}
fi"""
"""zsh takes a file of $fpath for the body of the function that is named as the file is: it has to do what it is for, not only define it. Where the script is
sourced it has to say what it completes."""


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(metavar="SHELL")], /
) -> None:
    """Print a script that lets bash, zsh or fish complete commands and options with the Tab key.

    The script for the name smply is what smply prints. For zsh it goes into a file named _statekeep in a folder of $fpath; bash finds its file where the package bash-completion is installed.

    Parameters
    ----------
    shell
        The shell that is to read it.
    """
    # Only here: main imports this module.
    from statekeep.cli.main import app

    script = app.generate_completion(shell=shell)
    say(script + _ZSH_END.format(PROGRAM) if shell == "zsh" else script)

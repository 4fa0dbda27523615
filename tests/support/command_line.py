"""The command line as a person or a script uses it, but without a process for each command."""

from __future__ import annotations

import io
import json
import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from statekeep.cli import main

_OWN_VARIABLES = ("SMPLY_", "STATEKEEP_")


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The result."""
        return json.loads(self.out)


class CommandLine:
    """Of somebody with a home folder and variables of their own, who works in `folder`, by default that home: commands look there for a server's data,
    and a developer's checkout may have some."""

    def __init__(self, home: Path, folder: Path | None = None, **variables: str) -> None:
        self.home = home
        self._folder = folder or home
        self._variables = {"HOME": str(home), **variables}

    def __call__(self, *arguments: str, stdin: str = "") -> Outcome:
        """Run a command."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)
        }
        with (
            chdir(self._folder),
            mock.patch.dict(os.environ, {**inherited, **self._variables}, clear=True),
            mock.patch("sys.stdin", io.StringIO(stdin)),
            redirect_stdout(io.StringIO()) as out,
            redirect_stderr(io.StringIO()) as err,
        ):
            try:
                code = main.run(arguments)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Outcome(code, out.getvalue(), err.getvalue())

    def expect(self, *arguments: str, stdin: str = "") -> Any:
        """The result of a command that has to work, as JSON."""
        outcome = self(*arguments, stdin=stdin)
        assert outcome.code == 0, outcome.err
        return outcome.json if outcome.out else None

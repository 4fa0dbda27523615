"""`statekeep dev`: a server whose machines follow their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from statekeep.cli.commands.demo import DemoSettings, with_port
from statekeep.cli.commands.serve import run_server
from statekeep.cli.developing.files import machine_files
from statekeep.settings import LOGS


@dataclass(frozen=True, kw_only=True)
class DevSettings(DemoSettings):
    """Those of a demo, but that the output of machines is shown anyway."""

    log_machine_output: Annotated[bool, Parameter(group=LOGS)] = False
    """Write what machines print into the server's own log, too."""


_DEFAULTS: Final = DevSettings()


def dev(
    files: Annotated[tuple[Path, ...], Parameter(metavar="FILE", negative=())],
    /,
    *,
    settings: Annotated[DevSettings, Parameter(name="*")] = _DEFAULTS,
) -> int:
    """Run a server with a machine for each file, and deploy a file whenever it, or what it imports, is saved.

    Running instances that fit the new version are moved along; others stay on theirs and are named. Transitions and what machines print are shown. Takes all options of serve. What it makes stays in the data folder: a later start finds it there.

    Parameters
    ----------
    files
        Entry files, TypeScript or JavaScript. Each is deployed as a machine named after it.
    """
    # Only here: the other commands need not wait for an HTTP client.
    from statekeep.cli.developing.session import DevSession

    session = DevSession(machine_files(files))
    try:
        exit_code = run_server(with_port(settings), session.start, session.hear)
    finally:
        session.close()
    return 1 if session.has_failed else exit_code

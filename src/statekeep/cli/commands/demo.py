"""`statekeep demo`: a server with an example machine, and what to type first."""

import socket
from dataclasses import dataclass, replace
from typing import Annotated, Final

from cyclopts import Parameter

from statekeep.cli.commands.serve import run_server
from statekeep.cli.output import CommandFailed
from statekeep.settings import LOGS, Port, Settings

_FIRST_PORT: Final = 8080
_PORTS_TRIED: Final = 100
_NOT_CHOSEN: Final = -1
"""No port that anybody can choose: 0 is one, and means any."""


@dataclass(frozen=True, kw_only=True)
class DemoSettings(Settings):
    """Those of a server, but for the port and the output of machines."""

    port: Annotated[Port, Parameter(show_default="8080, or the next that is free")] = _NOT_CHOSEN
    """Port to listen on. 0 takes any free one."""

    log_machine_output: Annotated[bool, Parameter(group=LOGS)] = True
    """Write what machines print into the server's own log, too. GET /logs has it anyway."""


_DEFAULTS: Final = DemoSettings()


def demo(settings: Annotated[DemoSettings, Parameter(name="*")] = _DEFAULTS) -> int:
    """Run the server with an example machine in it, and show how to use it.

    Takes all options of serve. What it makes stays in the data folder: a later start finds it there.
    """
    # Only here: the other commands need not wait for an HTTP client.
    from statekeep.cli.guide import Guide

    guide = Guide()
    exit_code = run_server(with_port(settings), guide.start)
    return 1 if guide.has_failed else exit_code


def with_port(settings: DemoSettings) -> DemoSettings:
    """The same with a port that is free, where none was chosen. Raises CommandFailed where none is."""
    if settings.port != _NOT_CHOSEN:
        return settings
    return replace(settings, port=_free_port(settings.host))


def _free_port(host: str) -> int:
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS_TRIED):
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            socket.create_server((host, port), family=family).close()
        except OSError:
            continue
        return port
    raise CommandFailed(
        f"no port from {_FIRST_PORT} to {_FIRST_PORT + _PORTS_TRIED - 1} is free on {host};"
        " choose one with --port"
    )

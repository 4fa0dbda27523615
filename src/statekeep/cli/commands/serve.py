"""`statekeep serve`: run the server until it is told to stop."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from statekeep.cli.output import CommandFailed
from statekeep.settings import Settings, misspelled_variables

if TYPE_CHECKING:
    from statekeep.bootstrap import ReadyInfo
    from statekeep.workers.transition_feed import OnTransition

_DEFAULTS: Final = Settings()


def serve(settings: Annotated[Settings, Parameter(name="*")] = _DEFAULTS) -> int:
    """Run the server.

    The first start makes an organization, its admin and credentials for both, in credentials.json of the data folder. SIGTERM and Ctrl-C let what is under way finish first. Of the command line, the environment and the file the first that says something about an option counts.
    """
    return run_server(settings, _log_where)


def run_server(
    settings: Settings,
    on_ready: Callable[[ReadyInfo], None],
    on_transition: OnTransition | None = None,
) -> int:
    """Serve until told to stop and return the exit code. Raises CommandFailed where the server cannot start."""
    # Only here: --help and mistakes need not wait for the whole server to be imported.
    from statekeep import bootstrap
    from statekeep.logs import configure_logging
    from statekeep.ports.store import StoreBusy
    from statekeep.ports.tokens import BrokenServerKey

    configure_logging(settings.log_level, settings.log_format)
    _warn_of_misspellings()
    try:
        return bootstrap.serve(settings, on_ready, on_transition)
    except (
        StoreBusy,
        BrokenServerKey,
        bootstrap.SettingUnusable,
        bootstrap.TracingUnavailable,
    ) as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        raise CommandFailed(_reason(error, settings)) from error


def _reason(error: OSError, settings: Settings) -> str:
    where = f"cannot listen on {settings.host} port {settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: something else does already. Stop that, or choose another with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where}: this machine has no such address. Choose another with --host"
    if isinstance(error, socket.gaierror):
        return f"cannot listen on {settings.host}: no address has that name. Choose another with --host"
    if isinstance(error, PermissionError) and error.filename is None:
        return f"{where}: ports below 1024 are the system's. Choose another with --port"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"cannot use the data directory {settings.data_dir}: a file is in its place"
    if error.filename is not None:
        return f"cannot use the data directory {settings.data_dir}: {error.strerror}"
    return str(error)


def _warn_of_misspellings() -> None:
    import structlog

    for name, meant in misspelled_variables().items():
        structlog.get_logger(__name__).warning("unknown_setting", variable=name, did_you_mean=meant)


def _log_where(info: ReadyInfo) -> None:
    import structlog

    credentials = info.data_dir.resolve() / "credentials.json"
    structlog.get_logger(__name__).info("ready", url=info.url, credentials=str(credentials))

"""The output of author code as lines of the server's own log, for whoever looks at that."""

from __future__ import annotations

import structlog

from statekeep.domain.instance import InstanceKey
from statekeep.domain.machine import MachineVersion
from statekeep.ports.author_log import AuthorLog
from statekeep.ports.clock import datetime_of

_log = structlog.get_logger("statekeep.author")


class AuthorOutput:
    """Writes each piece of output as one log line (ports.author_log.AuthorLog)."""

    def write(
        self,
        version: MachineVersion,
        instance: InstanceKey | None,
        *,
        is_error: bool,
        ts: float,
        text: str,
    ) -> None:
        """One piece of output."""
        write = _log.error if is_error else _log.info
        write(
            text,
            organization=version.organization_id,
            machine=version.machine_name,
            version=version.id,
            instance=None if instance is None else instance.name,
            written_at=datetime_of(ts).isoformat(timespec="milliseconds"),
        )


class AuthorLogs:
    """Writes each piece of output to several logs (ports.author_log.AuthorLog)."""

    def __init__(self, *logs: AuthorLog) -> None:
        self._logs = logs

    def write(
        self,
        version: MachineVersion,
        instance: InstanceKey | None,
        *,
        is_error: bool,
        ts: float,
        text: str,
    ) -> None:
        """One piece of output."""
        for log in self._logs:
            log.write(version, instance, is_error=is_error, ts=ts, text=text)

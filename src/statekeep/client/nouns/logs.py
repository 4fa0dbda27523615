"""What machines print, and what throws in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from statekeep.client.clock import now_seconds
from statekeep.client.models import LogEntry, LogPage
from statekeep.client.noun import Noun, Shell, iteration, operation
from statekeep.client.steps import Emit, Emits, Pause, Request, Steps, ask

WATCH_INTERVAL_SECONDS: Final = 1.0
"""Between two looks for new entries."""
_LATE_SECONDS: Final = 5.0
"""How late an entry may be: the server writes them within a second, and its clock may differ from ours."""


class Logs(Noun[Shell]):
    """Log entries of the organization's machines."""

    @operation
    def retrieve(
        self,
        from_: datetime,
        *,
        to: datetime | None = None,
        machine_name: str | None = None,
        instance_name: str | None = None,
        machine_version_id: str | None = None,
    ) -> Steps[LogPage]:
        """At most 100 entries later than `from_` and up to `to`, oldest first; by whole milliseconds.

        The page's `max_timestamp` is the next `from_`; where it is the same as this one there is nothing more for now.
        """
        return _retrieve(from_, _filter(to, machine_name, instance_name, machine_version_id))

    @iteration
    def watch(
        self,
        from_: datetime,
        *,
        to: datetime | None = None,
        machine_name: str | None = None,
        instance_name: str | None = None,
        machine_version_id: str | None = None,
        interval_seconds: float = WATCH_INTERVAL_SECONDS,
    ) -> Emits[LogEntry]:
        """Entries later than `from_`, and new ones as they come, each once. Ends some seconds after `to`; never without it."""
        query = _filter(to, machine_name, instance_name, machine_version_id)
        since = from_
        while True:
            # Looked at before the question: what comes in between is asked for once more.
            is_over = to is not None and now_seconds() > to.timestamp() + _LATE_SECONDS
            page = yield from _retrieve(since, query)
            for entry in page.logs:
                yield Emit(entry)
            if page.logs:
                since = page.max_timestamp
            elif is_over:
                return
            else:
                yield Pause(interval_seconds)


def _retrieve(from_: datetime, query: Mapping[str, str | None]) -> Steps[LogPage]:
    return ask(Request("GET", "/logs", query={"from": _text(from_), **query}), LogPage)


def _filter(
    to: datetime | None,
    machine_name: str | None,
    instance_name: str | None,
    machine_version_id: str | None,
) -> Mapping[str, str | None]:
    return {
        "to": None if to is None else _text(to),
        "machine": machine_name,
        "instance": instance_name,
        "version": machine_version_id,
    }


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")

"""Log entries in SQLite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import apsw

from statekeep.domain.log import LogEntry, LogSelection, excess, timestamps
from statekeep.domain.names import MachineName, OrganizationId
from statekeep.ports.store import LogStore
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.log_file.file import LogFile

_QUERIES: Final = load_queries(__package__)
_END_OF_TIME: Final = 2**63 - 1

FORGOTTEN_AT_ONCE: Final = 500
"""Entries that are removed in one transaction: a few milliseconds, between which others may write."""


class SqliteLogs(LogStore):
    """What author code had to say."""

    _log_file: LogFile

    async def append_logs(self, entries: Sequence[LogEntry]) -> None:
        await self._log_file.write(partial(_append, entries))

    async def read_logs(
        self, organization_id: OrganizationId, wanted: LogSelection, *, limit: int
    ) -> Sequence[LogEntry]:
        named = wanted._asdict() | {"organization_id": organization_id, "limit": limit}
        if wanted.until_ms is None:
            named["until_ms"] = _END_OF_TIME
        query = _QUERIES["read" if wanted.machine_name is None else "read_of_machine"]

        def read(connection: apsw.Connection) -> list[LogEntry]:
            rows: list[Any] = connection.execute(query, named).fetchall()
            return [_entry_of(*row) for row in rows]

        return await self._log_file.read(read)

    async def forget_old_logs(self, *, before_ms: int, organization_bytes_max: int) -> int:
        count = 0
        for organization_id in await self._log_file.read(_organizations):
            forget = partial(_forget_some, organization_id, before_ms, organization_bytes_max)
            while forgotten := await self._log_file.write(forget):
                count += forgotten
        return count

    async def forget_machine_logs(
        self, organization_id: OrganizationId, machine_name: MachineName, *, before_ms: int
    ) -> int:
        forget = partial(_forget_some_of_machine, organization_id, machine_name, before_ms)
        count = 0
        while forgotten := await self._log_file.write(forget):
            count += forgotten
        return count


def _append(entries: Sequence[LogEntry], connection: apsw.Connection) -> None:
    by_organization: defaultdict[OrganizationId, list[LogEntry]] = defaultdict(list)
    for entry in entries:
        by_organization[entry.organization_id].append(entry)
    rows: list[tuple[Any, ...]] = []
    for organization_id, ours in by_organization.items():
        named = {"organization_id": organization_id}
        newest = connection.execute(_QUERIES["newest"], named).get
        given = timestamps([entry.ts_ms for entry in ours], newest)
        rows += [(ts, *entry[1:]) for ts, entry in zip(given, ours, strict=True)]
        size = sum(entry.size_bytes for entry in ours)
        counted = {**named, "newest": given[-1], "size": size}
        connection.execute(_QUERIES["count_in"], counted)
    connection.executemany(_QUERIES["append"], rows)


def _organizations(connection: apsw.Connection) -> list[OrganizationId]:
    rows: list[Any] = connection.execute(_QUERIES["organizations"]).fetchall()
    return [organization_id for (organization_id,) in rows]


def _forget_some(
    organization_id: OrganizationId, before_ms: int, bytes_max: int, connection: apsw.Connection
) -> int:
    """Some of an organization's oldest entries, if they have to go; returns how many."""
    named = {"organization_id": organization_id, "limit": FORGOTTEN_AT_ONCE}
    total: Any = connection.execute(_QUERIES["size"], named).get
    oldest: list[Any] = connection.execute(_QUERIES["oldest"], named).fetchall()
    count = excess(oldest, total, before_ms=before_ms, total_max=bytes_max)
    if count:
        connection.execute(_QUERIES["remove_oldest"], named | {"limit": count})
        size = sum(size for _, size in oldest[:count])
        connection.execute(_QUERIES["count_out"], named | {"size": size})
    return count


def _forget_some_of_machine(
    organization_id: OrganizationId,
    machine_name: MachineName,
    before_ms: int,
    connection: apsw.Connection,
) -> int:
    """Some of a machine's oldest entries, if they are old enough; returns how many."""
    named = {"organization_id": organization_id, "limit": FORGOTTEN_AT_ONCE}
    of_machine = named | {"machine_name": machine_name, "before_ms": before_ms}
    removed: list[Any] = connection.execute(
        _QUERIES["remove_oldest_of_machine"], of_machine
    ).fetchall()
    if removed:
        size = sum(size for (size,) in removed)
        connection.execute(_QUERIES["count_out"], named | {"size": size})
    return len(removed)


def _entry_of(
    ts: int, organization: Any, machine: Any, instance: Any, version: Any, is_error: int, *rest: Any
) -> LogEntry:
    return LogEntry(ts, organization, machine, instance, version, bool(is_error), *rest)

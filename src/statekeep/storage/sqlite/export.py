"""Everything of an organization, read in one transaction on a connection of its own.

WAL lets everybody else go on meanwhile; what they write stays in the log until this transaction ends, so the log is watched. The records come from a plain
generator that a thread moves on, a portion at a time, whenever somebody wants more.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

import apsw
import msgspec

from statekeep.domain.commit import JournalEntry
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.migration import Migration
from statekeep.domain.names import InstanceId, InstanceName, MachineName, VersionId
from statekeep.domain.transfer import (
    ExportSelection,
    InstanceRecord,
    JournalPart,
    MachineRecord,
    MigrationRecord,
    Record,
    Span,
    VersionRecord,
)
from statekeep.storage.sqlite.named import QUERIES, run
from statekeep.storage.sqlite.replay import STRETCH_ENTRIES
from statekeep.storage.sqlite.rows import instant_of, retention_of, timer_of, version_of

_TIMERS_OF_INSTANCE: Final = QUERIES["timers_of_instance"]
_strings: Final = msgspec.json.Decoder(tuple[str, ...]).decode


def read_records(connection: apsw.Connection, wanted: ExportSelection) -> Iterator[Record]:
    """What `TransferStore.export` tells, within a transaction that somebody else began."""
    named = {"organization_id": wanted.organization_id, "name": wanted.machine}
    machines: list[Any] = run(connection, "machines_to_export", **named).fetchall()
    for machine_id, name, indexes, created_at, retention, current in machines:
        created = instant_of(created_at)
        yield MachineRecord(name, _strings(indexes), created, retention_of(retention))
        yield from _versions(connection, machine_id, current)
        yield from _migrations(connection, machine_id, name)
    for machine_id, name, *_ in machines:
        yield from _instances(connection, machine_id, name, wanted.journal)


def _versions(
    connection: apsw.Connection, machine_id: int, current: int | None
) -> Iterator[VersionRecord]:
    rows: Any = run(connection, "versions_to_export", machine_id=machine_id)
    for number, deflated, *columns in rows:
        yield VersionRecord(version_of(*columns), zlib.decompress(deflated), number == current)


def _migrations(
    connection: apsw.Connection, machine_id: int, name: MachineName
) -> Iterator[MigrationRecord]:
    rows: Any = run(connection, "migrations_to_export", machine_id=machine_id)
    for deflated, id, of_machine, source, target, created_at, code_hash in rows:
        migration = Migration(id, of_machine, source, target, instant_of(created_at), code_hash)
        yield MigrationRecord(name, migration, zlib.decompress(deflated))


def _instances(
    connection: apsw.Connection, machine_id: int, machine: MachineName, part: JournalPart
) -> Iterator[Record]:
    rows: Any = run(connection, "instances_to_export", machine_id=machine_id)
    for id, name, status, created_at, revision, journal_id, next_seq, due, version, desired in rows:
        yield InstanceRecord(
            machine,
            InstanceName(name),
            InstanceStatus(status),
            instant_of(created_at),
            _spans(connection, id, version),
            desired,
            revision,
            _strings(due) if due is not None else (),
            next_seq,
        )
        if part is JournalPart.ALL:
            yield from _journal(connection, id, journal_id)
        else:
            yield _entry(connection, journal_id)
        timers: Any = connection.execute(_TIMERS_OF_INSTANCE, (id,))
        for timer in timers:
            yield timer_of(*timer)


def _spans(
    connection: apsw.Connection, instance_id: InstanceId, version: VersionId
) -> tuple[Span, ...]:
    left: Any = run(connection, "spans_to_export", instance_id=instance_id).fetchall()
    firsts = [1, *[revision for revision, _ in left]]
    versions = [*[before for _, before in left], version]
    return tuple(map(Span, firsts, versions))


def _journal(
    connection: apsw.Connection, instance_id: InstanceId, newest: int
) -> Iterator[JournalEntry]:
    """As `replay.py` does: back once without reading, noting where each stretch begins, and then the stretches, the oldest first."""
    for first in reversed(list(_stretches(connection, instance_id, newest))):
        for journal_id, _ in reversed(_walk_back(connection, instance_id, first)):
            yield _entry(connection, journal_id)


def _stretches(
    connection: apsw.Connection, instance_id: InstanceId, first: int | None
) -> Iterator[int]:
    while first is not None:
        rows = _walk_back(connection, instance_id, first)
        if not rows:
            return
        yield first
        first = rows[-1][1]


def _walk_back(connection: apsw.Connection, instance_id: InstanceId, first: int) -> list[Any]:
    rows: list[Any] = run(
        connection,
        "walk_back",
        first=first,
        instance_id=instance_id,
        revision=0,
        limit=STRETCH_ENTRIES,
    ).fetchall()
    return rows


def _entry(connection: apsw.Connection, journal_id: int) -> JournalEntry:
    rows: Any = run(connection, "entry_to_export", journal_id=journal_id).fetchall()
    revision, ts, origin, event, snapshot = rows[0]
    return JournalEntry(revision, ts, Origin(origin), event, snapshot)

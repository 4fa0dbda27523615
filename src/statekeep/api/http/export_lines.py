"""Records of exports as lines, and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import UNSET, Raw, UnsetType

from statekeep import __version__
from statekeep.application.exports import Export
from statekeep.domain.commit import JournalEntry
from statekeep.domain.durations import format_duration, parse_duration
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.limits import IMPORT_YEARS
from statekeep.domain.machine import MachineVersion
from statekeep.domain.message import Address, Message, MessageKind
from statekeep.domain.migration import Migration
from statekeep.domain.names import (
    InstanceName,
    MachineName,
    MigrationId,
    OrganizationId,
    VersionId,
)
from statekeep.domain.retention import JournalBounds, LogBounds, Retention
from statekeep.domain.timer import Timer
from statekeep.domain.transfer import (
    InstanceRecord,
    MachineRecord,
    MigrationRecord,
    Record,
    Span,
    VersionRecord,
)
from statekeep.wire import transfers as wire

_YEARS: Final = f"{IMPORT_YEARS.start} to {IMPORT_YEARS.stop - 1}"
_MS_END: Final = datetime(IMPORT_YEARS.stop, 1, 1, tzinfo=UTC).timestamp() * 1000


def header_line(export: Export) -> wire.Header:
    """The first line of an export."""
    return wire.Header(
        format=wire.FORMAT,
        version=wire.FORMAT_VERSION,
        exported_at=export.exported_at,
        organization=export.organization.id,
        organization_name=export.organization.name,
        journal=export.journal.value,
        server=__version__,
    )


def line_of(record: Record) -> wire.Line:
    """A record as it is written down."""
    return _LINE_OF[type(record)](record)


def record_of(line: wire.AnyLine) -> Record:
    """Back from `line_of`, with names and ids as they stand there: nobody has checked them. Raises InvalidParameter and Malformed."""
    make = _RECORD_OF.get(type(line))
    if make is None:
        raise InvalidParameter("the first line is the header and the last is the end, and no other")
    return make(line)


def _machine_line(record: MachineRecord) -> wire.Line:
    return wire.Machine(
        record.name, record.indexes, record.created_at, _retention_line(record.retention)
    )


def _retention_line(retention: Retention) -> wire.Retention | UnsetType:
    journal, logs = retention
    if journal is None and logs is None:
        return UNSET
    return wire.Retention(
        UNSET
        if journal is None
        else wire.JournalRetention(
            _age_text(journal.max_age),
            UNSET if journal.max_entries is None else journal.max_entries,
        ),
        UNSET if logs is None else wire.LogRetention(_age_text(logs.max_age)),
    )


def _age_text(age: timedelta | None) -> str | UnsetType:
    return UNSET if age is None else format_duration(age)


def _version_line(record: VersionRecord) -> wire.Line:
    version = record.version
    return wire.Version(
        machine=version.machine_name,
        id=version.id,
        created_at=version.created_at,
        is_current=record.is_current,
        xstate=version.xstate_major,
        index_selectors=version.index_selectors,
        code=record.code,
        client_info=_unless_none(version.client_info),
    )


def _migration_line(record: MigrationRecord) -> wire.Line:
    migration = record.migration
    return wire.Migration(
        machine=record.machine,
        id=migration.id,
        from_machine_version_id=migration.from_version,
        to_machine_version_id=migration.to_version,
        created_at=migration.created_at,
        code=record.code,
    )


def _instance_line(record: InstanceRecord) -> wire.Line:
    return wire.Instance(
        machine=record.machine,
        name=record.name,
        status=record.status.value,
        created_at=record.created_at,
        versions=tuple(wire.VersionSpan(*span) for span in record.spans),
        revision=record.revision,
        next_timer_seq=record.next_timer_seq,
        due=record.due,
        desired_machine_version_id=_unless_none(record.desired_version),
    )


def _entry_line(entry: JournalEntry) -> wire.Line:
    origin: Any = entry.origin.name.lower()
    event, snapshot = wire.embed(entry.event), wire.embed(entry.snapshot)
    return wire.Entry(entry.revision, entry.ts, origin, event, snapshot)


def _timer_line(timer: Timer) -> wire.Line:
    return wire.Timer(
        seq=timer.seq,
        send_id=timer.send_id,
        due_at=timer.due_at,
        event=wire.embed(timer.event),
        after=UNSET if timer.after is None else wire.embed(timer.after),
        message=UNSET if timer.message is None else _message_line(timer.message),
        tries=timer.tries,
        is_dead=timer.is_dead,
        hops=timer.hops,
        failure=_unless_none(timer.failure),
    )


def _message_line(message: Message) -> wire.Message:
    return wire.Message(
        machine=message.to.machine_name,
        instance=message.to.name,
        kind=message.kind.value,
        child_id=message.child_id,
        machine_version_id=_unless_none(message.version_id),
    )


def _machine_record(line: wire.Machine) -> Record:
    name, retention = MachineName(line.name), _retention_of(line.retention)
    return MachineRecord(name, line.indexes, _instant(line.created_at), retention)


def _retention_of(retention: wire.Retention | UnsetType) -> Retention:
    if isinstance(retention, UnsetType):
        return Retention()
    journal, logs = retention.journal, retention.logs
    return Retention(
        None
        if isinstance(journal, UnsetType)
        else JournalBounds(
            _age_of(journal.max_age),
            None if isinstance(journal.max_entries, UnsetType) else journal.max_entries,
        ),
        None if isinstance(logs, UnsetType) else LogBounds(_age_of(logs.max_age)),
    )


def _age_of(text: str | UnsetType) -> timedelta | None:
    if isinstance(text, UnsetType):
        return None
    age = parse_duration(text)
    if age is None:
        raise InvalidParameter(
            f'expected a duration such as 30d, 12h or 90s, not "{text}"', parameter="maxAge"
        )
    return age


def _version_record(line: wire.Version) -> Record:
    version = MachineVersion(
        id=VersionId(line.id),
        machine_id=0,
        organization_id=OrganizationId(""),
        machine_name=MachineName(line.machine),
        created_at=_instant(line.created_at),
        client_info=_none_if_unset(line.client_info),
        index_selectors=line.index_selectors,
        xstate_major=line.xstate,
        code_hash=b"",
    )
    return VersionRecord(version, line.code, line.is_current)


def _migration_record(line: wire.Migration) -> Record:
    migration = Migration(
        MigrationId(line.id),
        0,
        VersionId(line.from_machine_version_id),
        VersionId(line.to_machine_version_id),
        _instant(line.created_at),
        b"",
    )
    return MigrationRecord(MachineName(line.machine), migration, line.code)


def _instance_record(line: wire.Instance) -> Record:
    desired = _none_if_unset(line.desired_machine_version_id)
    return InstanceRecord(
        MachineName(line.machine),
        InstanceName(line.name),
        InstanceStatus(line.status),
        _instant(line.created_at),
        tuple(Span(span.from_revision, VersionId(span.id)) for span in line.versions),
        None if desired is None else VersionId(desired),
        line.revision,
        line.due,
        line.next_timer_seq,
    )


def _entry_record(line: wire.Entry) -> Record:
    origin = Origin[line.origin.upper()]
    # No event led to what was saved between two of them.
    is_event = origin is not Origin.HOUSEKEEPING
    event = (
        wire.embedded_event(line.event) if is_event else wire.embedded(line.event, is_object=False)
    )
    snapshot = wire.embedded_snapshot(line.snapshot)
    return JournalEntry(line.revision, _milliseconds(line.ts, "ts"), origin, event, snapshot)


def _timer_record(line: wire.Timer) -> Record:
    message = None if isinstance(line.message, UnsetType) else _message_of(line.message)
    return Timer(
        seq=line.seq,
        send_id=line.send_id,
        due_at=_milliseconds(line.due_at, "dueAt"),
        event=_content_of(line.event, message),
        after=None
        if isinstance(line.after, UnsetType)
        else wire.embedded(line.after, is_object=False),
        tries=line.tries,
        is_dead=line.is_dead,
        message=message,
        hops=line.hops,
        failure=_none_if_unset(line.failure),
    )


def _message_of(message: wire.Message) -> Message:
    version_id = _none_if_unset(message.machine_version_id)
    return Message(
        Address(MachineName(message.machine), InstanceName(message.instance)),
        MessageKind(message.kind),
        message.child_id,
        None if version_id is None else VersionId(version_id),
    )


def _content_of(raw: Raw, message: Message | None) -> bytes:
    if message is None or message.kind is MessageKind.EVENT:
        return wire.embedded_event(raw)
    # A context, or what a child leaves.
    return wire.embedded(raw, is_object=message.kind is MessageKind.SPAWN)


def _instant(instant: datetime) -> datetime:
    # By its own year: there may be no instant in UTC for the first and the last hours of all years.
    if instant.year not in IMPORT_YEARS:
        raise InvalidParameter(f"an instant is of the years {_YEARS}", parameter="createdAt")
    return instant


def _milliseconds(ms: float, parameter: str) -> float:
    if not 0 <= ms < _MS_END:
        raise InvalidParameter(
            f"a time is a number of milliseconds since 1970, of the years {_YEARS}",
            parameter=parameter,
        )
    return ms


def _unless_none(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text


def _none_if_unset(text: str | UnsetType) -> str | None:
    return None if isinstance(text, UnsetType) else text


_LINE_OF: Final[dict[type, Callable[[Any], wire.Line]]] = {
    MachineRecord: _machine_line,
    VersionRecord: _version_line,
    MigrationRecord: _migration_line,
    InstanceRecord: _instance_line,
    JournalEntry: _entry_line,
    Timer: _timer_line,
}
_RECORD_OF: Final[dict[type, Callable[[Any], Record]]] = {
    wire.Machine: _machine_record,
    wire.Version: _version_record,
    wire.Migration: _migration_record,
    wire.Instance: _instance_record,
    wire.Entry: _entry_record,
    wire.Timer: _timer_record,
}

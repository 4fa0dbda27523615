"""Whatever an organization has comes out of a store as it was put in: through the lines of an export and an import, in every store."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statekeep.api.http.export_lines import line_of, record_of
from statekeep.application.imports import Imports
from statekeep.domain.access import SCOPES, AuthContext
from statekeep.domain.commit import JournalEntry
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceStatus
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
    ExportSelection,
    InstanceRecord,
    JournalPart,
    MachineRecord,
    MigrationRecord,
    Record,
    Span,
    VersionRecord,
)
from statekeep.ports.store import Store
from statekeep.storage.memory.store import MemoryStore
from statekeep.storage.sqlite.store import SqliteStore
from statekeep.wire.transfers import decode_line, encode_line
from tests.support.builders import an_organization, found_organization
from tests.support.entropy import SeededEntropy
from tests.support.toy_runtime import ToyRuntime

TEXT = st.text(max_size=8).filter(lambda text: "\0" not in text)
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
OBJECTS = st.sampled_from(
    [b"{}", b'{"a":"\\ud800"}', b'{"type":"x","n":[1,2.5,null]}', '{"ä":"\\n"}'.encode()]
)
EVENTS = st.sampled_from([b'{"type":"x"}', b'{"a":"\\ud800",\n"type":"\\udc00"}'])
SNAPSHOTS = st.sampled_from(
    [b'{"value":"a","context":null}', b'{"context":{"a":"\\ud800"},"value":{"a":"\\ud800"}}']
)
OUTPUTS = OBJECTS | st.sampled_from([b"null", b"5", b'"text"', b"[]"])
CONTENTS = {MessageKind.EVENT: EVENTS, MessageKind.SPAWN: OBJECTS, MessageKind.DONE: OUTPUTS}
STAMPS = st.floats(0, 2**42)
TIMES = st.floats(0, 3e13)
AGES = st.integers(60_000, 10**12).map(lambda ms: timedelta(milliseconds=ms))
BOUNDS = st.builds(JournalBounds, st.none() | AGES, st.none() | st.integers(1, 10**12))
LOGS = st.builds(LogBounds, st.none() | AGES)
RETENTIONS = st.builds(Retention, st.none() | BOUNDS, st.none() | LOGS)


@st.composite
def timers(draw: Any, version_ids: list[VersionId]) -> list[Timer]:
    found = []
    for seq in sorted(draw(st.sets(st.integers(0, 30), max_size=4))):
        message = None
        if draw(st.booleans()):
            message = Message(
                Address(MachineName("m"), InstanceName("i")),
                draw(st.sampled_from(MessageKind)),
                draw(TEXT),
                draw(st.none() | st.sampled_from(version_ids)),
            )
        event = draw(CONTENTS[message.kind] if message else EVENTS)
        found.append(
            Timer(
                seq,
                draw(TEXT),
                draw(TIMES),
                event,
                draw(st.none() | OUTPUTS),
                draw(st.integers(0, 5)),
                draw(st.booleans()),
                message,
                draw(st.integers(0, 9)),
                draw(st.none() | TEXT),
            )
        )
    return found


@st.composite
def instances(
    draw: Any, machine: MachineName, name: str, own: list[VersionId], all_ids: list[VersionId]
) -> list[Record]:
    first = draw(st.sampled_from([1, 1, 7]))
    count = draw(st.integers(1, 6))
    last = first + count - 1
    left = sorted(draw(st.sets(st.integers(first + 1, max(last, first + 1)), max_size=2)))
    spans = [1, *[revision for revision in left if revision <= last]]
    version = own[0]
    versions = []
    for _ in spans:
        # Nobody is upgraded to the version that it has.
        version = draw(st.sampled_from([it for it in own if it != version] or own))
        versions.append(version)
    if len(own) == 1:
        spans, versions = spans[:1], versions[:1]
    if first > 1:
        # Of what is before the journal nothing is kept.
        spans, versions = [1], versions[-1:]
    desired = draw(st.none() | st.sampled_from(own))
    record = InstanceRecord(
        machine,
        InstanceName(name),
        draw(st.sampled_from(InstanceStatus)),
        draw(INSTANTS),
        tuple(map(Span, spans, versions)),
        None if desired == versions[-1] else desired,
        last,
        tuple(draw(st.lists(TEXT, max_size=2))),
        31,
    )
    stamps = sorted(draw(st.sets(STAMPS, min_size=count, max_size=count)))
    entries = [
        an_entry(first + place, ts, draw(st.sampled_from(Origin)), draw)
        for place, ts in enumerate(stamps)
    ]
    return [record, *entries, *draw(timers(all_ids))]


def an_entry(revision: int, ts: float, origin: Origin, draw: Any) -> JournalEntry:
    event = st.just(b"null") if origin is Origin.HOUSEKEEPING else EVENTS
    return JournalEntry(revision, ts, origin, draw(event), draw(SNAPSHOTS))


@st.composite
def worlds(draw: Any) -> list[Record]:
    """Records as an export has them."""
    catalog: list[Record] = []
    rest: list[Record] = []
    ids: dict[MachineName, list[VersionId]] = {}
    for number in range(draw(st.integers(0, 3))):
        name = MachineName(f"m{number}")
        ids[name] = [VersionId(f"ver_{number}_{it}") for it in range(draw(st.integers(0, 3)))]
        catalog.append(MachineRecord(name, ("owner",), draw(INSTANTS), draw(RETENTIONS)))
        current = draw(st.none() | st.sampled_from(ids[name])) if ids[name] else None
        catalog += [draw(versions(name, id, is_current=id == current)) for id in ids[name]]
        if len(ids[name]) > 1:
            migration_id = MigrationId(f"mig_{number}")
            migration = Migration(migration_id, 0, ids[name][0], ids[name][1], draw(INSTANTS), b"")
            catalog.append(MigrationRecord(name, migration, draw(st.sampled_from([b"m", b"n"]))))
    all_ids = [id for own in ids.values() for id in own] or [VersionId("ver_elsewhere")]
    for name, own in ids.items():
        for instance in range(draw(st.integers(0, 3)) if own else 0):
            rest += draw(instances(name, f"i{instance}", own, all_ids))
    return catalog + rest


@st.composite
def versions(draw: Any, machine: MachineName, id: VersionId, *, is_current: bool) -> VersionRecord:
    code = draw(st.sampled_from([b"export default 1;", "// ä\n".encode()]))
    version = MachineVersion(
        id=id,
        machine_id=0,
        organization_id=OrganizationId(""),
        machine_name=machine,
        created_at=draw(INSTANTS),
        client_info=draw(st.none() | TEXT),
        index_selectors=draw(st.sampled_from([{}, {"owner": "$.owner"}])),
        xstate_major=5,
        code_hash=b"",
    )
    return VersionRecord(version, code, is_current)


def essence(record: Record) -> Record:
    """Without the numbers of a store and what it worked out itself."""
    if isinstance(record, VersionRecord):
        version = replace(
            record.version, machine_id=0, organization_id=OrganizationId(""), code_hash=b""
        )
        return record._replace(version=version)
    if isinstance(record, MigrationRecord):
        return record._replace(migration=replace(record.migration, machine_id=0, code_hash=b""))
    return record


async def through(store: Store, records: list[Record]) -> list[Record]:
    """Import them, and what is exported then."""
    await store.open()
    try:
        organization_id = await found_organization(store)
        imports = Imports(store, ToyRuntime(), SeededEntropy(), on_published=())
        caller = AuthContext(organization_id, None, SCOPES, b"{}")
        async with imports.begin(caller) as running:
            for record in records:
                await running.accept(record_of(decode_line(encode_line(line_of(record))[:-1])))
            await running.finish()
        wanted = ExportSelection(organization_id, None, JournalPart.ALL)
        async with aclosing(store.export(wanted)) as portions:
            exported = [record async for portion in portions for record in portion]
        for record in exported:
            if isinstance(record, VersionRecord):
                assert record.version.organization_id == an_organization().id
                assert record.version.code_hash == hashlib.sha256(record.code).digest()
        return [essence(record) for record in exported]
    finally:
        await store.close()


@given(worlds())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_comes_out_is_what_was_put_in(records: list[Record]) -> None:
    """Record for record, in order, in memory and in SQLite."""
    assert asyncio.run(through(MemoryStore(), records)) == records
    with tempfile.TemporaryDirectory() as directory:
        assert asyncio.run(through(SqliteStore(Path(directory)), records)) == records

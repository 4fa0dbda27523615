"""What the store promises about exports and imports."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

from statekeep.domain import limits
from statekeep.domain.commit import JournalEntry, NewInstance
from statekeep.domain.errors import AlreadyExists, NotFound, Overloaded
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceKey, InstanceStatus
from statekeep.domain.message import Address, Message
from statekeep.domain.names import InstanceId, InstanceName, MachineName
from statekeep.domain.retention import JournalBounds, LogBounds, Retention
from statekeep.domain.timer import Timer, TimerChanges
from statekeep.domain.transfer import (
    ExportSelection,
    ImportId,
    InstanceRecord,
    JournalPart,
    MachineRecord,
    MigrationRecord,
    Span,
    VersionRecord,
)
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME
from tests.support.builders import (
    CODE,
    NOW,
    a_commit,
    a_migration,
    a_timer,
    a_version,
    an_entry,
    an_organization,
    create_instance,
    create_instances,
    found_organization,
    lay_ground,
)

IMPORT = ImportId("imp_1")
NAME = MachineName("moved")


def everything(ground, part=JournalPart.ALL, machine=None):
    return ExportSelection(ground.machine.organization_id, machine, part)


async def exported(store, wanted):
    """All records of an export."""
    async with aclosing(store.export(wanted)) as portions:
        return [record async for portion in portions for record in portion]


async def stage(store, organization_id, *, import_id=IMPORT, name=NAME):
    """A machine with a current version and an instance with timers, all of it staged. Returns machine number, version and instance number."""
    machine_id = await store.stage_machine(import_id, organization_id, name, ("owner",), NOW)
    await store.set_retention(machine_id, Retention(logs=LogBounds(timedelta(days=1))))
    ground = await lay_ground(store, organization=f"for {import_id}", machine=name)
    version = replace(
        a_version(ground.machine, f"of {import_id}"),
        machine_id=machine_id,
        organization_id=organization_id,
    )
    await store.create_version(version, CODE, make_current=True)
    instance_id = store.new_instance_id()
    key = InstanceKey(organization_id, name, InstanceName("one"))
    new = NewInstance(key, machine_id, version.id, NOW)
    commit = a_commit(instance_id, 4, entries=2)._replace(new=new, due=("child",), next_timer_seq=3)
    await store.commit(commit)
    await store.stage_timers(instance_id, [a_timer(0, due_at=5.0), a_timer(2)])
    return machine_id, version, instance_id


class TestExport:
    async def test_it_has_everything_in_order(self, store, ground, instance_id):
        """The catalog first; then each instance with its journal and its timers, dead ones and messages among them."""
        second = a_version(ground.machine, "second")
        await store.create_version(second, b"second", make_current=False)
        migration = a_migration(ground.version, second)
        await store.create_migration(migration, b"migration")
        message = Timer(
            1, "id", 2.5, b'{"type":"M"}', message=Message(Address(NAME, InstanceName("x"))), hops=2
        )
        dead = a_timer(3)._replace(is_dead=True, tries=5, failure="no")
        commit = a_commit(instance_id, 1, entries=2)._replace(
            due=("a", "b"), timers=TimerChanges((message, dead), ()), next_timer_seq=4
        )
        await store.commit(commit)
        upgrade = an_entry(4, origin=Origin.UPGRADE)
        await store.commit(
            a_commit(instance_id, 3)._replace(
                entries=(upgrade,), upgraded_to=second.id, due=("a",), next_timer_seq=4
            )
        )
        await store.set_desired_version(instance_id, ground.version.id)
        await store.set_status(instance_id, InstanceStatus.PAUSED)
        retention = Retention(JournalBounds(timedelta(days=3), 50), LogBounds(timedelta(days=2)))
        await store.set_retention(ground.machine.id, retention)
        name = ground.machine.name
        assert await exported(store, everything(ground)) == [
            MachineRecord(name, ("owner",), NOW, retention),
            VersionRecord(ground.version, CODE, True),
            VersionRecord(second, b"second", False),
            MigrationRecord(name, migration, b"migration"),
            InstanceRecord(
                name,
                InstanceName("one"),
                InstanceStatus.PAUSED,
                NOW,
                (Span(1, ground.version.id), Span(4, second.id)),
                ground.version.id,
                4,
                ("a",),
                4,
            ),
            an_entry(1, origin=Origin.CREATION),
            an_entry(2),
            an_entry(3),
            upgrade,
            message,
            dead,
        ]

    async def test_it_has_one_machine_or_all(self, store, ground):
        """Of one organization only, the oldest machine first."""
        other = await lay_ground(store, machine="other")
        await lay_ground(store, organization="elsewhere", machine="elsewhere")
        for one in (other, ground):
            await create_instance(store, one)
        kinds = [(type(record), record[0]) for record in await exported(store, everything(ground))]
        assert [name for kind, name in kinds if kind is MachineRecord] == ["toggle", "other"]
        assert [name for kind, name in kinds if kind is InstanceRecord] == ["toggle", "other"]
        records = await exported(store, everything(ground, machine=other.machine.name))
        assert [type(it) for it in records] == [
            MachineRecord,
            VersionRecord,
            InstanceRecord,
            JournalEntry,
        ]
        assert records[0].name == "other"

    async def test_it_may_have_the_newest_entry_only(self, store, ground, instance_id):
        """Which is the state."""
        await store.commit(a_commit(instance_id, 1, entries=3))
        records = await exported(store, everything(ground, JournalPart.NEWEST))
        assert [it for it in records if isinstance(it, JournalEntry)] == [an_entry(4)]

    async def test_a_long_journal_is_whole(self, store, ground, instance_id):
        """And in order, however many portions it takes."""
        for base in range(1, 600, 50):
            await store.commit(a_commit(instance_id, base, entries=50))
        records = await exported(store, everything(ground))
        revisions = [it.revision for it in records if isinstance(it, JournalEntry)]
        assert revisions == list(range(1, 602))

    async def test_it_is_of_one_moment(self, store, ground):
        """What is written between two portions is not in it, and is written without waiting for it."""
        large = b'{"value":"%b"}' % (b"x" * limits.EXPORT_PORTION_BYTES_MAX)
        ids = await create_instances(store, ground, [f"i{number}" for number in range(4)])
        for id in ids:
            entry = an_entry(2, snapshot=large)
            await store.commit(a_commit(id, 1)._replace(entries=(entry,)))
        async with aclosing(store.export(everything(ground))) as portions:
            records = [*await anext(portions)]
            for id in ids:
                await store.commit(a_commit(id, 2))
            await create_instance(store, ground, "late")
            async for portion in portions:
                records += portion
        assert [it.revision for it in records if isinstance(it, InstanceRecord)] == [2] * 4
        entries = [it.revision for it in records if isinstance(it, JournalEntry)]
        assert entries == [1, 2] * 4

    async def test_there_are_not_too_many_at_once(self, store, ground):
        """One that ends makes room."""
        running = [store.export(everything(ground)) for _ in range(limits.EXPORTS_MAX)]
        for export in running:
            await anext(export)
        with pytest.raises(Overloaded):
            await exported(store, everything(ground))
        for export in running:
            await export.aclose()
        assert await exported(store, everything(ground))


class TestStaging:
    async def test_what_is_staged_is_not_found(self, store):
        """By its name, in lists, by what is due in it, or in an export."""
        organization_id = await found_organization(store)
        await stage(store, organization_id)
        assert await store.machine(organization_id, NAME) is None
        assert (await store.list_machines(organization_id, cursor=None)).items == []
        key = InstanceKey(organization_id, NAME, InstanceName("one"))
        assert await store.claim(key) is None
        assert await store.timers_due_before(1e15, after=None, limit=10) == []
        assert await store.unsettled_instances(after=None, limit=10) == []
        fills = [await store.next_index_fill(after=0)]
        other = await store.machine(an_organization(f"for {IMPORT}").id, NAME)
        kept = await store.machine_retentions(after=0, limit=10)
        assert [it.machine_id for it in kept] == [other.id]
        assert await store.machine_log_ages(after=0, limit=10) == []
        assert [fill and fill.machine_id for fill in fills] == [other.id]
        wanted = ExportSelection(organization_id, None, JournalPart.ALL)
        assert await exported(store, wanted) == []
        assert await store.staged_imports() == [IMPORT]

    async def test_published_it_is_as_any_other(self, store):
        """All at once, and no longer an import."""
        organization_id = await found_organization(store)
        machine_id, version, instance_id = await stage(store, organization_id)
        await store.publish_import(IMPORT)
        machine = await store.machine(organization_id, NAME)
        assert (machine.id, machine.name, machine.indexes) == (machine_id, NAME, ("owner",))
        assert machine.current_version.id == version.id
        assert (await store.list_machines(organization_id, cursor=None)).items == [machine]
        assert await store.version(version.id) == version
        claimed = await store.claim(InstanceKey(organization_id, NAME, InstanceName("one")))
        assert (claimed.id, claimed.revision, claimed.next_timer_seq) == (instance_id, 6, 3)
        assert claimed.due == ("child",)
        assert claimed.timers == (a_timer(0, due_at=5.0), a_timer(2))
        assert await store.unsettled_instances(after=None, limit=10) == [instance_id]
        due = await store.timers_due_before(6.0, after=None, limit=10)
        assert [(it.instance_id, it.seq) for it in due] == [(instance_id, 0)]
        transitions = await store.list_transitions(instance_id, cursor=None)
        assert [it.revision for it in transitions.items] == [6, 5]
        assert await store.index_fill(machine_id) is not None
        assert await store.staged_imports() == []
        await store.discard_import(IMPORT)
        assert await store.machine(organization_id, NAME) == machine

    async def test_a_name_that_was_taken_meanwhile_keeps_it(self, store):
        """Nothing of the import is published, not even its other machines."""
        organization_id = await found_organization(store)
        await store.stage_machine(IMPORT, organization_id, MachineName("free"), (), NOW)
        await stage(store, organization_id)
        await store.create_machine(organization_id, NAME, (), NOW)
        with pytest.raises(AlreadyExists):
            await store.publish_import(IMPORT)
        assert await store.machine(organization_id, MachineName("free")) is None
        assert (await store.machine(organization_id, NAME)).indexes == ()

    async def test_it_can_be_discarded(self, store):
        """With all that belongs to it. Other imports stay, and the ids are free again."""
        organization_id = await found_organization(store)
        other = ImportId("imp_2")
        _, version, instance_id = await stage(store, organization_id)
        await stage(store, organization_id, import_id=other)
        await store.discard_import(IMPORT)
        assert await store.staged_imports() == [other]
        assert await store.version(version.id) is None
        assert await store.claim_by_id(instance_id) is None
        await store.discard_import(other)
        assert await store.staged_imports() == []

    async def test_names_and_numbers_are_taken_once(self, store):
        """Within an import, whatever there is elsewhere."""
        organization_id = await found_organization(store)
        machine_id, version, instance_id = await stage(store, organization_id)
        with pytest.raises(AlreadyExists):
            await store.stage_machine(IMPORT, organization_id, NAME, (), NOW)
        with pytest.raises(AlreadyExists):
            await store.stage_timers(instance_id, [a_timer(2)])
        with pytest.raises(AlreadyExists):
            await store.stage_timers(instance_id, [a_timer(4), a_timer(4)])
        key = InstanceKey(organization_id, NAME, InstanceName("one"))
        new = NewInstance(key, machine_id, version.id, NOW)
        with pytest.raises(AlreadyExists):
            await store.commit(a_commit(store.new_instance_id(), 0)._replace(new=new))

    async def test_it_has_to_belong_to_something(self, store):
        """An organization, or an instance."""
        with pytest.raises(NotFound):
            await store.stage_machine(IMPORT, an_organization("none").id, NAME, (), NOW)
        with pytest.raises(NotFound):
            await store.stage_timers(InstanceId(4711), [a_timer(1)])


class TestSqlite:
    async def test_a_discarded_import_leaves_no_rows(self, open_sqlite, tmp_path):
        """Journals, timers, modules and index entries go too, however many instances there are, after a restart as well."""
        store = await open_sqlite()
        organization_id = await found_organization(store)
        machine_id, version, _ = await stage(store, organization_id)
        for number in range(250):
            key = InstanceKey(organization_id, NAME, InstanceName(f"i{number}"))
            new = NewInstance(key, machine_id, version.id, NOW)
            await store.commit(a_commit(store.new_instance_id(), 0)._replace(new=new))
        await store.close()
        store = await open_sqlite()
        assert await store.staged_imports() == [IMPORT]
        await store.discard_import(IMPORT)
        await store.close()
        with sqlite3.connect(tmp_path / "data" / DATABASE_FILE_NAME) as database:
            tables = ("staged_machines", "instances", "standings", "journal", "timers")
            counts = {
                table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in tables
            }
        database.close()
        assert counts == dict.fromkeys(tables, 0)

    async def test_the_log_does_not_grow_without_bound(self, open_sqlite):
        """An export during which too much is written ends, says why, and the log can begin again."""
        store = await open_sqlite()
        ground = await lay_ground(store)
        large = b'{"value":"%b"}' % (b"x" * limits.EXPORT_PORTION_BYTES_MAX)
        for id in await create_instances(store, ground, ["a", "b", "c"]):
            entry = an_entry(2, snapshot=large)
            await store.commit(a_commit(id, 1)._replace(entries=(entry,)))
        store.export_log_bytes_max = limits.MIB
        async with aclosing(store.export(everything(ground))) as portions:
            await anext(portions)
            for _ in range(40):
                id = store.new_instance_id()
                creation = ground.creation(id, f"more{id}")
                entry = an_entry(1, snapshot=large)
                await store.commit(creation._replace(entries=(entry,)))
            with pytest.raises(Overloaded, match="machine by machine"):
                await anext(portions)
        # Nobody reads any more.
        assert await asyncio.wait_for(exported(store, everything(ground)), 30)

"""Indexes kept in step with the instances, whatever becomes of these and of the selectors."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from statekeep.application.dry_runs import DryRunRequest
from statekeep.application.selections import SelectionText
from statekeep.domain import limits
from statekeep.domain.errors import Overloaded, TooLarge
from statekeep.domain.event import Event
from statekeep.domain.index import IndexQuery
from statekeep.domain.instance import InstanceKey
from statekeep.domain.migration import Migration
from statekeep.domain.names import InstanceName, MachineName, MigrationId, VersionId
from statekeep.ports.store import ConflictingRevision
from statekeep.workers.worker import Worker
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, ORGANIZATION, THEN, World, until

SHELF = MachineName("shelf")


class Shelf(World):
    """A world with a machine that has two indexes."""

    number: int

    async def set_up(self):
        await super().set_up()
        await self.store.create_machine(ORGANIZATION, SHELF, ("log", "owner"), THEN)
        machine = await self.store.machine(ORGANIZATION, SHELF)
        assert machine is not None
        self.number = machine.id
        return self

    async def publish(self, name, selectors, *, make_current=True):
        toy = await self.store.version(VersionId("ver_1"))
        assert toy is not None
        version = replace(
            toy,
            id=VersionId(name),
            machine_id=self.number,
            machine_name=SHELF,
            index_selectors=selectors,
        )
        await self.store.create_version(version, b"code", make_current=make_current)

    async def place(self, name, version=None, **context):
        json = msgspec.json.encode(context)
        return await self.instances.create(CALLER, SHELF, InstanceName(name), json, version)

    async def lead(self, start, target):
        """A migration from version to version."""
        migration = Migration(
            MigrationId(f"mig_{start}_{target}"),
            self.number,
            VersionId(start),
            VersionId(target),
            THEN,
            b"h",
        )
        await self.store.create_migration(migration, b"code")

    async def wish(self, name, target):
        await self.desired_versions.set(CALLER, SHELF, InstanceName(name), VersionId(target))

    async def move(self, name, type_):
        event = Event(type_, b'{"type":"%b"}' % type_.encode())
        return await self.instances.send_event(CALLER, SHELF, InstanceName(name), event)

    async def found(self, index):
        machine = self.number
        page = await self.store.query_index(
            IndexQuery(machine, index, None, False, 1_000), cursor=None
        )
        return [(match.value, match.name) for match in page.items]


@pytest.fixture
async def shelf():
    return await Shelf(ToyRuntime()).set_up()


async def test_entries_follow_the_context(shelf):
    """From the creation on; and only what changes is written."""
    await shelf.publish("v1", {"log": "$.log", "owner": "$.owner"})
    await shelf.place("one", owner="ada")
    assert await shelf.found("owner") == [("ada", "one")]
    await shelf.move("one", "b")
    await asyncio.gather(shelf.move("one", "a"), shelf.move("one", "b"))
    assert await shelf.found("log") == [("a", "one"), ("b", "one")]
    changes = [commit.indexed for commit in shelf.store.commits]
    assert [(c.added, c.removed) for c in changes] == [
        ((("owner", "ada"),), ()),
        ((("log", "b"),), ()),
        ((("log", "a"),), ()),
    ]
    await shelf.move("one", "b")
    assert shelf.store.commits[-1].indexed is None


async def test_machines_without_selectors_write_nothing(shelf):
    """Nor do versions of a machine with indexes for which nothing selects."""
    await shelf.publish("v1", {})
    await shelf.place("one", owner="ada")
    await shelf.create()
    await shelf.send("a")
    assert all(commit.indexed is None for commit in shelf.store.commits)
    assert shelf.resident().index_entries == frozenset()


async def test_a_claimed_instance_knows_its_entries(shelf):
    """So that after a restart, too, only what changes is written."""
    await shelf.publish("v1", {"log": "$.log", "owner": "$.owner"})
    await shelf.place("one", owner="ada")
    again = Shelf.restarted(shelf, ToyRuntime())
    again.number = shelf.number
    await Shelf.move(again, "one", "a")
    assert shelf.store.commits[-1].indexed.added == (("log", "a"),)
    assert await shelf.found("owner") == [("ada", "one")]


async def test_an_event_that_finds_too_much_fails_alone(shelf):
    """It changes nothing; those around it count."""
    await shelf.publish("v1", {"log": "$.log"})
    await shelf.place("one")
    long = "x" * (limits.INDEX_VALUE_BYTES_MAX + 1)
    results = await asyncio.gather(
        shelf.move("one", "a"),
        shelf.move("one", long),
        shelf.move("one", "b"),
        return_exceptions=True,
    )
    assert [type(result) is TooLarge for result in results] == [False, True, False]
    assert await shelf.found("log") == [("a", "one"), ("b", "one")]
    with pytest.raises(TooLarge):
        await shelf.place("two", log=[long])
    assert await shelf.found("log") == [("a", "one"), ("b", "one")]


async def test_existing_instances_get_what_they_inherit(shelf):
    """Resident or not, of whichever version; what an instance's own version selects stays."""
    await shelf.publish("v1", {"log": "$.log"})
    await shelf.publish("v2", {}, make_current=False)
    await shelf.filling.fill_all()
    await shelf.place("one", owner="ada", log=["x"], other="no")
    await shelf.place("two", VersionId("v2"), owner="bob", log=["y"])
    two = await shelf.residents.find(InstanceKey(ORGANIZATION, SHELF, InstanceName("two")))
    shelf.residents.remove(two)
    assert await shelf.found("owner") == []
    assert await shelf.found("log") == [("x", "one"), ("y", "two")]
    await shelf.publish("v3", {"log": "$.other", "owner": "$.owner"})
    fill = await shelf.store.index_fill(shelf.number)
    assert fill.indexes == ("log", "owner")
    await shelf.filling.fill_all()
    assert await shelf.store.index_fill(shelf.number) is None
    assert await shelf.found("owner") == [("ada", "one"), ("bob", "two")]
    # v1 selects for the log itself; v2 does not, and follows the current version.
    assert await shelf.found("log") == [("x", "one")]
    await shelf.place("three", VersionId("v2"), owner="eve")
    await shelf.move("one", "a")
    assert await shelf.found("owner") == [("ada", "one"), ("bob", "two"), ("eve", "three")]


async def test_what_is_inherited_and_too_much_is_left_out(shelf):
    """The fill goes on, and the instance's events succeed."""
    await shelf.publish("v1", {})
    await shelf.place("one", owner="x" * 2_000)
    await shelf.place("two", owner="bob")
    await shelf.publish("v2", {"owner": "$.owner"})
    await shelf.filling.fill_all()
    await shelf.move("one", "a")
    assert await shelf.found("owner") == [("bob", "two")]


async def test_a_fill_goes_on_where_the_last_server_ended(shelf, monkeypatch):
    """It does not begin again, and leaves nothing out."""
    monkeypatch.setattr("statekeep.application.index_filling.INDEX_FILL_PORTION", 3)
    await shelf.publish("v1", {})
    names = [f"i{number}" for number in range(10)]
    for name in names:
        await shelf.place(name, owner=name)
    await shelf.publish("v2", {"owner": "$.owner"})
    fill = await shelf.filler.begin(await shelf.store.index_fill(shelf.number))
    fill = await shelf.filler.advance(await shelf.filler.advance(fill))
    assert (fill.done, fill.total) == (6, 10)
    again = Shelf.restarted(shelf, ToyRuntime())
    await again.filling.start()
    await until(lambda: not shelf.store._fills)
    await again.filling.stop()
    assert await shelf.found("owner") == [(name, name) for name in names]
    # What was done before was not claimed again.
    assert len(again.residents) == 4


async def test_events_and_creations_meanwhile_are_indexed_by_the_new_selectors(shelf, monkeypatch):
    """Whether the fill has come by or not."""
    monkeypatch.setattr("statekeep.application.index_filling.INDEX_FILL_PORTION", 1)
    await shelf.publish("v1", {})
    for name in ("one", "two", "three"):
        await shelf.place(name)
    await shelf.publish("v2", {"log": "$.log"})
    fill = await shelf.filler.begin(await shelf.store.index_fill(shelf.number))
    await shelf.move("three", "c")
    fill = await shelf.filler.advance(fill)
    await shelf.move("one", "a")
    await shelf.place("four", VersionId("v1"), log=["d"])
    while fill is not None:
        fill = await shelf.filler.advance(fill)
    await shelf.move("two", "b")
    expected = [("a", "one"), ("b", "two"), ("c", "three"), ("d", "four")]
    assert await shelf.found("log") == expected


async def test_an_overtaken_fill_ends(shelf):
    """And the one that overtook it goes by its own selectors."""
    await shelf.publish("v1", {})
    await shelf.place("one", owner="ada", other="bob")
    await shelf.publish("v2", {"owner": "$.owner"})
    fill = await shelf.filler.begin(await shelf.store.index_fill(shelf.number))
    await shelf.publish("v3", {"owner": "$.other"})
    assert await shelf.filler.advance(fill) is None
    await shelf.filling.fill_all()
    assert await shelf.found("owner") == [("bob", "one")]


async def test_an_instance_whose_entries_could_not_be_written_is_claimed_again(shelf):
    """Nothing is computed on top of what is not there, and the fill comes by again."""
    await shelf.publish("v1", {})
    await shelf.place("one", owner="ada")
    await shelf.publish("v2", {"owner": "$.owner"})
    reindex, errors = shelf.store.reindex, [ConflictingRevision(), Overloaded("full")]

    def failing(*arguments):
        if not errors:
            return reindex(*arguments)
        future = asyncio.get_running_loop().create_future()
        future.set_exception(errors.pop(0))
        return future

    shelf.store.reindex = failing
    with pytest.raises(Overloaded):
        await shelf.filling.fill_all()
    assert await shelf.found("owner") == []
    await shelf.filling.fill_all()
    assert await shelf.found("owner") == [("ada", "one")]
    await shelf.move("one", "a")


async def test_an_instance_that_is_being_indexed_stays_in_memory(shelf):
    """Until that is durable: claimed before, it would not know its entries."""
    await shelf.publish("v1", {})
    await shelf.place("one", owner="ada")
    await shelf.publish("v2", {"owner": "$.owner"})
    written = asyncio.get_running_loop().create_future()
    shelf.store.reindex = lambda *_: written
    filling = asyncio.ensure_future(shelf.filling.fill_all())
    one = shelf.residents.at_hand(InstanceKey(ORGANIZATION, SHELF, InstanceName("one")))
    await until(lambda: one.reindexing)
    assert not one.is_idle
    written.set_result(None)
    await filling
    assert one.is_idle


async def test_who_was_claimed_while_entries_were_written_is_claimed_again(shelf):
    """It does not know them, and would never remove them."""
    await shelf.publish("v1", {})
    await shelf.place("one", owner="ada")
    await shelf.publish("v2", {"owner": "$.owner"})
    key = InstanceKey(ORGANIZATION, SHELF, InstanceName("one"))
    first, reindex = shelf.residents.at_hand(key), shelf.store.reindex
    asked = []
    written = asyncio.get_running_loop().create_future()

    def late(*arguments):
        asked.append(arguments)
        return written

    shelf.store.reindex = late
    filling = asyncio.ensure_future(shelf.filling.fill_all())
    await until(lambda: asked)
    shelf.turns.void(first, Overloaded("the turn ended in an error"))
    successor = await shelf.residents.find(key)
    shelf.store.reindex = reindex
    await reindex(*asked[0])
    written.set_result(None)
    await filling
    assert successor.is_void
    assert shelf.residents.at_hand(key).index_entries == {("owner", "ada")}
    await shelf.move("one", "a")
    assert await shelf.found("owner") == [("ada", "one")]


async def test_an_instance_that_can_not_be_read_holds_nothing_up(shelf, caplog):
    """The log has it, and the others are indexed."""
    await shelf.publish("v1", {})
    for name in ("one", "two"):
        await shelf.place(name, owner=name)
    one = shelf.residents.at_hand(InstanceKey(ORGANIZATION, SHELF, InstanceName("one")))
    one.head_snapshot = b"{"
    await shelf.publish("v2", {"owner": "$.owner"})
    await shelf.filling.fill_all()
    assert await shelf.found("owner") == [("two", "two")]
    assert "passed over" in caplog.text


async def test_the_service_tries_again_after_the_store_failed(shelf, monkeypatch):
    """Without being told."""
    monkeypatch.setattr(Worker, "retry_seconds", 0)
    await shelf.publish("v1", {})
    await shelf.place("one", owner="ada")
    await shelf.filling.start()
    await until(lambda: not shelf.filling._is_wanted.is_set())
    begin, errors = shelf.store.begin_index_fill, [Overloaded("full")]

    async def failing(fill):
        if errors:
            raise errors.pop()
        return await begin(fill)

    shelf.store.begin_index_fill = failing
    await shelf.publish("v2", {"owner": "$.owner"})
    shelf.filling.look()
    await until(lambda: not shelf.store._fills)
    assert await shelf.found("owner") == [("ada", "one")]
    await shelf.filling.stop()
    await shelf.filling.stop()


async def test_instances_that_only_the_fill_asks_for_leave_first(monkeypatch):
    """They drive few from memory that somebody uses: at most a portion."""
    monkeypatch.setattr("statekeep.application.index_filling.INDEX_FILL_PORTION", 1)
    shelf = await Shelf(ToyRuntime(), residents_max=5).set_up()
    await shelf.publish("v1", {})
    for number in range(12):
        await shelf.place(f"i{number}", owner="ada")
    await shelf.publish("v2", {"owner": "$.owner"})
    used = [f"i{number}" for number in range(8, 12)]
    await shelf.filling.fill_all()
    assert len(await shelf.found("owner")) == 12
    keys = {key.name for key in shelf.residents._by_key}
    assert len(keys & {*used}) >= len(used) - 1


class TestUpgrading:
    """An instance that is carried over is found by the selectors of its new version, in the context that it has there."""

    @pytest.fixture
    async def moving(self, shelf):
        """Two versions that select otherwise, and an instance of the first."""
        await shelf.publish("v1", {"owner": "$.owner"})
        await shelf.publish("v2", {"owner": "$.heir", "log": "$.log"})
        await shelf.lead("v1", "v2")
        await shelf.place("one", VersionId("v1"), owner="ada", heir="eve")
        return shelf

    async def test_entries_change_with_the_version(self, moving):
        """In the commit of the upgrade itself: an event need not change anything."""
        assert await moving.found("owner") == [("ada", "one")]
        resident = moving.residents.at_hand(InstanceKey(ORGANIZATION, SHELF, InstanceName("one")))
        target = await moving.store.version(VersionId("v2"))
        assert await moving.turns.upgrade(resident, target)
        assert await moving.found("owner") == [("eve", "one")]
        assert await moving.found("log") == [("upgraded to v2", "one")]
        assert len(moving.store.commits) == 2
        await moving.move("one", "b")
        assert await moving.found("owner") == [("eve", "one")]

    async def test_a_fill_meanwhile_goes_by_the_new_version(self, moving):
        """The commit of the upgrade is under way, and what it made is the newest there is."""
        await moving.wish("one", "v2")
        moving.store.is_slow = True
        sending = asyncio.ensure_future(moving.move("one", "b"))
        await until(lambda: moving.store.waiting)
        resident = moving.residents.at_hand(InstanceKey(ORGANIZATION, SHELF, InstanceName("one")))
        assert moving.turns.reindex(resident) is None
        moving.store.is_slow = False
        moving.store.release()
        await sending
        assert await moving.found("owner") == [("eve", "one")]

    async def test_what_would_be_too_much_fails_the_upgrade(self, moving, monkeypatch):
        """As it fails an event: the old version goes on, and the log and the dry run say why."""
        monkeypatch.setattr("statekeep.application.index_selectors.INDEX_VALUE_BYTES_MAX", 4)
        request = DryRunRequest(VersionId("v2"), SelectionText(VersionId("v1")))
        report = (await moving.dry_runs.begin(CALLER, SHELF, request)).report
        assert [(failure.reason, group.count) for failure, group in report.failures] == [
            ("too-large", 1)
        ]
        await moving.wish("one", "v2")
        await moving.move("one", "b")
        assert await moving.found("owner") == [("ada", "one")]
        (log,) = moving.recorder.logs
        assert "a value for index log has more than 4 bytes" in log

"""What is in the tables, and how it is found."""

from __future__ import annotations

import asyncio

import apsw
import apsw.ext
import pytest

from statekeep.domain.errors import HistoryGone
from statekeep.domain.retention import JournalCut
from statekeep.domain.timer import TimerChanges
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME, open_writer
from tests.support.builders import (
    a_commit,
    a_key_use,
    a_migration,
    a_timer,
    a_user,
    create_instance,
    create_instances,
    lay_ground,
)
from tests.support.world import until

QUERIES = load_queries("statekeep.storage.sqlite")
MAY_SCAN = {
    # Tables that are empty nearly always, or have a row for each other table.
    "newest_instance_id",
    "orphaned_journal",
    # Stops at the first row.
    "first_user",
}

SCANS_OF_NO_TABLE = {
    "SCAN walk",
    "SCAN CONSTANT ROW",
    # Of a portion, which is bounded.
    "SCAN (subquery-1)",
    # Over a list in a parameter, or in a row.
    "SCAN json_each VIRTUAL TABLE INDEX 1: LEFT-JOIN",
    # Over a list in a parameter.
    "SCAN json_each VIRTUAL TABLE INDEX 1:",
    # Empty but for the time of an import, and then it has a row for each machine of it.
    "SCAN staged_machines",
}


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """A connection to an empty database."""
    connection = open_writer(tmp_path_factory.mktemp("schema") / DATABASE_FILE_NAME)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", sorted(set(QUERIES) - MAY_SCAN))
def test_every_query_finds_its_rows_by_an_index(schema, name):
    """None gets slower because there is more of what it does not look for."""
    parameters = apsw.ext.query_info(schema, QUERIES[name]).bindings_count
    bindings = (1,) * parameters
    plan = schema.execute("EXPLAIN QUERY PLAN " + QUERIES[name], bindings).fetchall()
    scans = [detail for *_, detail in plan if detail.startswith("SCAN")]
    assert [scan for scan in scans if scan not in SCANS_OF_NO_TABLE] == []


def count_rows(path):
    """How many rows each table has, but for SQLite's own."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    ).fetchall()
    counts = {t: connection.execute(f"SELECT count(*) FROM {t}").get for (t,) in tables}
    connection.close()
    return counts


async def fill(store, version, instance_id, entries):
    """An instance with some of everything."""
    timers = TimerChanges(tuple(a_timer(seq) for seq in range(20)), ())
    keys = tuple(a_key_use(f"k{number}") for number in range(20))
    commit = a_commit(instance_id, 1, entries=entries)
    commit = commit._replace(timers=timers, keys=keys, due=("fetch",), upgraded_to=version.id)
    await store.commit(commit)


async def test_deletion_leaves_no_row_anywhere(open_sqlite, tmp_path):
    """Private data is gone from every table, those that nobody lists included."""
    path = tmp_path / "data" / DATABASE_FILE_NAME
    store = await open_sqlite()
    ground = await lay_ground(store)
    kept = await create_instance(store, ground, "kept")
    await fill(store, ground.version, kept, 3)
    before = count_rows(path)
    gone = await create_instance(store, ground, "gone")
    await fill(store, ground.version, gone, 1_234)
    assert count_rows(path) != before
    await store.delete_instance(gone)
    assert count_rows(path) == before


async def test_a_refused_commit_leaves_no_row_anywhere(open_sqlite, tmp_path):
    """Not even one that nothing points at. The good one beside it adds its entry."""
    path = tmp_path / "data" / DATABASE_FILE_NAME
    store = await open_sqlite()
    ground = await lay_ground(store)
    first, second = await create_instances(store, ground, ["one", "two"])
    before = count_rows(path)
    results = await asyncio.gather(
        store.commit(a_commit(first, 1)),
        store.commit(a_commit(second, 5)._replace(keys=(a_key_use(),))),
        store.commit(ground.creation(store.new_instance_id(), "one")),
        return_exceptions=True,
    )
    assert [result is None for result in results] == [True, False, False]
    assert count_rows(path) == before | {"journal": before["journal"] + 1}


async def test_a_deletion_that_was_cut_short_is_finished(open_sqlite, tmp_path):
    """The instance was gone at once; after the next start, which does not wait for it, what was left of its journal is removed."""
    path = tmp_path / "data" / DATABASE_FILE_NAME
    store = await open_sqlite()
    ground = await lay_ground(store)
    kept, gone = await create_instances(store, ground, ["kept", "gone"])
    await fill(store, ground.version, kept, 3)
    before = count_rows(path)["journal"] - 1
    await fill(store, ground.version, gone, 5_000)
    deletion = asyncio.ensure_future(store.delete_instance(gone))
    await asyncio.sleep(0)
    # In the batch that removes the instance; what follows takes ten more.
    await store.create_user(a_user("eve"))
    assert await store.claim_by_id(gone) is None
    deletion.cancel()
    await asyncio.gather(deletion, return_exceptions=True)
    await store.close()
    counts = count_rows(path)
    assert counts["journal"] > before
    assert counts["orphaned_journals"] == 1
    store = await open_sqlite()
    assert count_rows(path) == counts
    await until(lambda: not count_rows(path)["orphaned_journals"])
    assert count_rows(path)["journal"] == before


async def test_a_cut_leaves_no_row_of_what_is_gone(open_sqlite, tmp_path):
    """And one that was interrupted is finished by the next start; readers saw nothing of it any more before."""
    path = tmp_path / "data" / DATABASE_FILE_NAME
    store = await open_sqlite()
    ground = await lay_ground(store)
    number = await create_instance(store, ground)
    await store.commit(a_commit(number, 1, entries=5_000))
    cutting = asyncio.ensure_future(store.cut_journal(number, JournalCut(4_900, 0.0)))
    for _ in range(10_000):
        if count_rows(path)["journal_cuts"]:
            break
        await asyncio.sleep(0)
    assert len((await store.list_transitions(number, cursor=None)).items) == 100
    with pytest.raises(HistoryGone):
        await anext(store.transitions_after(number, 4_899))
    cutting.cancel()
    await asyncio.gather(cutting, return_exceptions=True)
    await store.close()
    assert count_rows(path)["journal"] > 101
    store = await open_sqlite()
    await until(lambda: not count_rows(path)["orphaned_journals"])
    assert count_rows(path)["journal"] == 101
    with pytest.raises(HistoryGone):
        await anext(store.transitions_after(number, 4_899))


async def test_a_machine_goes_with_all_its_rows(open_sqlite, tmp_path):
    """Its code above all."""
    path = tmp_path / "data" / DATABASE_FILE_NAME
    store = await open_sqlite()
    await lay_ground(store, machine="kept")
    before = count_rows(path)
    ground = await lay_ground(store, machine="gone")
    await store.create_migration(a_migration(ground.version, ground.version), b"code")
    await store.delete_machine(ground.machine.id)
    assert count_rows(path) == before

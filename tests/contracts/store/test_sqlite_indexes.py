"""How SQLite finds entries, and what a database from before there were any gets."""

from __future__ import annotations

import apsw
import pytest

from statekeep.domain.index import IndexChanges
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME, SCHEMA_STEPS, open_writer
from tests.support.builders import create_instance, lay_ground

QUERIES = load_queries("statekeep.storage.sqlite")


@pytest.mark.parametrize("direction", ["ascending", "descending"])
def test_a_query_is_one_walk_along_the_table(tmp_path, direction):
    """From the place where the page begins, in the order of the page: nothing is sorted and nothing passed over."""
    connection = open_writer(tmp_path / DATABASE_FILE_NAME)
    plan = connection.execute("EXPLAIN QUERY PLAN " + QUERIES[f"query_index_{direction}"], (1,) * 7)
    steps = [detail for *_, detail in plan.fetchall()]
    connection.close()
    assert steps == [
        "SEARCH index_entries USING PRIMARY KEY"
        " (machine_id=? AND name=? AND (value,instance_id)>(?,?) AND (value,instance_id)<(?,?))",
        "SEARCH instances USING INTEGER PRIMARY KEY (rowid=?)",
    ]


async def test_a_database_without_entries_gets_them_filled(open_sqlite, tmp_path):
    """Every index of every machine, by whatever selects for it."""
    store = await open_sqlite()
    ground = await lay_ground(store)
    await create_instance(store, ground)
    await store.close()
    path = tmp_path / "data" / DATABASE_FILE_NAME
    connection = apsw.Connection(str(path))
    connection.execute("DROP TABLE index_entries; DROP TABLE index_fills")
    [step] = [step for step in SCHEMA_STEPS if "CREATE TABLE index_fills" in step.sql]
    connection.execute(step.sql)
    connection.close()
    store = await open_sqlite()
    fill = await store.index_fill(ground.machine.id)
    assert fill.indexes is None
    assert (await store.begin_index_fill(fill)).total == 1


async def test_deletion_leaves_no_entry(open_sqlite, tmp_path):
    """Not in the table, whose rows nobody would find."""
    store = await open_sqlite()
    ground = await lay_ground(store)
    instance_id = store.new_instance_id()
    changes = IndexChanges((("owner", "ada"), ("size", "9")), ())
    await store.commit(ground.creation(instance_id)._replace(indexed=changes))
    await store.delete_instance(instance_id)
    await store.close()
    connection = apsw.Connection(str(tmp_path / "data" / DATABASE_FILE_NAME))
    assert connection.execute("SELECT count(*) FROM index_entries").get == 0
    connection.close()

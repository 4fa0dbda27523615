"""The file of log entries: what survives, and what cannot hurt the rest."""

from __future__ import annotations

import asyncio

import apsw.ext
import pytest

from statekeep.domain.errors import Overloaded
from statekeep.domain.log import LogSelection
from statekeep.domain.names import OrganizationId
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.connection import open_log_writer
from statekeep.storage.sqlite.log_file.file import LOG_FILE_NAME
from tests.support.builders import a_commit, a_log_entry, create_instance, lay_ground
from tests.support.disks import Disk

QUERIES = load_queries("statekeep.storage.sqlite.log_file")
MAY_SCAN = {
    # One row for each organization that ever had an entry.
    "organizations",
}
ACME = OrganizationId("org_acme")


async def read_all(store):
    return list(await store.read_logs(ACME, LogSelection(0), limit=10_000))


@pytest.mark.parametrize("name", sorted(set(QUERIES) - MAY_SCAN))
def test_every_query_finds_its_rows_by_an_index(name, tmp_path):
    """None gets slower, or sorts, because there is more of what it does not look for."""
    connection = open_log_writer(tmp_path / LOG_FILE_NAME)
    bindings = (1,) * apsw.ext.query_info(connection, QUERIES[name]).bindings_count
    plan = connection.execute("EXPLAIN QUERY PLAN " + QUERIES[name], bindings).fetchall()
    connection.close()
    details = [str(detail) for *_, detail in plan]
    assert [d for d in details if d.startswith("SCAN") and d != "SCAN CONSTANT ROW"] == []
    assert [d for d in details if "TEMP B-TREE" in d] == []


@pytest.mark.parametrize("name", ["read_of_machine", "remove_oldest_of_machine"])
def test_what_is_about_one_machine_passes_by_no_other(name, tmp_path):
    """However much the others have printed."""
    connection = open_log_writer(tmp_path / LOG_FILE_NAME)
    bindings = (1,) * apsw.ext.query_info(connection, QUERIES[name]).bindings_count
    plan = connection.execute("EXPLAIN QUERY PLAN " + QUERIES[name], bindings).fetchall()
    connection.close()
    assert any("entries_by_machine (organization_id=? AND machine=?" in str(d) for *_, d in plan)


async def test_entries_survive_a_restart(open_sqlite):
    """With the rule that no timestamp goes back."""
    store = await open_sqlite()
    await store.append_logs([a_log_entry(9)])
    before = await read_all(store)
    await store.close()
    store = await open_sqlite()
    assert await read_all(store) == before
    await store.append_logs([a_log_entry(9)])
    assert [entry.ts_ms for entry in await read_all(store)] == [9, 10]


async def test_an_entry_costs_no_sync(open_sqlite):
    """Unlike an event."""
    disk = Disk()
    store = await open_sqlite(vfs=disk.name)
    await store.append_logs([a_log_entry(1)])
    before = disk.syncs
    for ms in range(20):
        await store.append_logs([a_log_entry(ms)])
    assert disk.syncs == before


async def test_a_full_disk_refuses_entries_and_nothing_is_lost_but_them(open_sqlite):
    """Half a batch is never there; entries are taken again once there is room, and reading goes on meanwhile."""
    disk = Disk()
    fatal: list[Exception] = []
    store = await open_sqlite(vfs=disk.name, on_fatal=fatal.append)
    await store.append_logs([a_log_entry(1)])
    disk.is_full = True
    with pytest.raises(Overloaded):
        await store.append_logs([a_log_entry(ms) for ms in range(2, 5_000)])
    assert len(await read_all(store)) == 1
    disk.is_full = False
    await store.append_logs([a_log_entry(2)])
    assert len(await read_all(store)) == 2
    assert fatal == []


async def test_a_commit_does_not_wait_for_entries(open_sqlite):
    """While a batch of entries is under way, however long that takes."""
    store = await open_sqlite()
    instance_id = await create_instance(store, await lay_ground(store))
    has_begun, may_end = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def write_slowly(connection):
        connection.execute("UPDATE organizations SET size = size")
        loop.call_soon_threadsafe(has_begun.set)
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result()

    writing = asyncio.ensure_future(store._log_file.write(write_slowly))
    await has_begun.wait()
    await store.commit(a_commit(instance_id, 1))
    assert (await store.claim_by_id(instance_id)).revision == 2
    assert await read_all(store) == []
    may_end.set()
    await writing

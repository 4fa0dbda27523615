"""The store on disks that are slow, full or broken, and how much of them it takes."""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio.subprocess import PIPE, STDOUT

import pytest

from statekeep.domain.errors import Overloaded
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME
from statekeep.storage.sqlite.database import EXIT_STATUS_FATAL
from statekeep.storage.sqlite.log_file.file import LOG_FILE_NAME
from statekeep.storage.sqlite.transaction import CommitUncertain
from tests.support.builders import (
    CODE,
    a_commit,
    a_user,
    a_version,
    create_instance,
    create_instances,
    lay_ground,
)
from tests.support.disks import Disk


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def fatal() -> list[Exception]:
    """What was fatal."""
    return []


@pytest.fixture
async def store(open_sqlite, disk, fatal):
    yield await open_sqlite(vfs=disk.name, on_fatal=fatal.append)
    disk.is_full = disk.is_broken = False


@pytest.fixture
async def ids(store):
    """Twenty instances at revision 1."""
    ground = await lay_ground(store)
    return await create_instances(store, ground, [f"i{number}" for number in range(20)])


class TestSlow:
    @pytest.fixture(autouse=True)
    async def slow(self, store, disk, ids):
        """The store has noticed that its disk is slow."""
        disk.seconds_per_sync = 0.02
        for base in range(1, 6):
            await store.commit(a_commit(ids[0], base))
        disk.threads.clear()

    async def test_the_event_loop_does_not_wait(self, store, disk, ids):
        """While a commit is being synced, everything else goes on, and reading shows what was before it."""
        disk.is_syncing.clear()
        disk.may_sync.clear()
        commit = asyncio.ensure_future(store.commit(a_commit(ids[0], 6)))
        await asyncio.to_thread(disk.is_syncing.wait)
        assert (await store.claim_by_id(ids[0])).revision == 6
        assert len((await store.list_transitions(ids[0], cursor=None)).items) == 6
        assert not commit.done()
        disk.may_sync.set()
        await commit
        assert (await store.claim_by_id(ids[0])).revision == 7
        assert threading.get_ident() not in disk.threads

    async def test_what_arrives_meanwhile_is_one_batch(self, store, disk, ids):
        """Two syncs for twenty-one commits."""
        disk.is_syncing.clear()
        disk.may_sync.clear()
        first = asyncio.ensure_future(store.commit(a_commit(ids[0], 6)))
        await asyncio.to_thread(disk.is_syncing.wait)
        before = disk.syncs
        others = []
        for instance_id in ids[1:]:
            others.append(asyncio.ensure_future(store.commit(a_commit(instance_id, 1))))
            await asyncio.sleep(0)
        disk.may_sync.set()
        await asyncio.gather(first, *others)
        assert disk.syncs == before + 2

    async def test_a_disk_that_recovers_is_used_from_the_loop_again(self, store, disk, ids):
        """Nothing is faster there."""
        disk.seconds_per_sync = 0.0
        for base in range(6, 200):
            await store.commit(a_commit(ids[0], base))
        assert threading.get_ident() in disk.threads

    async def test_closing_waits_for_the_disk(self, store, disk, ids, open_sqlite):
        """What is being synced and what waits behind it are both written."""
        waiting = [asyncio.ensure_future(store.commit(a_commit(ids[0], 6)))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.append(asyncio.ensure_future(store.commit(a_commit(ids[0], 7))))
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*waiting)
        store = await open_sqlite()
        assert (await store.claim_by_id(ids[0])).revision == 8


async def test_a_bad_commit_costs_no_sync_of_its_own(store, disk, ids):
    """Nor does it take the good ones apart: they are still one batch."""
    before = disk.syncs
    commits = [a_commit(instance_id, 1) for instance_id in ids]
    commits[7] = a_commit(ids[7], 5)
    results = await asyncio.gather(*map(store.commit, commits), return_exceptions=True)
    assert sum(result is None for result in results) == len(ids) - 1
    assert disk.syncs == before + 1


class TestFull:
    async def test_commits_are_refused_and_reading_goes_on(self, store, disk, ids, fatal):
        """Nothing is written, and nothing else is wrong: that was certain, so the process lives."""
        disk.is_full = True
        commits = [a_commit(instance_id, 1) for instance_id in ids]
        results = await asyncio.gather(*map(store.commit, commits), return_exceptions=True)
        assert all(isinstance(result, Overloaded) for result in results)
        assert [(await store.claim_by_id(instance_id)).revision for instance_id in ids] == [1] * 20
        assert fatal == []

    async def test_commits_succeed_once_there_is_room(self, store, disk, ids):
        """Without a restart."""
        disk.is_full = True
        with pytest.raises(Overloaded):
            await store.commit(a_commit(ids[0], 1))
        disk.is_full = False
        await store.commit(a_commit(ids[0], 1))
        assert (await store.claim_by_id(ids[0])).revision == 2

    async def test_a_write_that_needs_too_much_room_fails_alone(self, store, ids, fatal):
        """A statement that finds no page is no failure of the disk; what is small still fits."""
        ground_id = (await store.claim_by_id(ids[0])).version
        machine = await store.machine(ground_id.organization_id, ground_id.machine_name)
        large = bytes(range(256)) * 4000

        def leave_little_room(connection):
            pages = connection.pragma("page_count")
            connection.pragma("max_page_count", pages + 10)

        await store._database.write(leave_little_room)
        upload = a_version(machine, "large")
        results = await asyncio.gather(
            store.commit(a_commit(ids[0], 1)),
            store.commit(large_commit(ids[1], large)),
            store.create_user(a_user("eve")),
            return_exceptions=True,
        )
        assert results[0] is None
        assert isinstance(results[1], Overloaded)
        assert results[2] is None
        assert (await store.claim_by_id(ids[0])).revision == 2
        assert (await store.claim_by_id(ids[1])).revision == 1
        await store.create_version(upload, CODE, make_current=False)
        assert fatal == []


def large_commit(instance_id, snapshot):
    """One with a snapshot of a megabyte."""
    commit = a_commit(instance_id, 1)
    return commit._replace(entries=(commit.entries[0]._replace(snapshot=snapshot),))


class TestBroken:
    async def test_a_failed_sync_of_a_commit_is_fatal(self, store, disk, ids, fatal):
        """Whether the commit is durable cannot be known: nobody is told that it is, and nothing more is written."""
        disk.is_broken = True
        with pytest.raises(CommitUncertain):
            await store.commit(a_commit(ids[0], 1))
        disk.is_broken = False
        assert [type(error) for error in fatal] == [CommitUncertain]
        with pytest.raises(CommitUncertain):
            await store.commit(a_commit(ids[1], 1))

    async def test_the_process_ends_by_default(self, tmp_path):
        """At once, with a status that says so, and with a word about why."""
        program = """
import asyncio, sys
from pathlib import Path
from statekeep.storage.sqlite.store import SqliteStore
from tests.support.builders import a_user
from tests.support.disks import Disk

async def main():
    disk = Disk()
    store = SqliteStore(Path(sys.argv[1]), vfs=disk.name)
    await store.open()
    disk.is_broken = True
    await store.create_user(a_user())
    print("still alive")

asyncio.run(main())
"""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(tmp_path / "data"), stdout=PIPE, stderr=STDOUT
        )
        output, _ = await process.communicate()
        assert process.returncode == EXIT_STATUS_FATAL
        assert b"the database failed in a commit" in output
        assert b"still alive" not in output


class TestSize:
    async def test_the_log_stays_small_under_steady_writes(self, open_sqlite, tmp_path):
        """It is written over while commits go on, not only when they pause."""
        store = await open_sqlite()
        ground = await lay_ground(store)
        instance_id = await create_instance(store, ground)
        log = tmp_path / "data" / f"{DATABASE_FILE_NAME}-wal"
        largest, snapshot = 0, bytes(40_000)
        for base in range(1, 1_001):
            commit = a_commit(instance_id, base)
            entry = commit.entries[0]._replace(snapshot=snapshot)
            await store.commit(commit._replace(entries=(entry,)))
            largest = max(largest, log.stat().st_size)
        # 40 MB were written; a checkpoint begins at 4 MB, and commits go on beside it.
        assert largest < 16 * 1024 * 1024

    async def test_a_closed_store_is_two_files(self, open_sqlite, tmp_path):
        """Beside the lock: what can be copied as a backup."""
        store = await open_sqlite()
        await lay_ground(store)
        await store.close()
        names = {path.name for path in (tmp_path / "data").iterdir()}
        assert names == {DATABASE_FILE_NAME, LOG_FILE_NAME, "statekeep.lock"}

"""What was awaited survives: the end of the store, of the process at any moment, and of the power."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from statekeep import crash_points
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.timer import TimerChanges
from statekeep.storage.sqlite.store import SqliteStore
from tests.support.builders import (
    CODE,
    a_commit,
    a_key,
    a_key_use,
    a_timer,
    create_instance,
    create_instances,
    lay_ground,
)
from tests.support.committing_process import ENTRIES
from tests.support.disks import Disk

ROOT = Path(__file__).parents[3]
INSTANCES = 8


async def test_everything_is_there_after_a_restart(open_sqlite):
    """The same claims, lists, keys and catalog."""
    store = await open_sqlite()
    ground = await lay_ground(store)
    owner = ground.machine.organization_id
    instance_id = await create_instance(store, ground)
    commit = a_commit(instance_id, 1, entries=3)._replace(
        due=("fetch",),
        timers=TimerChanges((a_timer(0),), ()),
        next_timer_seq=1,
        keys=(a_key_use(),),
    )
    await store.commit(commit)
    await store.set_status(instance_id, InstanceStatus.PAUSED)
    await store.create_key(a_key(owner), b"sealed")
    before = await store.claim_by_id(instance_id)
    transitions = await store.list_transitions(instance_id, cursor=None)
    await store.close()

    store = await open_sqlite()
    assert await store.claim(ground.key()) == before
    assert await store.list_transitions(instance_id, cursor=None) == transitions
    assert await store.find_key(instance_id, "k", now_ms=0) is not None
    assert await store.unsettled_instances(after=None, limit=10) == [instance_id]
    assert await store.machine(owner, ground.machine.name) == ground.machine
    assert await store.version_code(ground.version.id) == CODE
    assert await store.key(a_key(owner).id) == (a_key(owner), b"sealed")
    await store.commit(a_commit(instance_id, 4))
    assert (await store.claim_by_id(instance_id)).revision == 5


async def test_a_cursor_works_after_a_restart(open_sqlite):
    """Whoever reads a long list need not begin again."""
    store = await open_sqlite()
    ground = await lay_ground(store)
    await create_instances(store, ground, [f"i{number}" for number in range(150)])
    first = await store.list_instances(ground.machine.id, cursor=None)
    await store.close()
    store = await open_sqlite()
    second = await store.list_instances(ground.machine.id, cursor=first.cursor)
    assert len({info.name for info in [*first.items, *second.items]}) == 150


async def test_numbers_of_instances_are_not_used_again(open_sqlite):
    """Not even the number of an instance that was the newest and is deleted."""
    store = await open_sqlite()
    ground = await lay_ground(store)
    newest = (await create_instances(store, ground, ["one", "two", "three"]))[-1]
    await store.delete_instance(newest)
    await store.close()
    store = await open_sqlite()
    assert store.new_instance_id() > newest


async def test_closing_writes_what_waits(open_sqlite):
    """Commits that nobody has awaited yet are written, and their callers learn of it."""
    store = await open_sqlite()
    ground = await lay_ground(store)
    instance_id = await create_instance(store, ground)
    waiting = [store.commit(a_commit(instance_id, base)) for base in range(1, 10)]
    await store.close()
    assert all(future.done() and future.exception() is None for future in waiting)
    store = await open_sqlite()
    assert (await store.claim_by_id(instance_id)).revision == 10


async def test_closing_twice_is_no_error(open_sqlite):
    """Nor is closing what was never opened."""
    store = await open_sqlite()
    await store.close()
    await store.close()


@pytest.mark.parametrize("acknowledged", [1, 40, 400])
async def test_a_killed_process_loses_nothing_that_was_awaited(open_sqlite, tmp_path, acknowledged):
    """Killed at some moment in the midst of commits."""
    with start(tmp_path / "data") as process:
        told = [process.stdout.readline() for _ in range(acknowledged)]
        process.kill()
        told += process.stdout.readlines()
    await check(await open_sqlite(), told)


@pytest.mark.parametrize("hits", [1, 2, 50])
async def test_a_batch_that_was_not_committed_did_not_happen(open_sqlite, tmp_path, hits):
    """Killed with everything written but the COMMIT: each instance stands where it was last told to stand."""
    with start(tmp_path / "data", crash_points.BEFORE_COMMIT, str(hits)) as process:
        told = process.stdout.readlines()
    assert process.returncode == -9
    revisions = await check(await open_sqlite(), told)
    assert revisions == last_told(told)


@pytest.mark.parametrize(
    ("count", "snapshot_bytes"),
    [pytest.param(20, 100, id="before any checkpoint"), pytest.param(80, 200_000, id="after some")],
)
async def test_a_loss_of_power_loses_nothing_that_was_awaited(tmp_path, count, snapshot_bytes):
    """All that is left is what was synced: files as they were at their last sync."""
    directory = tmp_path / "left"
    directory.mkdir()
    disk = Disk(synced_copy=directory)
    store = SqliteStore(tmp_path / "data", vfs=disk.name)
    await store.open()
    instance_id = await create_instance(store, await lay_ground(store))
    for base in range(1, count):
        commit = a_commit(instance_id, base)
        entry = commit.entries[0]._replace(snapshot=bytes(snapshot_bytes))
        await store.commit(commit._replace(entries=(entry,)))
    disk.synced_copy = None
    await store.close()
    left = SqliteStore(directory)
    await left.open()
    claimed = await left.claim_by_id(instance_id)
    assert claimed is not None
    assert claimed.revision == count
    assert len((await left.list_transitions(instance_id, cursor=None)).items) == count
    await left.close()


def start(directory, *crash):
    """The process that commits, on several instances."""
    command = [sys.executable, "-m", "tests.support.committing_process"]
    return subprocess.Popen(
        [*command, str(directory), str(INSTANCES), *crash],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def last_told(told):
    """The newest revision of each instance that the process told of."""
    newest = dict.fromkeys(range(1, INSTANCES + 1), 1)
    for line in told:
        instance_id, revision = map(int, line.split())
        newest[instance_id] = revision
    return newest


async def check(store, told):
    """All that was told is there, every commit is there whole or not at all; returns revisions."""
    revisions = {}
    for instance_id, revision in last_told(told).items():
        claimed = await store.claim_by_id(instance_id)
        assert claimed.revision >= revision
        assert claimed.revision % ENTRIES == 1
        timers = [claimed.revision - ENTRIES] if claimed.revision > 1 else []
        assert [timer.seq for timer in claimed.timers] == timers
        transitions = (await store.list_transitions(instance_id, cursor=None)).items
        newest = range(claimed.revision, max(0, claimed.revision - 100), -1)
        assert [transition.revision for transition in transitions] == list(newest)
        for used in range(1, claimed.revision, ENTRIES):
            assert await store.find_key(instance_id, f"k{used}", now_ms=0) is not None
        assert await store.find_key(instance_id, f"k{claimed.revision}", now_ms=0) is None
        revisions[instance_id] = claimed.revision
    return revisions

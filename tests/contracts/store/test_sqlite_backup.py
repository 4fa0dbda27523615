"""A copy of the database holds everything that was durable, whatever goes on meanwhile."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from statekeep.ports.store import BackupFailed
from statekeep.storage.sqlite import backup as backup_module
from statekeep.storage.sqlite.backup import back_up
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME
from statekeep.storage.sqlite.store import SqliteStore
from tests.support.builders import a_commit, an_entry, create_instances, lay_ground

ROOT = Path(__file__).parents[3]
NAMES = [f"i{number}" for number in range(5)]


@pytest.fixture
async def opened(open_sqlite):
    store = await open_sqlite()
    ground = await lay_ground(store)
    return store, ground, await create_instances(store, ground, NAMES)


async def restored(tmp_path, copy):
    """A store on the copy."""
    folder = tmp_path / "restored"
    folder.mkdir()
    copy.rename(folder / DATABASE_FILE_NAME)
    store = SqliteStore(folder)
    await store.open()
    return store


async def test_a_copy_made_under_load_is_the_store_at_one_moment(opened, tmp_path, monkeypatch):
    """What was awaited before is in it; of what follows, of each instance what came first; and it takes commits at once."""
    monkeypatch.setattr(backup_module, "PAGES_AT_ONCE", 1)
    store, _, ids = opened
    revisions = dict.fromkeys(ids, 1)
    copy = tmp_path / "copy.db"
    is_over = asyncio.Event()

    async def commit_on(number):
        while not is_over.is_set():
            entry = an_entry(revisions[number] + 1, snapshot=b'"%d"' % (10**3_000))
            await store.commit(a_commit(number, revisions[number])._replace(entries=(entry,)))
            revisions[number] += 1
            await asyncio.sleep(0)

    committing = [asyncio.ensure_future(commit_on(number)) for number in ids]
    while min(revisions.values()) < 20:  # noqa: ASYNC110 - the commits are what is waited for
        await asyncio.sleep(0)
    before = dict(revisions)
    size = await asyncio.to_thread(back_up, tmp_path / "data", copy)
    # Each may have one that is durable and not told yet.
    during = {number: revision + 1 for number, revision in revisions.items()}
    is_over.set()
    await asyncio.gather(*committing)
    assert all(during[number] > before[number] + 1 for number in ids), "nobody waited for the copy"
    assert size == copy.stat().st_size
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["copy.db"]
    other = await restored(tmp_path, copy)
    for number in ids:
        claimed = await other.claim_by_id(number)
        assert before[number] <= claimed.revision <= during[number]
        portions = [part async for part in other.transitions_after(number, 0)]
        assert sum(map(len, portions)) == claimed.revision
        await other.commit(a_commit(number, claimed.revision))
    await other.close()


async def test_only_its_owner_may_read_it(opened, tmp_path):
    """It has everything in it."""
    old = os.umask(0)
    try:
        back_up(tmp_path / "data", tmp_path / "copy.db")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600


async def test_a_store_that_is_closed_can_be_copied(opened, tmp_path):
    """And opens as before."""
    store, ground, ids = opened
    await store.close()
    back_up(tmp_path / "data", tmp_path / "copy.db")
    other = await restored(tmp_path, tmp_path / "copy.db")
    assert (await other.claim(ground.key("i3"))).id == ids[3]
    await other.close()


def killed_amid_commits(folder):
    """A process that commits there until it is killed; the revisions that it has told of."""
    command = [sys.executable, "-m", "tests.support.committing_process", folder, "3"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told: dict[int, int] = {}
        while sum(told.values()) < 300:
            number, revision = map(int, process.stdout.readline().split())
            told[number] = revision
        process.kill()
    return told


async def test_a_store_whose_process_was_killed_can_be_copied(tmp_path):
    """The log that it has left counts."""
    told = killed_amid_commits(tmp_path / "data")
    back_up(tmp_path / "data", tmp_path / "copy.db")
    other = await restored(tmp_path, tmp_path / "copy.db")
    for number, revision in told.items():
        assert (await other.claim_by_id(number)).revision >= revision
    await other.close()


async def test_what_is_there_is_not_written_over(opened, tmp_path):
    """A backup must not cost another one."""
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(BackupFailed, match="exists already"):
        back_up(tmp_path / "data", tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


async def test_what_may_be_replaced_is(opened, tmp_path):
    """By a whole copy; but never a database with a log of its own, such as that of a server that runs."""
    copy, log = tmp_path / "copy.db", tmp_path / "copy.db-wal"
    copy.write_text("stale")
    log.write_text("log")
    with pytest.raises(BackupFailed, match="may be in use"):
        back_up(tmp_path / "data", copy, overwrite=True)
    with pytest.raises(BackupFailed, match="may be in use"):
        back_up(tmp_path / "data", tmp_path / "data" / DATABASE_FILE_NAME, overwrite=True)
    assert copy.read_text() == "stale"
    log.unlink()
    assert back_up(tmp_path / "data", copy, overwrite=True) > 0
    _, ground, ids = opened
    other = await restored(tmp_path, copy)
    assert (await other.claim(ground.key("i3"))).id == ids[3]
    await other.close()


async def test_what_failed_leaves_nothing(opened, tmp_path, monkeypatch):
    """And says why; what a backup that was killed has left does not matter."""
    with pytest.raises(BackupFailed, match="no database"):
        back_up(tmp_path / "none", tmp_path / "copy.db")
    assert not (tmp_path / "none").exists()
    with pytest.raises(BackupFailed, match="No such file"):
        back_up(tmp_path / "data", tmp_path / "none" / "copy.db")

    def fail(*_):
        raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(backup_module, "_copy_pages", fail)
        with pytest.raises(BackupFailed, match="disk is full"):
            back_up(tmp_path / "data", tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    (tmp_path / "copy.db.part").write_text("half")
    assert back_up(tmp_path / "data", tmp_path / "copy.db") > 0
    assert not (tmp_path / "copy.db.part").exists()

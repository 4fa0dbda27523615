"""Who may open the database, who may read its files, and which databases are understood."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE

import apsw
import pytest

from statekeep.ports.store import StoreBusy, StoreTooNew, StoreUnusable
from statekeep.storage.schema import SchemaStep
from statekeep.storage.sqlite.connection import (
    DATABASE_FILE_NAME,
    SCHEMA_STEPS,
    open_checkpointer,
    open_reader,
    open_writer,
)
from tests.support.builders import a_user, lay_ground


class TestPossession:
    async def test_a_second_store_is_refused(self, open_sqlite, tmp_path):
        """The message says who has the directory, and what to do."""
        first = await open_sqlite()
        with pytest.raises(StoreBusy) as refusal:
            await open_sqlite()
        message = str(refusal.value)
        assert f"process {os.getpid()}" in message
        assert str(tmp_path / "data") in message
        await first.create_user(a_user())

    async def test_a_closed_store_can_be_opened_by_another(self, open_sqlite):
        """At once."""
        await (await open_sqlite()).close()
        await open_sqlite()

    async def test_a_refused_store_can_be_opened_later(self, open_sqlite):
        """It kept nothing open."""
        first = await open_sqlite()
        with pytest.raises(StoreBusy):
            await open_sqlite()
        await first.close()
        await open_sqlite()

    async def test_another_process_is_refused_until_the_first_is_killed(
        self, open_sqlite, tmp_path
    ):
        """The lock goes with the process, however it ends."""
        program = """
import asyncio, sys
from pathlib import Path
from statekeep.storage.sqlite.store import SqliteStore

async def main():
    await SqliteStore(Path(sys.argv[1])).open()
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(tmp_path / "data"), stdin=PIPE, stdout=PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"open\n"
        with pytest.raises(StoreBusy) as refusal:
            await open_sqlite()
        assert f"process {process.pid}" in str(refusal.value)
        process.kill()
        await process.wait()
        await open_sqlite()


class TestPrivacy:
    async def test_nobody_else_can_read_the_files(self, open_sqlite, tmp_path):
        """Whatever the umask is. Not those beside the database either."""
        mask = os.umask(0)
        try:
            store = await open_sqlite()
            await store.create_user(a_user())
            directory = tmp_path / "data"
            modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
        finally:
            os.umask(mask)
        assert len(modes) == 7
        assert set(modes.values()) == {0o600}
        assert directory.stat().st_mode & 0o777 == 0o700


class TestSchema:
    async def test_a_database_of_a_later_release_is_refused(self, open_sqlite, tmp_path):
        """The message says what to do; the database is not touched, and can be opened by what knows it."""
        await (await open_sqlite()).close()
        path = tmp_path / "data" / DATABASE_FILE_NAME
        set_version(path, 1_000)
        before = path.read_bytes()
        with pytest.raises(StoreTooNew) as refusal:
            await open_sqlite()
        assert isinstance(refusal.value, StoreUnusable)
        assert "later release" in str(refusal.value)
        assert path.read_bytes() == before
        set_version(path, len(SCHEMA_STEPS))
        await open_sqlite()

    async def test_an_older_database_takes_the_steps_it_lacks(self, open_sqlite, tmp_path):
        """In order, and keeps what it has."""
        store = await open_sqlite()
        ground = await lay_ground(store)
        await store.close()
        path = tmp_path / "data" / DATABASE_FILE_NAME
        more = [
            step(1, "ALTER TABLE users ADD COLUMN nick TEXT; CREATE TABLE notes (x) STRICT_"),
            step(2, "UPDATE users SET nick = email || '@'; CREATE INDEX nicks ON users (nick)"),
        ]
        more[0] = more[0]._replace(sql=more[0].sql.replace("(x) STRICT_", "(x TEXT) STRICT"))
        open_writer(path, steps=[*SCHEMA_STEPS, *more]).close()
        connection = apsw.Connection(str(path))
        assert connection.pragma("user_version") == len(SCHEMA_STEPS) + 2
        assert connection.execute("SELECT nick FROM users").get == "admin of acme@example.com@"
        name = connection.execute("SELECT name FROM machines").get
        assert name == ground.machine.name
        connection.close()

    async def test_a_step_that_fails_leaves_the_database_as_it_was(self, open_sqlite, tmp_path):
        """Steps before it count; nothing of it does."""
        await (await open_sqlite()).close()
        path = tmp_path / "data" / DATABASE_FILE_NAME
        good = step(1, "CREATE TABLE good (x TEXT)")
        bad = step(2, "CREATE TABLE half (x TEXT); INSERT INTO nowhere VALUES (1)")
        with pytest.raises(apsw.SQLError):
            open_writer(path, steps=[*SCHEMA_STEPS, good, bad])
        connection = apsw.Connection(str(path))
        assert connection.pragma("user_version") == len(SCHEMA_STEPS) + 1
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        assert "good" in tables
        assert "half" not in tables
        connection.close()


def step(beyond, sql):
    """One that a later release may have."""
    number = len(SCHEMA_STEPS) + beyond
    return SchemaStep(number, "later", sql)


def set_version(path, version):
    """As if another release had been there."""
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", version)
    connection.close()


class TestSettings:
    def test_a_commit_waits_for_the_disk(self, tmp_path):
        """On every connection, with the log checkpointed by nobody but us."""
        path = tmp_path / DATABASE_FILE_NAME
        for open_one in (open_writer, open_reader, open_checkpointer):
            connection = open_one(path)
            assert connection.pragma("journal_mode") == "wal"
            assert connection.pragma("synchronous") == 2
            assert connection.pragma("wal_autocheckpoint") == 0
            assert connection.pragma("cache_size") < -10_000
            connection.close()

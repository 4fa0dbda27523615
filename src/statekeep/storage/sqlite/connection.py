"""How the database file is opened: one connection writes, others read.

WAL with a synchronous COMMIT, so that what was committed survives a loss of power. Checkpoints are made by `checkpoint.py` alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apsw

from statekeep.storage.schema import SchemaStep, load_schema_steps, missing_steps

DATABASE_FILE_NAME: Final = "statekeep.db"
SCHEMA_STEPS: Final = load_schema_steps(__package__)
LOG_SCHEMA_STEPS: Final = load_schema_steps(f"{__package__}.log_file")

WRITER_CACHE_KIB: Final = 64 * 1024
READER_CACHE_KIB: Final = 16 * 1024

WAL_FILE_BYTES_KEPT: Final = 64 * 1024 * 1024
"""A log that grew beyond (a large upload, a backup that read for long) is cut back to this."""

LOG_CACHE_KIB: Final = 4 * 1024
LOG_CHECKPOINT_PAGES: Final = 1_000

BUSY_TIMEOUT_MS: Final = 2_000
"""For people with the `sqlite3` shell: within this process nobody waits for anybody."""


def open_writer(
    path: Path, *, vfs: str | None = None, steps: Sequence[SchemaStep] = SCHEMA_STEPS
) -> apsw.Connection:
    """The connection that writes. Creates the database and brings its schema up to date. Raises StoreTooNew."""
    _create_private(path)
    connection = _open(path, WRITER_CACHE_KIB, vfs)
    try:
        _bring_up_to_date(connection, steps)
    except BaseException:
        connection.close()
        raise
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def open_reader(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """A connection that reads what is committed, undisturbed by the writer."""
    connection = _open(path, READER_CACHE_KIB, vfs)
    connection.execute("PRAGMA query_only = ON")
    return connection


def open_checkpointer(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """A connection that does nothing but checkpoints."""
    return _open(path, READER_CACHE_KIB, vfs)


def open_log_writer(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """The connection that writes log entries, into a file of their own. A commit is not synced: a loss of power may cost the last ones,
    and no more. Checkpoints are made by whoever commits. Raises StoreTooNew."""
    _create_private(path)
    connection = _open(path, LOG_CACHE_KIB, vfs)
    try:
        connection.pragma("synchronous", "NORMAL")
        connection.pragma("wal_autocheckpoint", LOG_CHECKPOINT_PAGES)
        _bring_up_to_date(connection, LOG_SCHEMA_STEPS)
    except BaseException:
        connection.close()
        raise
    return connection


def open_log_reader(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """A connection that reads log entries."""
    connection = _open(path, LOG_CACHE_KIB, vfs)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _create_private(path: Path) -> None:
    """SQLite gives the files beside it the mode of the database."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _open(path: Path, cache_kib: int, vfs: str | None) -> apsw.Connection:
    connection = apsw.Connection(str(path), vfs=vfs)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    # Without it SQLite plans a query again whenever a parameter that might matter for the plan has another value: claims took 60 us, not 6.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    # All rows are fetched: statements behind one that has an answer would not run otherwise.
    connection.execute(f"""
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA fullfsync = ON;
        PRAGMA checkpoint_fullfsync = ON;
        PRAGMA wal_autocheckpoint = 0;
        PRAGMA journal_size_limit = {WAL_FILE_BYTES_KEPT};
        PRAGMA cache_size = -{cache_kib};
    """).fetchall()
    return connection


def _bring_up_to_date(connection: apsw.Connection, steps: Sequence[SchemaStep]) -> None:
    for step in missing_steps(steps, connection.pragma("user_version")):
        # The version moves in the transaction of its step: a crash leaves the database before it or after it.
        with connection:
            connection.execute(step.sql).fetchall()
            connection.pragma("user_version", step.number)

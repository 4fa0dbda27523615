"""Copying the database while somebody writes it.

The copy is made in one reading transaction, so it is the database as it was at one moment, whatever is committed meanwhile; nobody waits for it. It needs no
possession of the folder: SQLite's own locks keep it from seeing half a transaction, also from another process, and it writes nothing of the original.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import apsw

from statekeep.ports.store import BackupFailed
from statekeep.storage.sqlite.connection import BUSY_TIMEOUT_MS, DATABASE_FILE_NAME

PAGES_AT_ONCE: Final = 4_096
"""16 MB, after which Ctrl-C is heard."""


def back_up(directory: Path, file: Path, *, overwrite: bool = False) -> int:
    """Copy the database in `directory` to `file`, which only its owner may read; returns its size in bytes.

    Everything that was durable before the call is in the copy, which has been checked and is itself durable. Where anything goes wrong there is no `file`, or the one of before.
    Raises BackupFailed: there is no database or no room, or `file` exists and may not be replaced.
    """
    _require_free(file, overwrite=overwrite)
    database = directory / DATABASE_FILE_NAME
    if not database.exists():
        raise BackupFailed(f"there is no database in {directory}: name the server's --data-dir")
    partial = file.with_name(f"{file.name}.part")
    try:
        _create_private(partial)
        try:
            _copy(database, partial)
            _sync(partial)
            partial.rename(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync(file.parent)
    except apsw.Error as error:
        raise BackupFailed(f"the backup failed: {error}") from error
    except OSError as error:
        raise BackupFailed(f"cannot write {file}: {error.strerror}") from error
    return file.stat().st_size


def _require_free(file: Path, *, overwrite: bool) -> None:
    if not file.exists():
        return
    if not overwrite:
        raise BackupFailed(f"{file} exists already: choose another name, or move it away")
    # SQLite would take the log of the database that is replaced for the copy's own. A server has one as long as it runs.
    for log in (file.with_name(file.name + suffix) for suffix in ("-wal", "-journal")):
        if log.exists():
            raise BackupFailed(
                f"{file} may be in use, since there is {log}: choose another name, or move both away"
            )


def _create_private(path: Path) -> None:
    # What a backup before this one has left when it was killed.
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _copy(database: Path, path: Path) -> None:
    source = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    source.set_busy_timeout(BUSY_TIMEOUT_MS)
    copy = apsw.Connection(str(path))
    try:
        # Until the file is whole it has another name: a journal and syncs on the way would be for nothing.
        copy.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").fetchall()
        _copy_pages(source, copy)
        # One file that needs no other beside it, until a server opens it.
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        found = copy.execute("PRAGMA quick_check(1)").get
        if found != "ok":
            raise BackupFailed(f"the copy is damaged, and so the database may be: {found}")
    finally:
        copy.close()
        source.close()


def _copy_pages(source: apsw.Connection, copy: apsw.Connection) -> None:
    # The transaction holds the moment still. Without it the copy would begin again after every commit of somebody else.
    source.execute("BEGIN")
    assert source.execute("SELECT count(*) FROM sqlite_schema").get
    with copy.backup("main", source, "main") as backup:
        while not backup.step(PAGES_AT_ONCE):
            pass


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)

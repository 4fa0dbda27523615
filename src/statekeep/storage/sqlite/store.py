"""The store on one machine, in one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from statekeep.ports.metrics import Metrics
from statekeep.ports.store import Store
from statekeep.storage.sqlite.catalog import SqliteCatalog
from statekeep.storage.sqlite.database import Database, exit_at_once
from statekeep.storage.sqlite.instances import SqliteInstances


class SqliteStore(SqliteInstances, SqliteCatalog, Store):
    """Keeps everything in `directory`, which it creates where there is none, readable by nobody else.

    `on_fatal` is called when a COMMIT fails so that nobody can know whether it happened; it should not return, and if it does, nothing can
    be written any more.
    """

    def __init__(
        self,
        directory: Path,
        *,
        on_fatal: Callable[[Exception], None] = exit_at_once,
        vfs: str | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(Database(directory, on_fatal=on_fatal, vfs=vfs, metrics=metrics))

    @property
    def writes_waiting(self) -> int:
        """Writes that no transaction has begun with."""
        return self._database.writer.waiting

    def sizes_bytes(self) -> tuple[int, int]:
        """Of the database file and of its log (WAL), as they lie on the disk."""
        return self._database.sizes_bytes()

    async def open(self) -> None:
        await self._database.open()
        await self._open_instances()

    async def close(self) -> None:
        await self._database.close()

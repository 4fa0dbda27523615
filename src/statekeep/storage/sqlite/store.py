"""The store on one machine, in one file, and log entries in another beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from statekeep.ports.metrics import Metrics
from statekeep.ports.store import Store
from statekeep.storage.sqlite.bulk_upgrades import SqliteBulkUpgrades
from statekeep.storage.sqlite.catalog import SqliteCatalog
from statekeep.storage.sqlite.database import Database, exit_at_once
from statekeep.storage.sqlite.indexes import SqliteIndexes
from statekeep.storage.sqlite.instances import SqliteInstances
from statekeep.storage.sqlite.log_file.file import LogFile
from statekeep.storage.sqlite.log_file.logs import SqliteLogs
from statekeep.storage.sqlite.transfers import SqliteTransfers


class SqliteStore(
    SqliteInstances,
    SqliteCatalog,
    SqliteIndexes,
    SqliteTransfers,
    SqliteLogs,
    SqliteBulkUpgrades,
    Store,
):
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
        self._log_file = LogFile(directory, vfs=vfs)

    @property
    def writes_waiting(self) -> int:
        """Writes that no transaction has begun with."""
        return self._database.writer.waiting

    def sizes_bytes(self) -> tuple[int, int]:
        """Of the database file and of its log (WAL), as they lie on the disk."""
        return self._database.sizes_bytes()

    async def open(self) -> None:
        await self._database.open()
        try:
            # Only now is the directory ours.
            self._log_file.open()
        except BaseException:
            await self._database.close()
            raise
        self._open_instances()

    async def close(self) -> None:
        await self._close_instances()
        self._log_file.close()
        await self._database.close()

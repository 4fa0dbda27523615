"""The database as the store uses it: three ways to reach it, and the order in which it opens and closes.

Small reads run on the event loop: a few microseconds, less than a thread would cost. Whatever reads many rows or large ones runs on a thread
with a connection of its own. Everything that writes goes through the writer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import structlog

from statekeep.ports.metrics import Metrics
from statekeep.storage.sqlite.checkpoint import Checkpointer
from statekeep.storage.sqlite.connection import (
    DATABASE_FILE_NAME,
    open_checkpointer,
    open_reader,
    open_writer,
)
from statekeep.storage.sqlite.possession import Possession
from statekeep.storage.sqlite.transaction import Transactions
from statekeep.storage.sqlite.writer import Writer

_log = structlog.get_logger(__name__)

EXIT_STATUS_FATAL: Final = 70

_KEPT_MAX: Final = 1_000
"""Machines and versions that need not be read again. Then all are."""

Result = TypeVar("Result")
Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any]


def exit_at_once(error: Exception) -> None:
    """End the process without another word to anybody: whether the last writes are durable cannot be known, the next start will see."""
    _log.critical("the database failed in a commit; exiting", error=str(error))
    os._exit(EXIT_STATUS_FATAL)


class Database:
    """Open between `open` and `close`. `vfs` names one of SQLite's file systems other than the usual."""

    def __init__(
        self,
        directory: Path,
        *,
        on_fatal: Callable[[Exception], None],
        vfs: str | None,
        metrics: Metrics | None = None,
    ) -> None:
        self._directory = directory
        self._on_fatal = on_fatal
        self._vfs = vfs
        self._metrics = metrics
        self._resources = ExitStack()
        self._writer: Writer | None = None
        self._kept: dict[Hashable, Any] = {}
        self._kept_since = 0

    async def open(self) -> None:
        """Raises StoreBusy or StoreTooNew, with nothing left open."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as resources:
            self._open(resources)
            self._resources = resources.pop_all()

    def _open(self, resources: ExitStack) -> None:
        possession = Possession(self._directory)
        possession.take()
        resources.callback(possession.release)
        path = self._directory / DATABASE_FILE_NAME
        # Closed last: the last connection that closes moves the log into the file and removes it.
        writing = open_writer(path, vfs=self._vfs)
        resources.callback(writing.close)
        self._reading = open_reader(path, vfs=self._vfs)
        resources.callback(self._reading.close)
        self._row_cursor = self._reading.cursor()
        self._scanning = open_reader(path, vfs=self._vfs)
        resources.callback(self._scanning.close)
        self._scanner = ThreadPoolExecutor(1, "statekeep-scanner")
        resources.callback(self._scanner.shutdown)
        writer = Writer(Transactions(writing), on_fatal=self._on_fatal, metrics=self._metrics)
        checkpointing = open_checkpointer(path, vfs=self._vfs)
        checkpointer = Checkpointer(writing, checkpointing, writer.run_between)
        resources.callback(checkpointer.close)
        writer.after_batch = checkpointer.consider
        self._writer = writer

    async def close(self) -> None:
        """Write what waits, then let go. Safe to call twice."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()
        self._resources.close()

    def sizes_bytes(self) -> tuple[int, int]:
        """Of the database file and of its log, as they lie on the disk."""
        path = self._directory / DATABASE_FILE_NAME
        return _size_of(path), _size_of(path.with_name(f"{path.name}-wal"))

    @property
    def writer(self) -> Writer:
        """Where everything goes that writes."""
        assert self._writer is not None, "the store is not open"
        return self._writer

    def new_reader(self) -> apsw.Connection:
        """Another connection that reads, for something that takes its time. Whoever asks for it closes it."""
        return open_reader(self._directory / DATABASE_FILE_NAME, vfs=self._vfs)

    @property
    def log_bytes(self) -> int:
        """Size of the log beside the database."""
        try:
            return (self._directory / f"{DATABASE_FILE_NAME}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def write(
        self, work: Callable[[apsw.Connection], Result], *, is_long: bool = False
    ) -> asyncio.Future[Result]:
        """See Writer.write."""
        return self.writer.write(work, is_long=is_long)

    def read_row(self, query: str, parameters: Parameters) -> Row | None:
        """The first row, read at once. All rows are fetched, so that no reading transaction stays open."""
        rows = self._row_cursor.execute(query, parameters).fetchall()
        return rows[0] if rows else None

    def keep(self, key: Hashable, read: Callable[[], Result]) -> Result:
        """What `read` finds, without reading it again until something else than commits was written: for what no commit changes.

        Whoever wrote it was not told so before, thus nobody can tell it from what was read a moment earlier.
        """
        if self._kept_since != self.writer.changes or len(self._kept) >= _KEPT_MAX:
            self._kept_since = self.writer.changes
            self._kept.clear()
        found: Result | None = self._kept.get(key)
        if found is None:
            found = read()
            if found is not None:
                # Whoever asks for what there is not takes no place from what there is.
                self._kept[key] = found
        return found

    def read(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """Several small reads of one state of the database, at once."""
        return _in_one_state(self._reading, work)

    async def scan(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """Long or large reads of one state of the database, on a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._scanner, _in_one_state, self._scanning, work)

    async def scan_rows(self, query: str, parameters: Parameters) -> list[Row]:
        """The rows of one long read."""
        return await self.scan(lambda connection: connection.execute(query, parameters).fetchall())


def _in_one_state(connection: apsw.Connection, work: Callable[[apsw.Connection], Result]) -> Result:
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        connection.execute("COMMIT")


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

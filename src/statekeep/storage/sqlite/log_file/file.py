"""The file of log entries as the store uses it: one thread that writes, one that reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

import apsw

from statekeep.storage.sqlite.connection import open_log_reader, open_log_writer
from statekeep.storage.sqlite.errors import in_words_of_port

LOG_FILE_NAME: Final = "logs.db"

Result = TypeVar("Result")
Work = Callable[[apsw.Connection], Result]


class LogFile:
    """Open between `open` and `close`. Belongs to whoever has the database beside it."""

    def __init__(self, directory: Path, *, vfs: str | None) -> None:
        self._path = directory / LOG_FILE_NAME
        self._vfs = vfs
        self._resources = ExitStack()

    def open(self) -> None:
        """Raises StoreTooNew, with nothing left open."""
        with ExitStack() as resources:
            self._writing = open_log_writer(self._path, vfs=self._vfs)
            resources.callback(self._writing.close)
            self._reading = open_log_reader(self._path, vfs=self._vfs)
            resources.callback(self._reading.close)
            self._writer = ThreadPoolExecutor(1, "statekeep-log-writer")
            resources.callback(self._writer.shutdown)
            self._reader = ThreadPoolExecutor(1, "statekeep-log-reader")
            resources.callback(self._reader.shutdown)
            self._resources = resources.pop_all()

    def close(self) -> None:
        """Finish what was begun, then let go. Safe to call twice."""
        self._resources.close()

    async def write(self, work: Work[Result]) -> Result:
        """All that `work` does or, where it raises, nothing of it. Raises Overloaded where there is no room."""
        return await self._run(self._writer, lambda: _in_transaction(self._writing, work))

    async def read(self, work: Work[Result]) -> Result:
        """What `work` finds."""
        return await self._run(self._reader, lambda: work(self._reading))

    async def _run(self, thread: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(thread, work)


def _in_transaction(connection: apsw.Connection, work: Work[Result]) -> Result:
    try:
        connection.execute("BEGIN IMMEDIATE")
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException as error:
        # SQLite has already rolled back after some errors.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, Exception):
            raise in_words_of_port(error) from error
        raise
    return result

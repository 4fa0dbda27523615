"""Checkpoints: what the log holds goes into the database file, so that the log can begin again.

The log must not grow without end and must not be cut either: a sync of a file that keeps its size takes two thirds of the time of one that
grows. So it is checkpointed while small and written over. Most of the work is done beside the writer, on a thread with a connection of its own; what
was committed meanwhile is little, and the writer checkpoints it between two transactions. Only then, with nothing left in it, is the log
written from its beginning again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import apsw
import structlog

_log = structlog.get_logger(__name__)

WAL_PAGES: Final = 1_000
"""4 MB. Larger logs save nothing where instances are many and make the checkpoints longer."""


class Checkpointer:
    """Watches the log of `writer`. `run_between` runs something on the writer's connection when no transaction is open."""

    def __init__(
        self,
        writer: apsw.Connection,
        own: apsw.Connection,
        run_between: Callable[[Callable[[], None]], None],
    ) -> None:
        self._writer = writer
        self._own = own
        self._run_between = run_between
        self._loop = asyncio.get_running_loop()
        self._thread: Final = ThreadPoolExecutor(1, "statekeep-checkpoint")
        self._pages = 0
        self._due_at_pages = WAL_PAGES
        self._is_running = False
        writer.set_wal_hook(self._note)

    def consider(self) -> None:
        """Begin a checkpoint if it is time for one. Called on the event loop after every batch."""
        if self._pages < self._due_at_pages or self._is_running:
            return
        self._is_running = True
        beside = self._loop.run_in_executor(self._thread, self._checkpoint, self._own)
        beside.add_done_callback(lambda _: self._run_between(self._finish))

    def close(self) -> None:
        """Wait for what runs, and close the own connection."""
        self._thread.shutdown()
        self._own.close()

    def _note(self, connection: apsw.Connection, database: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def _finish(self) -> None:
        left = self._checkpoint(self._writer)
        # A reader that does not end keeps pages in the log. Then wait until as much again has been added.
        self._due_at_pages = WAL_PAGES if left == 0 else self._pages + WAL_PAGES
        self._is_running = False

    def _checkpoint(self, connection: apsw.Connection) -> int:
        """Returns how many pages could not be moved."""
        try:
            logged, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            # Nothing is lost, the log just grows on: the disk is full, or a program outside is at work.
            _log.warning("checkpoint failed", error=str(error))
            return self._pages
        return logged - moved

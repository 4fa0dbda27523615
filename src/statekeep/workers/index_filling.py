"""Fills indexes of existing instances, machine by machine, beside everything else.

What is to be filled stands in the store, so that a restart goes on where the last server ended.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from statekeep.application.index_filling import IndexFiller
from statekeep.domain.index import IndexFill
from statekeep.ports.store import IndexStore

_log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
"""Before the same is tried again after the store has failed."""


class IndexFilling:
    """Looks for unfinished fills at the start, and whenever it is told that there may be one."""

    def __init__(self, store: IndexStore, filler: IndexFiller) -> None:
        self._store = store
        self._filler = filler
        self._is_wanted = asyncio.Event()
        self._is_wanted.set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin. Returns before anything is filled."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leave the rest for the next start. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """There may be something to fill."""
        self._is_wanted.set()

    async def _run(self) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            try:
                await self.fill_all()
            except Exception:
                _log.exception("indexes could not be filled; trying again")
                self._is_wanted.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def fill_all(self) -> None:
        """Finish every fill that there is. Raises what the store raises, with the progress kept."""
        after = 0
        while (fill := await self._store.next_index_fill(after=after)) is not None:
            await self._fill(fill)
            after = fill.machine_id

    async def _fill(self, fill: IndexFill) -> None:
        left = await self._filler.begin(fill)
        while left is not None:
            left = await self._filler.advance(left)
            # Residents are indexed without a pause where nothing has to be written: let others get a word in.
            await asyncio.sleep(0)

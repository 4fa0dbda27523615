"""Fills indexes of existing instances, machine by machine, beside everything else.

What is to be filled stands in the store, so that a restart goes on where the last server ended.
"""

from __future__ import annotations

import asyncio

from statekeep.application.index_filling import IndexFiller
from statekeep.domain.index import IndexFill
from statekeep.ports.store import IndexStore
from statekeep.workers.worker import Worker


class IndexFilling(Worker):
    """Looks for unfinished fills at the start, and whenever it is told that there may be one."""

    task = "indexes could not be filled"

    def __init__(self, store: IndexStore, filler: IndexFiller) -> None:
        super().__init__()
        self._store = store
        self._filler = filler

    async def work(self) -> None:
        """Fill what there is to fill."""
        await self.fill_all()

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

"""Removes what machines do not keep any longer, journal by journal."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from statekeep.domain.limits import RETENTION_INSTANCES_AT_ONCE, RETENTION_INTERVAL
from statekeep.domain.names import InstanceId
from statekeep.domain.retention import JournalBounds, cut_due
from statekeep.ports.clock import Clock
from statekeep.ports.store import Store

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = RETENTION_INTERVAL.total_seconds()


class RetentionWorker:
    """Looks at the start, whenever it is woken and every ten minutes. `default` is for machines for which nothing was chosen."""

    def __init__(self, store: Store, clock: Clock, *, default: JournalBounds) -> None:
        self._store = store
        self._clock = clock
        self._default = default
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leave the rest for the next start. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Something else may have to go now."""
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self.sweep()
            except Exception:
                _log.exception("what is not kept any longer could not be removed")
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL_SECONDS):
                    await self._changed.wait()

    async def sweep(self) -> int:
        """Remove what does not have to be kept by now; returns how many entries that were."""
        count, last = 0, 0
        while True:
            page = await self._store.machine_retentions(
                after=last, limit=RETENTION_INSTANCES_AT_ONCE
            )
            for machine_id, chosen in page:
                bounds = chosen.journal or self._default
                if not bounds.is_unbounded:
                    count += await self._sweep_machine(machine_id, bounds)
            if len(page) < RETENTION_INSTANCES_AT_ONCE:
                return count
            last = page[-1].machine_id

    async def _sweep_machine(self, machine_id: int, bounds: JournalBounds) -> int:
        count = 0
        last: InstanceId | None = None
        while True:
            extents = await self._store.journal_extents(
                machine_id, after=last, limit=RETENTION_INSTANCES_AT_ONCE
            )
            for extent in extents:
                cut = cut_due(bounds, extent, self._clock.now_ms())
                if cut is not None:
                    count += await self._store.cut_journal(extent.instance_id, cut)
            if len(extents) < RETENTION_INSTANCES_AT_ONCE:
                return count
            last = extents[-1].instance_id

"""Removes what machines do not keep any longer, journal by journal."""

from __future__ import annotations

from statekeep.domain.limits import RETENTION_INSTANCES_AT_ONCE, RETENTION_INTERVAL
from statekeep.domain.names import InstanceId
from statekeep.domain.retention import JournalBounds, cut_due
from statekeep.ports.clock import Clock
from statekeep.ports.store import Store
from statekeep.workers.worker import Worker

_INTERVAL_SECONDS = RETENTION_INTERVAL.total_seconds()


class RetentionWorker(Worker):
    """Looks at the start, whenever it is asked to and every ten minutes. `default` is for machines for which nothing was chosen."""

    task = "what is not kept any longer could not be removed"
    retry_seconds = _INTERVAL_SECONDS

    def __init__(self, store: Store, clock: Clock, *, default: JournalBounds) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        self._default = default

    async def work(self) -> float:
        """Remove what does not have to be kept."""
        await self.sweep()
        return _INTERVAL_SECONDS

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

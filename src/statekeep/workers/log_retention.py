"""Removes log entries that are old, or too many."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from statekeep.domain.limits import LOG_AGES_AT_ONCE
from statekeep.ports.clock import Clock
from statekeep.ports.store import Store
from statekeep.workers.worker import Worker

_log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 60
"""So much longer an organization may be over its bound: a rate bounds what it writes meanwhile."""


class LogRetention(Worker):
    """Looks every minute, and whenever it is asked to."""

    task = "old log entries could not be removed"
    retry_seconds = INTERVAL_SECONDS

    def __init__(
        self, store: Store, clock: Clock, *, kept_for: timedelta, organization_bytes_max: int
    ) -> None:
        super().__init__(first_after_seconds=INTERVAL_SECONDS)
        self._store = store
        self._clock = clock
        self._kept_for_ms = kept_for.total_seconds() * 1000
        self._organization_bytes_max = organization_bytes_max

    async def work(self) -> float:
        """Remove it."""
        await self.sweep()
        return INTERVAL_SECONDS

    async def sweep(self) -> None:
        """Remove what has to go by now."""
        await self._store.forget_old_logs(
            before_ms=int(self._clock.now_ms() - self._kept_for_ms),
            organization_bytes_max=self._organization_bytes_max,
        )
        last = 0
        while page := await self._store.machine_log_ages(after=last, limit=LOG_AGES_AT_ONCE):
            for machine in page:
                await self._store.forget_machine_logs(
                    machine.organization_id,
                    machine.machine_name,
                    before_ms=int(self._clock.now_ms() - machine.max_age.total_seconds() * 1000),
                )
            last = page[-1].machine_id

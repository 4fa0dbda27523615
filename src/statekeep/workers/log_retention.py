"""Removes log entries that are old, or too many."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from statekeep.ports.clock import Clock
from statekeep.ports.store import LogStore

_log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 60
"""So much longer an organization may be over its bound: a rate bounds what it writes meanwhile."""


class LogRetention:
    """Looks every minute."""

    def __init__(
        self, store: LogStore, clock: Clock, *, kept_for: timedelta, organization_bytes_max: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._kept_for_ms = kept_for.total_seconds() * 1000
        self._organization_bytes_max = organization_bytes_max
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.sweep()
            except Exception:
                _log.exception("old log entries could not be removed")

    async def sweep(self) -> None:
        """Remove what has to go by now."""
        await self._store.forget_old_logs(
            before_ms=int(self._clock.now_ms() - self._kept_for_ms),
            organization_bytes_max=self._organization_bytes_max,
        )

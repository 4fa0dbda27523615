"""Removes what has expired: idempotency keys, and uploads that were never published."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.store import Store

_log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 600


class Housekeeping:
    """Looks every ten minutes."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
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
                _log.exception("what has expired could not be removed")

    async def sweep(self) -> None:
        """Remove what has expired by now."""
        now_ms = self._clock.now_ms()
        await self._store.forget_expired_keys(now_ms=now_ms)
        await self._store.forget_expired_uploads(now=datetime_of(now_ms))

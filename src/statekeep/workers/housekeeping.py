"""Removes what has expired: idempotency keys, uploads that were never published, sessions and invitations."""

from __future__ import annotations

from typing import Final

from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.store import Store
from statekeep.workers.worker import Worker

INTERVAL_SECONDS: Final = 600


class Housekeeping(Worker):
    """Looks every ten minutes."""

    task = "what has expired could not be removed"
    retry_seconds = INTERVAL_SECONDS

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(first_after_seconds=INTERVAL_SECONDS)
        self._store = store
        self._clock = clock

    async def work(self) -> float:
        """Remove it."""
        await self.sweep()
        return INTERVAL_SECONDS

    async def sweep(self) -> None:
        """Remove what has expired by now."""
        now_ms = self._clock.now_ms()
        await self._store.forget_expired_keys(now_ms=now_ms)
        now = datetime_of(now_ms)
        await self._store.forget_expired_uploads(now=now)
        await self._store.forget_expired_people(now=now)

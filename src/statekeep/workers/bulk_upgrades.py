"""Works on bulk upgrades, beside everything else: a portion of each job in turn.

What is to be done stands in the store, so that a restart goes on where the last server ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from statekeep.application.bulk_upgrading import BulkUpgrader
from statekeep.domain.bulk_upgrade import BulkUpgrade
from statekeep.domain.limits import BULK_UPGRADE_RETRIED_AFTER, BULK_UPGRADE_RETRIED_AFTER_MAX
from statekeep.domain.names import BulkUpgradeId, InstanceId
from statekeep.ports.store import BulkUpgradeStore
from statekeep.workers.worker import Worker


@dataclass(slots=True)
class _Round:
    """Where a job is with those instances that were not ready: not before `not_before` (loop time) they are looked at past `after`."""

    not_before: float
    pause: float
    after: InstanceId


class BulkUpgrading(Worker):
    """Looks for jobs at the start, and whenever it is told that there may be one."""

    task = "bulk upgrades could not go on"

    def __init__(self, store: BulkUpgradeStore, upgrader: BulkUpgrader) -> None:
        super().__init__()
        self._store = store
        self._upgrader = upgrader
        self._rounds: dict[BulkUpgradeId, _Round] = {}
        self._loop = asyncio.get_running_loop()

    async def work(self) -> float | None:
        """Do what can be done now; the seconds after which there is more, None where there is nothing until something changes.

        Raises what the store raises, with what was done kept.
        """
        while jobs := await self._store.running_bulk_upgrades():
            moved = [await self._advance(job) for job in jobs]
            self._forget({job.id for job in jobs})
            if not any(moved):
                return self._next_round()
        self._forget(set())
        return None

    async def _advance(self, job: BulkUpgrade) -> bool:
        """Did anything come of it?"""
        if await self._upgrader.advance(job):
            return True
        now = self._loop.time()
        pause = BULK_UPGRADE_RETRIED_AFTER.total_seconds()
        # The first look is past by then: each instance had it when it was pending.
        round = self._rounds.setdefault(job.id, _Round(now + pause, pause, InstanceId(0)))
        if round.after or now >= round.not_before:
            last = await self._upgrader.look_again(job, round.after)
            if last is not None:
                round.after = last
                return True
            round.after = InstanceId(0)
            round.pause = min(2 * round.pause, BULK_UPGRADE_RETRIED_AFTER_MAX.total_seconds())
            round.not_before = self._loop.time() + round.pause
        return await self._upgrader.finish_if_done(job)

    def _next_round(self) -> float:
        due = min(round.not_before for round in self._rounds.values())
        return max(0.0, due - self._loop.time())

    def _forget(self, running: set[BulkUpgradeId]) -> None:
        for job_id in self._rounds.keys() - running:
            del self._rounds[job_id]

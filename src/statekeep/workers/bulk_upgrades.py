"""Works on bulk upgrades, beside everything else: a portion of each job in turn, several jobs at once, so that none waits for the slow machines of another.

What is to be done stands in the store, so that a restart goes on where the last server ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from statekeep.application.bulk_upgrading import BulkUpgrader
from statekeep.domain.bulk_upgrade import BulkUpgrade
from statekeep.domain.limits import (
    BULK_UPGRADE_JOBS_AT_ONCE,
    BULK_UPGRADE_RETRIED_AFTER,
    BULK_UPGRADE_RETRIED_AFTER_MAX,
)
from statekeep.domain.names import BulkUpgradeId, InstanceId
from statekeep.ports.store import BulkUpgradeStore
from statekeep.workers.worker import Worker

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Round:
    """Where a job is with those instances that were not ready: not before `not_before` (loop time) they are looked at past `after`."""

    not_before: float
    pause: float
    after: InstanceId


class BulkUpgrading(Worker):
    """Looks for jobs at the start, and whenever it is told that there may be one."""

    task = "a bulk upgrade could not go on"

    def __init__(self, store: BulkUpgradeStore, upgrader: BulkUpgrader) -> None:
        super().__init__()
        self._store = store
        self._upgrader = upgrader
        self._rounds: dict[BulkUpgradeId, _Round] = {}
        self._under_way: dict[BulkUpgradeId, asyncio.Task[float]] = {}
        """Portions, by their jobs. Each comes to the loop time until which there is nothing more to do."""
        self._rests: dict[BulkUpgradeId, float] = {}
        """Jobs for which there is nothing to do until then (loop time)."""
        self._served: dict[BulkUpgradeId, int] = {}
        """When a job had its last portion, by their number."""
        self._portions = 0
        self._loop = asyncio.get_running_loop()

    async def work(self) -> float | None:
        """Do what can be done now; the seconds after which there is more, None where there is nothing until something changes.

        Raises what the store raises, with what was done kept.
        """
        try:
            while True:
                jobs = await self._store.running_bulk_upgrades()
                self._forget({job.id for job in jobs})
                self._begin_portions(jobs)
                if not self._under_way:
                    return self._until_next()
                await self._hear_of_portions()
        finally:
            await self._call_off()

    def _begin_portions(self, jobs: Sequence[BulkUpgrade]) -> None:
        """Those that have waited longest come first."""
        now = self._loop.time()
        ready = [
            job
            for job in jobs
            if job.id not in self._under_way and self._rests.get(job.id, now) <= now
        ]
        ready.sort(key=lambda job: self._served.get(job.id, 0))
        for job in ready[: BULK_UPGRADE_JOBS_AT_ONCE - len(self._under_way)]:
            self._portions += 1
            self._served[job.id] = self._portions
            self._rests.pop(job.id, None)
            self._under_way[job.id] = self._loop.create_task(self._advance(job))

    async def _hear_of_portions(self) -> None:
        """Until one is over, there may be a new job, or a job has rested and may begin another."""
        is_full = len(self._under_way) >= BULK_UPGRADE_JOBS_AT_ONCE
        wanted = self._loop.create_task(self._is_wanted.wait())
        try:
            await asyncio.wait(
                {wanted, *self._under_way.values()},
                timeout=None if is_full else self._until_next(),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            wanted.cancel()
        self._is_wanted.clear()
        for job_id, portion in list(self._under_way.items()):
            if portion.done():
                del self._under_way[job_id]
                self._note(job_id, portion)

    def _note(self, job_id: BulkUpgradeId, portion: asyncio.Task[float]) -> None:
        """When its job has its next one."""
        if portion.exception() is None:
            self._rests[job_id] = portion.result()
        else:
            _log.error("%s; trying again", self.task, exc_info=portion.exception())
            self._rests[job_id] = self._loop.time() + self.retry_seconds

    async def _call_off(self) -> None:
        portions = list(self._under_way.values())
        self._under_way.clear()
        for portion in portions:
            portion.cancel()
        await asyncio.gather(*portions, return_exceptions=True)

    async def _advance(self, job: BulkUpgrade) -> float:
        """One portion."""
        now = self._loop.time()
        if await self._upgrader.advance(job):
            return now
        pause = BULK_UPGRADE_RETRIED_AFTER.total_seconds()
        # The first look is past by then: each instance had it when it was pending.
        round = self._rounds.setdefault(job.id, _Round(now + pause, pause, InstanceId(0)))
        if round.after or now >= round.not_before:
            last = await self._upgrader.look_again(job, round.after)
            if last is not None:
                round.after = last
                return now
            round.after = InstanceId(0)
            round.pause = min(2 * round.pause, BULK_UPGRADE_RETRIED_AFTER_MAX.total_seconds())
            round.not_before = self._loop.time() + round.pause
        await self._upgrader.finish_if_done(job)
        return round.not_before

    def _until_next(self) -> float | None:
        if not self._rests:
            return None
        return max(0.0, min(self._rests.values()) - self._loop.time())

    def _forget(self, running: set[BulkUpgradeId]) -> None:
        for known in (self._rounds, self._rests, self._served):
            for job_id in known.keys() - running:
                del known[job_id]

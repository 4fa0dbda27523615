"""Doing what bulk upgrades are about: instance after instance, through the same turns as everything else.

What must stay true here:

- an instance is upgraded by the commit of its own turn and by nothing else; the job only writes down what came of it;
- so what a job has not written down is looked at again after a crash, and is found to be upgraded already;
- what fails stays as it was, and no wish is left behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from statekeep import crash_points
from statekeep.application.residents import Residents
from statekeep.application.turns import Turns
from statekeep.domain.bulk_upgrade import (
    BulkUpgrade,
    InstanceOutcome,
    JobStatus,
    UpgradeResult,
    UpgradeTask,
)
from statekeep.domain.errors import (
    HostTakenDown,
    Overloaded,
    StatekeepError,
    UpgradeFailed,
)
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.limits import (
    BULK_SELECTION_PORTION,
    BULK_UPGRADE_PORTION,
    BULK_UPGRADE_PORTION_TIME,
    BULK_UPGRADE_REST,
    BULK_UPGRADE_TRIES_MAX,
    BULK_UPGRADES_AT_ONCE,
    HOST_DEATHS_MAX,
    RESULT_MESSAGE_LENGTH_MAX,
)
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import BulkUpgradeId, InstanceId
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.store import Store

_log = logging.getLogger(__name__)

_PORTION_SECONDS: Final = BULK_UPGRADE_PORTION_TIME.total_seconds()
_REST_SECONDS: Final = BULK_UPGRADE_REST.total_seconds()
_SETTLES: Final = "it had not settled, or took events all the time"


class BulkUpgrader:
    """Takes jobs on, a portion at a time. May be stopped between any two awaits: the next server goes on."""

    def __init__(self, store: Store, residents: Residents, turns: Turns, clock: Clock) -> None:
        self._store = store
        self._residents = residents
        self._turns = turns
        self._clock = clock
        self._host_deaths: Counter[BulkUpgradeId] = Counter()

    async def advance(self, job: BulkUpgrade) -> bool:
        """Select a portion, or upgrade one of those that were not looked at yet; False where there is none. Raises what the store raises."""
        if not job.is_selected:
            await self._store.select_for_bulk_upgrade(job.id, limit=BULK_SELECTION_PORTION)
            return True
        pending = await self._tasks(job, InstanceOutcome.PENDING, InstanceId(0))
        if pending:
            await self._upgrade_all(job, pending)
        return bool(pending)

    async def look_again(self, job: BulkUpgrade, after: InstanceId) -> InstanceId | None:
        """Try a portion of those past `after` that were not ready; the last that was tried, None where there was none."""
        waiting = await self._tasks(job, InstanceOutcome.WAITING, after)
        if not waiting:
            return None
        return await self._upgrade_all(job, waiting)

    async def finish_if_done(self, job: BulkUpgrade) -> bool:
        """Is nothing left to do? That is then written down."""
        counts = await self._store.bulk_upgrade_counts(job.id)
        if counts.get(InstanceOutcome.PENDING) or counts.get(InstanceOutcome.WAITING):
            return False
        now = datetime_of(self._clock.now_ms())
        await self._store.change_bulk_upgrade(job.id, JobStatus.DONE, finished_at=now)
        return True

    async def _tasks(
        self, job: BulkUpgrade, outcome: InstanceOutcome, after: InstanceId
    ) -> Sequence[UpgradeTask]:
        return await self._store.bulk_upgrade_tasks(
            job.id, outcome, after=after, limit=BULK_UPGRADE_PORTION
        )

    async def _upgrade_all(self, job: BulkUpgrade, tasks: Sequence[UpgradeTask]) -> InstanceId:
        """Group by group, as long as that is wanted and does not take too long to be written down together; the last that was tried."""
        target = await self._store.version(job.target)
        if target is None:
            # The machine was deleted, and its jobs with it.
            return tasks[-1].instance_id
        loop = asyncio.get_running_loop()
        until = loop.time() + _PORTION_SECONDS
        results: list[UpgradeResult] = []
        group: Sequence[UpgradeTask] = ()
        for first in range(0, len(tasks), BULK_UPGRADES_AT_ONCE):
            group = tasks[first : first + BULK_UPGRADES_AT_ONCE]
            results += await self._upgrade_group(job, target, group)
            if self._is_deadly(job) or loop.time() >= until or not await self._is_running(job):
                break
            await asyncio.sleep(_REST_SECONDS)
        crash_points.reach(crash_points.BEFORE_UPGRADE_RESULTS)
        await self._store.record_upgrade_results(job.id, results)
        if self._is_deadly(job):
            await self._pause(job)
        return group[-1].instance_id

    async def _is_running(self, job: BulkUpgrade) -> bool:
        """Or was it paused or cancelled since it was read?"""
        current = await self._store.bulk_upgrade(job.id)
        return current is not None and current.status is JobStatus.RUNNING

    async def _upgrade_group(
        self, job: BulkUpgrade, target: MachineVersion, group: Sequence[UpgradeTask]
    ) -> list[UpgradeResult]:
        """At once. Where the job turns out to be deadly the results of those that were still under way are missing: they are looked at again."""
        upgrading = [asyncio.create_task(self._upgrade(job, target, task)) for task in group]
        try:
            results = []
            for upgraded in asyncio.as_completed(upgrading):
                results.append(await upgraded)
                if self._is_deadly(job):
                    break
            return results
        finally:
            # Each of the others could cost one more process.
            for one in upgrading:
                one.cancel()
            await asyncio.gather(*upgrading, return_exceptions=True)

    def _is_deadly(self, job: BulkUpgrade) -> bool:
        return self._host_deaths[job.id] >= HOST_DEATHS_MAX

    async def _pause(self, job: BulkUpgrade) -> None:
        """Each death takes the children of other instances along: that is for people to decide."""
        del self._host_deaths[job.id]
        reason = f"it paused itself: {HOST_DEATHS_MAX} instances took their host process down"
        await self._store.change_bulk_upgrade(job.id, JobStatus.PAUSED, reason=reason)

    async def _upgrade(
        self, job: BulkUpgrade, target: MachineVersion, task: UpgradeTask
    ) -> UpgradeResult:
        try:
            return await self._try(job, target, task)
        except Overloaded as error:
            return _waiting(task, "overloaded", error.message)
        except StatekeepError as error:
            if isinstance(error, HostTakenDown):
                self._host_deaths[job.id] += 1
            return _failed(task, _reason(error), error.message)
        except Exception:
            _log.exception("instance %d could not be upgraded", task.instance_id)
            return _failed(task, "internal", "something went wrong here; the server's log has it")

    async def _try(
        self, job: BulkUpgrade, target: MachineVersion, task: UpgradeTask
    ) -> UpgradeResult:
        is_asked_for = self._residents.at_hand_by_id(task.instance_id) is not None
        resident = await self._residents.find_by_id(task.instance_id)
        if resident is None:
            return UpgradeResult(task.instance_id, InstanceOutcome.UNCHANGED, "deleted")
        try:
            if resident.version.id == target.id:
                return _arrived(task, target)
            if job.selection.version not in (None, resident.version.id):
                message = f"it is of version {resident.version.id} by now"
                return UpgradeResult(
                    task.instance_id, InstanceOutcome.UNCHANGED, "other-version", message
                )
            if resident.status is InstanceStatus.PAUSED:
                return _failed(task, "paused", "the instance is paused")
            if await self._turns.upgrade(resident, target):
                return _arrived(task, target)
            return _waiting(task, "unsettled", _SETTLES)
        finally:
            if not is_asked_for:
                self._residents.cool(resident)


def _arrived(task: UpgradeTask, target: MachineVersion) -> UpgradeResult:
    """Whoever carried it over: the job before a crash, an event that brought an earlier wish about."""
    is_new = task.version != target.id
    outcome = InstanceOutcome.UPGRADED if is_new else InstanceOutcome.UNCHANGED
    return UpgradeResult(task.instance_id, outcome)


def _waiting(task: UpgradeTask, reason: str, message: str) -> UpgradeResult:
    tries = task.tries + 1
    if tries >= BULK_UPGRADE_TRIES_MAX:
        return _failed(task, reason, f"{message}, {tries} times")
    outcome = InstanceOutcome.WAITING
    return UpgradeResult(task.instance_id, outcome, reason, message, tries)


def _failed(task: UpgradeTask, reason: str, message: str) -> UpgradeResult:
    cut = message[:RESULT_MESSAGE_LENGTH_MAX].encode(errors="replace").decode()
    return UpgradeResult(task.instance_id, InstanceOutcome.FAILED, reason, cut, task.tries)


def _reason(error: StatekeepError) -> str:
    return error.reason if isinstance(error, UpgradeFailed) else error.code or "internal"

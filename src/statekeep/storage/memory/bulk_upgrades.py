"""Jobs that upgrade many instances, in dictionaries."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from statekeep.domain.bulk_upgrade import (
    UNFINISHED,
    BulkUpgrade,
    InstanceOutcome,
    InstanceSelection,
    JobStatus,
    ListedResult,
    UpgradeResult,
    UpgradeTask,
)
from statekeep.domain.errors import InvalidState, NotFound
from statekeep.domain.index import NO_INDEX_ENTRIES
from statekeep.domain.limits import BULK_UPGRADES_KEPT
from statekeep.domain.names import BulkUpgradeId, InstanceId, InstanceName, VersionId
from statekeep.ports.pages import Page
from statekeep.ports.store import BulkUpgradeStore, SelectedInstance, SelectedPortion
from statekeep.storage.memory.indexes import MemoryIndexes
from statekeep.storage.memory.lists import read_page


class _Result(NamedTuple):
    version: VersionId
    result: UpgradeResult


class MemoryBulkUpgrades(MemoryIndexes, BulkUpgradeStore):
    """Every question looks at everything."""

    def __init__(self) -> None:
        super().__init__()
        self._job_numbers = itertools.count(1)
        self._jobs: dict[BulkUpgradeId, tuple[int, BulkUpgrade]] = {}
        self._results: dict[BulkUpgradeId, dict[InstanceId, _Result]] = {}

    @abstractmethod
    def _standing(self, machine_id: int) -> Sequence[SelectedInstance]:
        """All instances of a machine, by number."""

    async def newest_instance(self, machine_id: int) -> InstanceId:
        return max((it.id for it in self._standing(machine_id)), default=InstanceId(0))

    async def missing_instances(
        self, machine_id: int, names: Sequence[InstanceName]
    ) -> Sequence[InstanceName]:
        known = {it.name for it in self._standing(machine_id)}
        return [name for name in names if name not in known]

    async def count_instances(self, selection: InstanceSelection, *, last: InstanceId) -> int:
        standing = self._standing(selection.machine_id)
        return sum(it.id <= last and self._is_selected(selection, it) for it in standing)

    async def selected_instances(
        self,
        selection: InstanceSelection,
        *,
        after: InstanceId,
        last: InstanceId,
        limit: int,
        bytes_max: int,
        with_timers: bool,
    ) -> SelectedPortion:
        looked_at = self._portion(selection.machine_id, after, last, limit)
        end = looked_at[-1].id if len(looked_at) == limit else last
        found: list[SelectedInstance] = []
        size = 0
        for instance in looked_at:
            if not self._is_selected(selection, instance):
                continue
            size += len(instance.snapshot)
            if found and size > bytes_max:
                return SelectedPortion(found, found[-1].id)
            found.append(instance if with_timers else instance._replace(timers=()))
        return SelectedPortion(found, end)

    async def create_bulk_upgrade(self, job: BulkUpgrade) -> None:
        if job.target not in self._versions:
            raise NotFound("the machine is gone")
        of_machine = [
            old
            for _, old in self._jobs.values()
            if old.selection.machine_id == job.selection.machine_id
        ]
        if any(old.status in UNFINISHED for old in of_machine):
            raise InvalidState("another bulk upgrade of this machine is not finished")
        self._jobs[job.id] = (next(self._job_numbers), job)
        self._results[job.id] = {}
        for old in of_machine[:-BULK_UPGRADES_KEPT]:
            del self._jobs[old.id], self._results[old.id]

    async def bulk_upgrade(self, job_id: BulkUpgradeId) -> BulkUpgrade | None:
        found = self._jobs.get(job_id)
        return found and found[1]

    async def list_bulk_upgrades(self, machine_id: int, *, cursor: str | None) -> Page[BulkUpgrade]:
        jobs = [it for it in self._jobs.values() if it[1].selection.machine_id == machine_id]
        return read_page(jobs, f"bulk upgrades of {machine_id}", cursor)

    async def running_bulk_upgrades(self) -> Sequence[BulkUpgrade]:
        return [job for _, job in self._jobs.values() if job.status is JobStatus.RUNNING]

    async def change_bulk_upgrade(
        self,
        job_id: BulkUpgradeId,
        status: JobStatus,
        *,
        reason: str | None = None,
        finished_at: datetime | None = None,
    ) -> bool:
        job = await self.bulk_upgrade(job_id)
        if job is None or job.status not in UNFINISHED:
            return False
        self._put(job._replace(status=status, reason=reason, finished_at=finished_at))
        return True

    async def select_for_bulk_upgrade(self, job_id: BulkUpgradeId, *, limit: int) -> bool:
        job = await self.bulk_upgrade(job_id)
        if job is None:
            return False
        portion = self._portion(job.selection.machine_id, job.position, job.last, limit)
        for instance in portion:
            if self._is_selected(job.selection, instance):
                is_there = instance.version_id == job.target
                outcome = InstanceOutcome.UNCHANGED if is_there else InstanceOutcome.PENDING
                result = _Result(instance.version_id, UpgradeResult(instance.id, outcome))
                self._results[job_id][instance.id] = result
        position = portion[-1].id if len(portion) == limit else job.last
        self._put(job._replace(position=position))
        return position < job.last

    async def bulk_upgrade_tasks(
        self,
        job_id: BulkUpgradeId,
        outcome: InstanceOutcome,
        *,
        after: InstanceId,
        limit: int,
    ) -> Sequence[UpgradeTask]:
        tasks = [
            UpgradeTask(instance_id, version, result.tries)
            for instance_id, (version, result) in sorted(self._results.get(job_id, {}).items())
            if result.outcome is outcome and instance_id > after
        ]
        return tasks[:limit]

    async def record_upgrade_results(
        self, job_id: BulkUpgradeId, results: Sequence[UpgradeResult]
    ) -> None:
        rows = self._results.get(job_id, {})
        for result in results:
            if result.instance_id in rows:
                rows[result.instance_id] = rows[result.instance_id]._replace(result=result)

    async def bulk_upgrade_counts(self, job_id: BulkUpgradeId) -> Mapping[InstanceOutcome, int]:
        return Counter(it.result.outcome for it in self._results.get(job_id, {}).values())

    async def list_upgrade_results(
        self, job_id: BulkUpgradeId, outcome: InstanceOutcome | None, *, cursor: str | None
    ) -> Page[ListedResult]:
        facts = self._facts()
        listed = [
            (
                instance_id,
                ListedResult(
                    facts[instance_id].name,
                    version,
                    result.outcome,
                    result.reason,
                    result.message,
                ),
            )
            for instance_id, (version, result) in self._results.get(job_id, {}).items()
            if outcome is None or result.outcome is outcome
        ]
        which = "" if outcome is None else f"{outcome.value} "
        return read_page(listed, f"{which}results of {job_id}", cursor)

    def _forget_results(self, instance_id: InstanceId) -> None:
        for rows in self._results.values():
            rows.pop(instance_id, None)

    async def delete_machine(self, machine_id: int) -> None:
        await super().delete_machine(machine_id)
        for _, job in list(self._jobs.values()):
            if job.selection.machine_id == machine_id:
                del self._jobs[job.id], self._results[job.id]

    def _put(self, job: BulkUpgrade) -> None:
        self._jobs[job.id] = (self._jobs[job.id][0], job)

    def _portion(
        self, machine_id: int, after: InstanceId, last: InstanceId, limit: int
    ) -> list[SelectedInstance]:
        standing = self._standing(machine_id)
        return [it for it in standing if after < it.id <= last][:limit]

    def _is_selected(self, selection: InstanceSelection, instance: SelectedInstance) -> bool:
        _, version, condition, names = selection
        if version is not None and instance.version_id != version:
            return False
        if names is not None and instance.name not in names:
            return False
        entries = self._entries.get(instance.id, NO_INDEX_ENTRIES)
        return condition is None or any(
            name == condition.index_name
            and (condition.filter is None or condition.filter.admits(value))
            for name, value in entries
        )

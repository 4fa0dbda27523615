"""Many instances at once, and jobs that upgrade them, in SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import apsw
import msgspec

from statekeep.domain.bulk_upgrade import (
    BulkUpgrade,
    IndexCondition,
    InstanceOutcome,
    InstanceSelection,
    JobStatus,
    ListedResult,
    UpgradeResult,
    UpgradeTask,
)
from statekeep.domain.errors import InvalidState, NotFound
from statekeep.domain.index import Comparison, IndexFilter
from statekeep.domain.limits import BULK_SELECTION_PORTION, BULK_UPGRADES_KEPT
from statekeep.domain.names import BulkUpgradeId, InstanceId, InstanceName
from statekeep.domain.timer import Timer
from statekeep.ports.pages import Page
from statekeep.ports.store import BulkUpgradeStore, SelectedInstance, SelectedPortion
from statekeep.storage.pages import page_of
from statekeep.storage.sqlite.database import Row
from statekeep.storage.sqlite.named import QUERIES, NamedQueries, run
from statekeep.storage.sqlite.rows import instant_of, json_of, microseconds_of, timer_of

_names = msgspec.json.Decoder(tuple[str, ...]).decode


class SqliteBulkUpgrades(NamedQueries, BulkUpgradeStore):
    """Walks over instances by their numbers."""

    async def newest_instance(self, machine_id: int) -> InstanceId:
        row = self._read("newest_instance_of_machine", machine_id=machine_id)
        assert row is not None, "an aggregate has a row"
        return InstanceId(row[0])

    async def missing_instances(
        self, machine_id: int, names: Sequence[InstanceName]
    ) -> Sequence[InstanceName]:
        named = {"machine_id": machine_id, "names": json_of(names)}
        rows = await self._database.scan_rows(QUERIES["missing_instances"], named)
        return [InstanceName(name) for (name,) in rows]

    async def count_instances(self, selection: InstanceSelection, *, last: InstanceId) -> int:
        named = _wanted(selection)
        position, count = InstanceId(0), 0

        def read(connection: apsw.Connection) -> tuple[InstanceId, int]:
            end = _end_of_portion(
                connection, selection.machine_id, position, last, BULK_SELECTION_PORTION
            )
            part = named | {"position": position, "last": end}
            return end, run(connection, "count_selected_instances", **part).get

        while position < last:
            position, more = await self._database.scan(read)
            count += more
        return count

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
        named = _wanted(selection)

        def read(connection: apsw.Connection) -> SelectedPortion:
            end = _end_of_portion(connection, selection.machine_id, after, last, limit)
            part = named | {"position": after, "last": end}
            rows, is_whole = _within(run(connection, "selected_instances", **part), bytes_max)
            found = [
                _instance(row, _timers(connection, row[0]) if with_timers else ()) for row in rows
            ]
            return SelectedPortion(found, end if is_whole else found[-1].id)

        return await self._database.scan(read)

    async def create_bulk_upgrade(self, job: BulkUpgrade) -> None:
        machine_id = job.selection.machine_id
        columns = _columns(job)

        def create(connection: apsw.Connection) -> None:
            if not run(connection, "version", version_id=job.target).get:
                raise NotFound("the machine is gone")
            if run(connection, "unfinished_bulk_upgrade", machine_id=machine_id).get:
                raise InvalidState("another bulk upgrade of this machine is not finished")
            run(connection, "create_bulk_upgrade", **columns)
            kept = BULK_UPGRADES_KEPT
            run(connection, "forget_old_bulk_upgrades", machine_id=machine_id, kept=kept)

        await self._database.write(create, is_long=True)

    async def bulk_upgrade(self, job_id: BulkUpgradeId) -> BulkUpgrade | None:
        row = self._read("bulk_upgrade", job_id=job_id)
        return None if row is None else _job_of(*row[1:])

    async def list_bulk_upgrades(self, machine_id: int, *, cursor: str | None) -> Page[BulkUpgrade]:
        listing = f"bulk upgrades of {machine_id}"
        rows = await self._list("list_bulk_upgrades", listing, cursor, machine_id=machine_id)
        return page_of([(number, _job_of(*columns)) for number, *columns in rows], listing)

    async def running_bulk_upgrades(self) -> Sequence[BulkUpgrade]:
        rows = await self._database.scan_rows(QUERIES["running_bulk_upgrades"], {})
        return [_job_of(*columns) for _, *columns in rows]

    async def change_bulk_upgrade(
        self,
        job_id: BulkUpgradeId,
        status: JobStatus,
        *,
        reason: str | None = None,
        finished_at: datetime | None = None,
    ) -> bool:
        changed = await self._change(
            "change_bulk_upgrade",
            job_id=job_id,
            status=status.value,
            reason=reason,
            finished_at=None if finished_at is None else microseconds_of(finished_at),
        )
        return changed > 0

    async def select_for_bulk_upgrade(self, job_id: BulkUpgradeId, *, limit: int) -> bool:
        def select(connection: apsw.Connection) -> bool:
            rows: list[Row] = run(connection, "bulk_upgrade", job_id=job_id).fetchall()
            if not rows:
                return False
            job = _job_of(*rows[0][1:])
            until = _end_of_portion(
                connection, job.selection.machine_id, job.position, job.last, limit
            )
            run(connection, "select_for_bulk_upgrade", job_id=job_id, until=until)
            run(connection, "move_bulk_upgrade", job_id=job_id, until=until)
            return until < job.last

        return await self._database.write(select, is_long=True)

    async def bulk_upgrade_tasks(
        self,
        job_id: BulkUpgradeId,
        outcome: InstanceOutcome,
        *,
        after: InstanceId,
        limit: int,
    ) -> Sequence[UpgradeTask]:
        named = {"job_id": job_id, "outcome": outcome.value, "after": after, "limit": limit}
        rows = await self._database.scan_rows(QUERIES["bulk_upgrade_tasks"], named)
        return [UpgradeTask(*columns) for columns in rows]

    async def record_upgrade_results(
        self, job_id: BulkUpgradeId, results: Sequence[UpgradeResult]
    ) -> None:
        def record(connection: apsw.Connection) -> None:
            for result in results:
                columns = result._asdict() | {"outcome": result.outcome.value, "job_id": job_id}
                run(connection, "record_upgrade_result", **columns)

        await self._database.write(record)

    async def bulk_upgrade_counts(self, job_id: BulkUpgradeId) -> Mapping[InstanceOutcome, int]:
        rows = await self._database.scan_rows(QUERIES["bulk_upgrade_counts"], {"job_id": job_id})
        return {InstanceOutcome(outcome): count for outcome, count in rows}

    async def list_upgrade_results(
        self, job_id: BulkUpgradeId, outcome: InstanceOutcome | None, *, cursor: str | None
    ) -> Page[ListedResult]:
        if outcome is None:
            listing = f"results of {job_id}"
            rows = await self._list("list_upgrade_results", listing, cursor, job_id=job_id)
        else:
            listing = f"{outcome.value} results of {job_id}"
            named = {"job_id": job_id, "outcome": outcome.value}
            rows = await self._list("list_upgrade_results_with", listing, cursor, **named)
        return page_of([(number, _result_of(*columns)) for number, *columns in rows], listing)


def _end_of_portion(
    connection: apsw.Connection,
    machine_id: int,
    position: InstanceId,
    last: InstanceId,
    limit: int,
) -> InstanceId:
    """The number of the last of the next `limit` instances; `last` where there are fewer."""
    named = {"machine_id": machine_id, "position": position, "last": last, "limit": limit}
    row: Row
    (row,) = run(connection, "end_of_portion", **named).fetchall()
    end, count = row
    return InstanceId(end) if count == limit else last


def _within(cursor: apsw.Cursor, bytes_max: int) -> tuple[list[Row], bool]:
    """Rows until their snapshots, which come last, are beyond the bound; and whether these are all."""
    rows: list[Row] = []
    size = 0
    for row in cursor:
        size += len(row[-1])
        if rows and size > bytes_max:
            cursor.close(force=True)
            return rows, False
        rows.append(row)
    return rows, True


def _instance(row: Row, timers: tuple[Timer, ...]) -> SelectedInstance:
    id, name, version_id, revision, snapshot = row
    return SelectedInstance(id, name, version_id, revision, snapshot, timers)


def _timers(connection: apsw.Connection, instance_id: InstanceId) -> tuple[Timer, ...]:
    rows: list[Row] = connection.execute(QUERIES["timers_of_instance"], (instance_id,)).fetchall()
    return tuple(timer_of(*row) for row in rows)


def _wanted(selection: InstanceSelection) -> dict[str, Any]:
    condition = selection.condition
    filter = condition and condition.filter
    return {
        "machine_id": selection.machine_id,
        "version": selection.version,
        "index": condition and condition.index_name,
        "comparison": filter and filter.comparison.value,
        "value": filter and filter.value,
        "names": None if selection.names is None else json_of(selection.names),
    }


def _columns(job: BulkUpgrade) -> dict[str, Any]:
    return _wanted(job.selection) | {
        "id": job.id,
        "target": job.target,
        "created_at": microseconds_of(job.created_at),
        "status": job.status.value,
        "reason": job.reason,
        "finished_at": None if job.finished_at is None else microseconds_of(job.finished_at),
        "position": job.position,
        "last": job.last,
    }


def _job_of(id: Any, target: Any, machine_id: int, version: Any, *rest: Any) -> BulkUpgrade:
    index, comparison, value, names, created_at, status, reason, finished_at, *progress = rest
    filter = None if comparison is None else IndexFilter(Comparison(comparison), value)
    selection = InstanceSelection(
        machine_id,
        version,
        None if index is None else IndexCondition(index, filter),
        None if names is None else _names(names),  # type: ignore[arg-type]  # they were checked when they came
    )
    return BulkUpgrade(
        id,
        target,
        selection,
        instant_of(created_at),
        JobStatus(status),
        reason,
        None if finished_at is None else instant_of(finished_at),
        *progress,
    )


def _result_of(name: Any, version: Any, outcome: str, reason: str, message: str) -> ListedResult:
    return ListedResult(name, version, InstanceOutcome(outcome), reason, message)

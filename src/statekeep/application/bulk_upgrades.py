"""What callers may do with bulk upgrades. The work is that of `bulk_upgrading.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from statekeep.application.ids import new_id
from statekeep.application.machines import find_machine
from statekeep.application.migration_paths import MigrationPaths
from statekeep.application.selections import SelectionText, find_version, read_selection
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.bulk_upgrade import (
    UNFINISHED,
    BulkUpgrade,
    InstanceOutcome,
    JobStatus,
    ListedResult,
)
from statekeep.domain.errors import InvalidParameter, InvalidState, NotFound
from statekeep.domain.machine import Machine
from statekeep.domain.names import BulkUpgradeId, MachineName, VersionId
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.entropy import Entropy
from statekeep.ports.pages import Page
from statekeep.ports.store import Store

_MAY_BECOME: Final = {
    "paused": JobStatus.PAUSED,
    "running": JobStatus.RUNNING,
    "cancelled": JobStatus.CANCELLED,
}
_OUTCOMES: Final = {outcome.value: outcome for outcome in InstanceOutcome}


class Progress(NamedTuple):
    """A job, and how many of its instances have which outcome."""

    job: BulkUpgrade
    counts: Mapping[InstanceOutcome, int]


class BulkUpgrades:
    """Use cases around jobs. `on_change` hears that there may be something to do."""

    def __init__(
        self,
        store: Store,
        paths: MigrationPaths,
        clock: Clock,
        entropy: Entropy,
        *,
        on_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._paths = paths
        self._clock = clock
        self._entropy = entropy
        self._on_change = on_change

    async def begin(
        self, caller: AuthContext, machine: MachineName, target: VersionId, text: SelectionText
    ) -> BulkUpgradeId:
        """A job that carries over the instances there are now, durably. Those that are made later are none of its business.

        Raises NotFound, InvalidParameter, NoMigrationPath where the version that is named leads nowhere, and InvalidState where another job of the
        machine is not finished or the index is being filled.
        """
        found = await self._machine(caller, machine)
        version = await find_version(self._store, found, target, "toMachineVersionId")
        selection = await read_selection(self._store, found, text)
        if selection.version == target:
            raise InvalidParameter(
                "an upgrade leads from one version to another", parameter="fromMachineVersionId"
            )
        if selection.version is not None:
            start = await find_version(
                self._store, found, selection.version, "fromMachineVersionId"
            )
            await self._paths.find(start, version)
        job = BulkUpgrade(
            BulkUpgradeId(new_id("blk", self._entropy)),
            target,
            selection,
            datetime_of(self._clock.now_ms()),
            last=await self._store.newest_instance(found.id),
        )
        await self._store.create_bulk_upgrade(job)
        self._on_change()
        return job.id

    async def list(
        self, caller: AuthContext, machine: MachineName, cursor: str | None
    ) -> Page[BulkUpgrade]:
        """Newest first. Raises NotFound for the machine."""
        found = await self._machine(caller, machine)
        return await self._store.list_bulk_upgrades(found.id, cursor=cursor)

    async def get(
        self, caller: AuthContext, machine: MachineName, job_id: BulkUpgradeId
    ) -> Progress:
        """How far it is. Raises NotFound."""
        job = await self._job(await self._machine(caller, machine), job_id)
        return Progress(job, await self._store.bulk_upgrade_counts(job.id))

    async def results(
        self,
        caller: AuthContext,
        machine: MachineName,
        job_id: BulkUpgradeId,
        outcome: str | None,
        cursor: str | None,
    ) -> Page[ListedResult]:
        """What came of each instance. Raises NotFound and InvalidParameter."""
        if outcome is not None and outcome not in _OUTCOMES:
            raise InvalidParameter(f"outcome is one of {', '.join(_OUTCOMES)}", parameter="outcome")
        job = await self._job(await self._machine(caller, machine), job_id)
        wanted = None if outcome is None else _OUTCOMES[outcome]
        return await self._store.list_upgrade_results(job.id, wanted, cursor=cursor)

    async def set_status(
        self, caller: AuthContext, machine: MachineName, job_id: BulkUpgradeId, status: str
    ) -> None:
        """Pause it, let it go on, or end it for good. Instances that are under way are finished first.

        Raises NotFound, InvalidParameter, and InvalidState where it is over and that is not what was asked for.
        """
        if status not in _MAY_BECOME:
            raise InvalidParameter(f"status is one of {', '.join(_MAY_BECOME)}", parameter="status")
        job = await self._job(await self._machine(caller, machine), job_id)
        wanted = _MAY_BECOME[status]
        if job.status is wanted:
            return
        finished_at = None if wanted in UNFINISHED else datetime_of(self._clock.now_ms())
        changed = await self._store.change_bulk_upgrade(job.id, wanted, finished_at=finished_at)
        if not changed:
            raise InvalidState("this bulk upgrade is over; begin another")
        self._on_change()

    async def _machine(self, caller: AuthContext, machine: MachineName) -> Machine:
        organization_id = require_scope(caller, "instances.admin")
        return await find_machine(self._store, organization_id, machine)

    async def _job(self, machine: Machine, job_id: BulkUpgradeId) -> BulkUpgrade:
        job = await self._store.bulk_upgrade(job_id)
        if job is None or job.selection.machine_id != machine.id:
            raise NotFound(f"machine {machine.name} has no such bulk upgrade")
        return job

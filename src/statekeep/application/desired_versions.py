"""Which version an instance is to have. It gets it before its next event (SPEC 8): see `upgrades.py`."""

from __future__ import annotations

from statekeep.application.migration_paths import MigrationPaths
from statekeep.application.residents import Residents
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.instance import InstanceKey
from statekeep.domain.machine import MachineVersion, VersionInfo
from statekeep.domain.names import InstanceName, MachineName, VersionId
from statekeep.ports.store import Store


class DesiredVersions:
    """Takes wishes, durably."""

    def __init__(self, store: Store, residents: Residents, paths: MigrationPaths) -> None:
        self._store = store
        self._residents = residents
        self._paths = paths

    async def set(
        self,
        caller: AuthContext,
        machine: MachineName,
        instance: InstanceName,
        version_id: VersionId,
    ) -> None:
        """Let the instance be carried over to the version. The version that it has takes an earlier wish back.

        Saying it again changes nothing, but that an upgrade which failed is tried anew. Raises NotFound, InvalidParameter where the machine has
        no such version, and NoMigrationPath.
        """
        organization_id = require_scope(caller, "instances.admin")
        resident = await self._residents.require(InstanceKey(organization_id, machine, instance))
        target = await self._version(resident.version.machine_id, machine, version_id)
        await self._paths.find(resident.version, target)
        await self._store.set_desired_version(resident.id, target.id)
        # It may have left memory meanwhile and been claimed again, with the wish that it had before.
        resident = self._residents.at_hand_by_id(resident.id) or resident
        is_there = resident.version.id == target.id
        resident.desired_version = None if is_there else _info(target)
        resident.retry_upgrade()

    def look_again(self, machine_id: int) -> None:
        """There is a new migration of the machine: upgrades that failed without it may be possible now."""
        for resident in self._residents.of_machine(machine_id):
            resident.retry_upgrade()

    async def _version(
        self, machine_id: int, machine: MachineName, version_id: VersionId
    ) -> MachineVersion:
        version = await self._store.version(version_id)
        if version is None or version.machine_id != machine_id:
            raise InvalidParameter(
                f"machine {machine} has no version {version_id}",
                parameter="targetMachineVersionId",
            )
        return version


def _info(version: MachineVersion) -> VersionInfo:
    return VersionInfo(version.id, version.created_at, version.client_info)

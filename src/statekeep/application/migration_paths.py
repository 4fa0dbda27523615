"""Ways from one version of a machine to another."""

from __future__ import annotations

from statekeep.domain.errors import NoMigrationPath
from statekeep.domain.machine import MachineVersion
from statekeep.domain.migration import Migration, shortest_path
from statekeep.ports.runtime import MigrationCode
from statekeep.ports.store import MigrationCatalog


class MigrationPaths:
    """Finds them among all migrations of a machine, as they are when it is asked."""

    def __init__(self, catalog: MigrationCatalog) -> None:
        self._catalog = catalog

    async def find(self, start: MachineVersion, target: MachineVersion) -> tuple[Migration, ...]:
        """The shortest; among equally short ones that of the newest migrations (SPEC 8). Empty from a version to itself.

        Raises NoMigrationPath.
        """
        if start.id == target.id:
            return ()
        path = shortest_path(await self._catalog.migrations(start.machine_id), start.id, target.id)
        if path is None:
            raise NoMigrationPath(
                f"no migrations lead from version {start.id} to version {target.id}: upload one, or several by way of other versions,"
                f" with POST /machines/{{machine}}/migrations (or the client's machineVersionMigrations.create)"
            )
        return path

    def code_of(self, migration: Migration) -> MigrationCode:
        """The migration as a runtime takes it."""

        async def load() -> bytes:
            code = await self._catalog.migration_code(migration.id)
            assert code is not None, "a published migration has code"
            return code

        return MigrationCode(migration.id, load)

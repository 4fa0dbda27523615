"""One import that is under way: record after record is checked and staged, the catalog here and instances in `importing_instances.py`."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Final, NamedTuple

from statekeep.application.code import Code, unpack
from statekeep.application.ids import new_id
from statekeep.application.importing_instances import InstanceImport
from statekeep.application.index_selectors import merge_selectors
from statekeep.application.labels import checked_client_info
from statekeep.application.machines import parse_indexes
from statekeep.application.retention import require_sensible
from statekeep.domain.commit import JournalEntry
from statekeep.domain.errors import AlreadyExists, InvalidParameter
from statekeep.domain.limits import (
    IMPORT_MACHINES_MAX,
    IMPORT_VERSIONS_MAX,
    MIGRATIONS_PER_MACHINE_MAX,
)
from statekeep.domain.machine import Machine
from statekeep.domain.names import (
    MachineName,
    MigrationId,
    OrganizationId,
    VersionId,
    parse_machine_name,
)
from statekeep.domain.timer import Timer
from statekeep.domain.transfer import (
    ImportId,
    InstanceRecord,
    MachineRecord,
    MigrationRecord,
    Record,
    VersionRecord,
)
from statekeep.ports.entropy import Entropy
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import Store, Upload

_ID: Final = re.compile(r"(ver|mig)_[A-Za-z0-9_-]{1,64}", re.ASCII)


class ImportSummary(NamedTuple):
    """What became of an import. `version_ids` are those that could not be kept, each with the one it has here."""

    machines: tuple[MachineName, ...]
    versions: int
    migrations: int
    instances: int
    entries: int
    timers: int
    version_ids: dict[VersionId, VersionId]


class Import:
    """Takes records in the order of `domain.transfer`. After an error only `is_published` may be asked."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        entropy: Entropy,
        organization_id: OrganizationId,
        import_id: ImportId,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._entropy = entropy
        self._organization_id = organization_id
        self._import_id = import_id
        self.is_published = False
        self._machines: dict[MachineName, Machine] = {}
        self._migrations: dict[MachineName, int] = {}
        self._version_ids: dict[VersionId, VersionId] = {}
        self._machine_of: dict[VersionId, MachineName] = {}
        """By the id that the version has here."""
        self._instances = InstanceImport(store, self._machines, self._machine_of, self._version_ids)

    async def accept(self, record: Record) -> None:
        """Check a record and stage it. It may be written with later ones.

        Raises InvalidParameter, InvalidCode, TooLarge and AlreadyExists where it cannot be had, and what the store and the runtime raise.
        """
        match record:
            case MachineRecord():
                self._require_catalog()
                await self._add_machine(record)
            case VersionRecord():
                self._require_catalog()
                await self._add_version(record)
            case MigrationRecord():
                self._require_catalog()
                await self._add_migration(record)
            case InstanceRecord():
                await self._instances.begin(record)
            case JournalEntry():
                await self._instances.add_entry(record)
            case Timer():
                await self._instances.add_timer(record)

    async def finish(self) -> ImportSummary:
        """All records were seen: everybody may see what they brought. Raises what `accept` raises, and nothing is published then."""
        await self._instances.finish()
        try:
            await self._store.publish_import(self._import_id)
        except AlreadyExists as error:
            raise AlreadyExists(
                "a machine of this import was created here meanwhile: nothing was imported"
            ) from error
        self.is_published = True
        changed = {old: new for old, new in self._version_ids.items() if old != new}
        counts = self._instances.counts
        return ImportSummary(
            tuple(self._machines),
            len(self._version_ids),
            sum(self._migrations.values()),
            counts.instances,
            counts.entries,
            counts.timers,
            changed,
        )

    async def settle(self) -> None:
        """Wait until nothing of it is being written any more."""
        await self._instances.settle()

    def _require_catalog(self) -> None:
        if self._instances.has_begun:
            raise InvalidParameter(
                "machines, versions and migrations stand before the first instance"
            )

    async def _add_machine(self, record: MachineRecord) -> None:
        name = parse_machine_name(record.name, parameter="name")
        indexes = parse_indexes(record.indexes)
        if name in self._machines:
            raise InvalidParameter(f"machine {name} is there twice", parameter="name")
        if len(self._machines) >= IMPORT_MACHINES_MAX:
            raise InvalidParameter(f"an import has at most {IMPORT_MACHINES_MAX} machines")
        if await self._store.machine(self._organization_id, name) is not None:
            raise AlreadyExists(
                f"machine {name} exists already: delete it, or import into another organization"
            )
        require_sensible(record.retention)
        machine_id = await self._store.stage_machine(
            self._import_id, self._organization_id, name, indexes, record.created_at
        )
        await self._store.set_retention(machine_id, record.retention)
        self._machines[name] = Machine(
            machine_id, self._organization_id, name, indexes, record.created_at, None
        )
        self._migrations[name] = 0

    async def _add_version(self, record: VersionRecord) -> None:
        version = record.version
        machine = self._machine(version.machine_name)
        _require_id(version.id, "ver")
        if version.id in self._version_ids:
            raise InvalidParameter(f"version {version.id} is there twice", parameter="id")
        if len(self._version_ids) >= IMPORT_VERSIONS_MAX:
            raise InvalidParameter(f"an import has at most {IMPORT_VERSIONS_MAX} versions")
        merge_selectors(machine, None, version.index_selectors)
        code = await self._code(record.code)
        facts = await self._runtime.inspect(self._organization_id, code.module)
        here = replace(
            version,
            id=await self._free_version_id(version.id),
            machine_id=machine.id,
            organization_id=self._organization_id,
            client_info=checked_client_info(version.client_info),
            xstate_major=facts.xstate_major,
            code_hash=code.sha256,
        )
        await self._store.create_version(here, code.module, make_current=record.is_current)
        self._version_ids[version.id] = here.id
        self._machine_of[here.id] = machine.name

    async def _add_migration(self, record: MigrationRecord) -> None:
        migration = record.migration
        machine = self._machine(record.machine)
        _require_id(migration.id, "mig")
        if self._migrations[machine.name] >= MIGRATIONS_PER_MACHINE_MAX:
            raise InvalidParameter(f"a machine has at most {MIGRATIONS_PER_MACHINE_MAX} migrations")
        source = self._version_of(machine, migration.from_version, "fromMachineVersionId")
        target = self._version_of(machine, migration.to_version, "toMachineVersionId")
        if source == target:
            raise InvalidParameter("a migration leads from one version to another")
        code = await self._code(record.code)
        await self._runtime.inspect_migration(self._organization_id, code.module)
        here = replace(
            migration,
            id=await self._free_migration_id(migration.id),
            machine_id=machine.id,
            from_version=source,
            to_version=target,
            code_hash=code.sha256,
        )
        await self._store.create_migration(here, code.module)
        self._migrations[machine.name] += 1

    def _machine(self, name: MachineName) -> Machine:
        machine = self._machines.get(name)
        if machine is None:
            raise InvalidParameter(f"there is no machine {name} before it", parameter="machine")
        return machine

    def _version_of(self, machine: Machine, version_id: VersionId, parameter: str) -> VersionId:
        here = self._version_ids.get(version_id)
        if here is None or self._machine_of[here] != machine.name:
            raise InvalidParameter(
                f"there is no version {version_id} of machine {machine.name} before it",
                parameter=parameter,
            )
        return here

    async def _code(self, module: bytes) -> Code:
        return await asyncio.to_thread(unpack, Upload(module, False))

    async def _free_version_id(self, wanted: VersionId) -> VersionId:
        """The same, where nothing here has it or has had it until a moment ago."""
        if self._runtime.has_met(wanted) or await self._store.version(wanted) is not None:
            return VersionId(new_id("ver", self._entropy))
        return wanted

    async def _free_migration_id(self, wanted: MigrationId) -> MigrationId:
        if await self._store.migration(wanted) is not None:
            return MigrationId(new_id("mig", self._entropy))
        return wanted


def _require_id(id: str, prefix: str) -> None:
    match = _ID.fullmatch(id)
    if match is None or match[1] != prefix:
        raise InvalidParameter(f"{id[:80]} is no id that begins with {prefix}_", parameter="id")

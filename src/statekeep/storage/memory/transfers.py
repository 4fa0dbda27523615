"""Exports and imports of what is in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import datetime

from statekeep.domain.errors import AlreadyExists, NotFound, Overloaded
from statekeep.domain.instance import InstanceKey
from statekeep.domain.limits import EXPORTS_MAX
from statekeep.domain.machine import Machine
from statekeep.domain.names import InstanceId, InstanceName, MachineName, OrganizationId
from statekeep.domain.retention import Retention
from statekeep.domain.timer import Timer
from statekeep.domain.transfer import (
    ExportSelection,
    ImportId,
    InstanceRecord,
    JournalPart,
    MachineRecord,
    MigrationRecord,
    Record,
    Span,
    VersionRecord,
)
from statekeep.ports.transfers import TransferStore
from statekeep.storage.memory.indexes import MemoryIndexes
from statekeep.storage.memory.stored import Stored
from statekeep.storage.portions import next_portion


class MemoryTransfers(MemoryIndexes, TransferStore):
    """An export is a list that was made at its first step."""

    def __init__(self) -> None:
        super().__init__()
        self._instances: dict[InstanceId, Stored] = {}
        self._ids: dict[InstanceKey, InstanceId] = {}
        self._staged_ids: dict[tuple[int, InstanceName], InstanceId] = {}
        self._exports = 0

    @abstractmethod
    async def delete_instance(self, instance_id: InstanceId) -> None:
        """See InstanceStore."""

    async def export(self, wanted: ExportSelection) -> AsyncGenerator[Sequence[Record], None]:
        if self._exports >= EXPORTS_MAX:
            raise Overloaded(f"{EXPORTS_MAX} exports are under way already", retry_after_seconds=60)
        self._exports += 1
        try:
            records = iter(list(self._records(wanted)))
            while portion := next_portion(records):
                yield portion
        finally:
            self._exports -= 1

    def _records(self, wanted: ExportSelection) -> Iterator[Record]:
        machines = [
            machine
            for machine in self._machines_of(wanted.organization_id)
            if wanted.machine in (None, machine.name)
        ]
        for machine in machines:
            retention = self._retentions.get(machine.id, Retention())
            yield MachineRecord(machine.name, machine.indexes, machine.created_at, retention)
            yield from self._catalog_of(machine)
        for machine in machines:
            for _, stored in sorted(self._instances.items()):
                if stored.created.machine_id == machine.id:
                    yield from _instance(machine.name, stored, wanted.journal)

    def _catalog_of(self, machine: Machine) -> Iterator[Record]:
        current = machine.current_version and machine.current_version.id
        for _, version, code in self._versions.values():
            if version.machine_id == machine.id:
                yield VersionRecord(version, code, version.id == current)
        for _, migration, code in self._migrations.values():
            if migration.machine_id == machine.id:
                yield MigrationRecord(machine.name, migration, code)

    async def stage_machine(
        self,
        import_id: ImportId,
        organization_id: OrganizationId,
        name: MachineName,
        indexes: tuple[str, ...],
        created_at: datetime,
    ) -> int:
        if organization_id not in self._organizations:
            raise NotFound("there is no such organization")
        staged = [id for id, of_import in self._staged.items() if of_import == import_id]
        if any(self._machines[id].name == name for id in staged):
            raise AlreadyExists("this import has such a machine")
        machine_id = next(self._machine_ids)
        self._staged[machine_id] = import_id
        self._machines[machine_id] = Machine(
            machine_id, organization_id, name, indexes, created_at, None
        )
        return machine_id

    async def stage_timers(self, instance_id: InstanceId, timers: Sequence[Timer]) -> None:
        stored = self._instances.get(instance_id)
        if stored is None:
            raise NotFound("there is no such instance")
        added = {timer.seq: timer for timer in timers}
        if len(added) < len(timers) or added.keys() & stored.timers.keys():
            raise AlreadyExists("there is such a timer")
        stored.timers.update(added)

    async def publish_import(self, import_id: ImportId) -> None:
        staged = [self._machines[id] for id in self._staged if self._staged[id] == import_id]
        for machine in staged:
            if await self.machine(machine.organization_id, machine.name) is not None:
                raise AlreadyExists(f"machine {machine.name} exists")
        for machine in staged:
            del self._staged[machine.id]
        published = {machine.id for machine in staged}
        for place in [place for place in self._staged_ids if place[0] in published]:
            instance_id = self._staged_ids.pop(place)
            self._ids[self._instances[instance_id].created.key] = instance_id

    async def discard_import(self, import_id: ImportId) -> None:
        for machine_id in [id for id, staged in self._staged.items() if staged == import_id]:
            for instance_id, stored in list(self._instances.items()):
                if stored.created.machine_id == machine_id:
                    await self.delete_instance(instance_id)
            await self.delete_machine(machine_id)

    async def staged_imports(self) -> Sequence[ImportId]:
        return list(dict.fromkeys(self._staged.values()))


def _instance(machine: MachineName, stored: Stored, part: JournalPart) -> Iterator[Record]:
    created = stored.created
    yield InstanceRecord(
        machine,
        created.key.name,
        stored.status,
        created.created_at,
        tuple(Span(*span) for span in stored.versions),
        stored.desired_version,
        stored.journal[-1].revision,
        stored.due,
        stored.next_timer_seq,
    )
    yield from stored.journal if part is JournalPart.ALL else stored.journal[-1:]
    yield from (stored.timers[seq] for seq in sorted(stored.timers))

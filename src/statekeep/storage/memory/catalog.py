"""Organizations, keys, machines, versions and uploads in dictionaries."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from statekeep.domain.access import Role
from statekeep.domain.errors import AlreadyExists, NotFound
from statekeep.domain.machine import (
    Key,
    Machine,
    MachineVersion,
    Organization,
    VersionInfo,
)
from statekeep.domain.migration import Migration
from statekeep.domain.names import CodeId, KeyId, MachineName, OrganizationId, UserId, VersionId
from statekeep.domain.retention import MachineLogAge, MachineRetention, Retention
from statekeep.domain.token_exchange import AnonymousAccess
from statekeep.domain.transfer import ImportId
from statekeep.ports.pages import Page
from statekeep.ports.store import Catalog, Upload
from statekeep.storage.memory.lists import read_page
from statekeep.storage.memory.migrations import MemoryMigrations
from statekeep.storage.memory.people import MemoryPeople
from statekeep.storage.memory.providers import MemoryProviders


class _Published(NamedTuple):
    number: int
    version: MachineVersion
    code: bytes


class _Uploaded(NamedTuple):
    upload: Upload
    expires_at: datetime


class MemoryCatalog(MemoryPeople, MemoryProviders, MemoryMigrations, Catalog):
    """Each dictionary keeps the order in which things were made."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(1)
        self._machine_ids = itertools.count(1)
        self._keys: dict[KeyId, tuple[int, Key, bytes]] = {}
        self._machines: dict[int, Machine] = {}
        self._retentions: dict[int, Retention] = {}
        self._versions: dict[VersionId, _Published] = {}
        self._uploads: dict[CodeId, _Uploaded] = {}
        self._staged: dict[int, ImportId] = {}
        """Machines that are being imported."""

    async def create_organization(
        self, organization: Organization, admin: UserId, anonymous: AnonymousAccess | None = None
    ) -> None:
        if organization.id in self._organizations:
            raise AlreadyExists("there is such an organization")
        self._require_user(admin)
        self._organizations[organization.id] = organization
        self._join(organization.id, admin, Role.ADMIN, organization.created_at)
        if anonymous is not None:
            await self.create_key(anonymous.key, anonymous.sealed_secret)
            await self.put_identity_provider(anonymous.identity_provider)
            await self.put_token_provider(anonymous.token_provider)

    async def organization(self, organization_id: OrganizationId) -> Organization | None:
        return self._organizations.get(organization_id)

    async def create_key(self, key: Key, sealed_secret: bytes) -> None:
        if key.id in self._keys:
            raise AlreadyExists("there is such a key")
        if key.organization_id not in self._organizations:
            raise NotFound("there is no such organization")
        self._keys[key.id] = (next(self._numbers), key, sealed_secret)

    async def key(self, key_id: KeyId) -> tuple[Key, bytes] | None:
        found = self._keys.get(key_id)
        return found and found[1:]

    async def list_keys(self, organization_id: OrganizationId, *, cursor: str | None) -> Page[Key]:
        keys = (
            (number, key)
            for number, key, _ in self._keys.values()
            if key.organization_id == organization_id
        )
        return read_page(keys, f"keys of {organization_id}", cursor)

    async def delete_key(self, organization_id: OrganizationId, key_id: KeyId) -> bool:
        found = self._keys.get(key_id)
        if found is None or found[1].organization_id != organization_id:
            return False
        del self._keys[key_id]
        return True

    async def create_machine(
        self,
        organization_id: OrganizationId,
        name: MachineName,
        indexes: tuple[str, ...],
        now: datetime,
    ) -> None:
        if await self.machine(organization_id, name) is not None:
            raise AlreadyExists("there is such a machine")
        if organization_id not in self._organizations:
            raise NotFound("there is no such organization")
        machine = Machine(next(self._machine_ids), organization_id, name, indexes, now, None)
        self._machines[machine.id] = machine

    async def machine(self, organization_id: OrganizationId, name: MachineName) -> Machine | None:
        return self._machine_named(organization_id, name)

    def _machine_named(self, organization_id: OrganizationId, name: MachineName) -> Machine | None:
        machines = self._machines_of(organization_id)
        return next((machine for machine in machines if machine.name == name), None)

    def _machines_of(self, organization_id: OrganizationId) -> list[Machine]:
        """Without those that are being imported."""
        return [
            machine
            for machine in self._machines.values()
            if machine.organization_id == organization_id and machine.id not in self._staged
        ]

    async def list_machines(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[Machine]:
        machines = ((machine.id, machine) for machine in self._machines_of(organization_id))
        return read_page(machines, f"machines of {organization_id}", cursor)

    async def set_retention(self, machine_id: int, retention: Retention) -> None:
        if machine_id in self._machines:
            self._retentions[machine_id] = retention

    async def retention(self, machine_id: int) -> Retention:
        return self._retentions.get(machine_id, Retention())

    async def machine_retentions(self, *, after: int, limit: int) -> Sequence[MachineRetention]:
        ids = [id for id in sorted(self._machines) if id > after and id not in self._staged]
        return [MachineRetention(number, await self.retention(number)) for number in ids[:limit]]

    async def machine_log_ages(self, *, after: int, limit: int) -> Sequence[MachineLogAge]:
        found = [
            MachineLogAge(number, machine.organization_id, machine.name, logs.max_age)
            for number, machine in sorted(self._machines.items())
            if number > after
            and number not in self._staged
            and (logs := (await self.retention(number)).logs) is not None
            and logs.max_age is not None
        ]
        return found[:limit]

    async def delete_machine(self, machine_id: int) -> None:
        self._machines.pop(machine_id, None)
        self._retentions.pop(machine_id, None)
        self._staged.pop(machine_id, None)
        for published in list(self._versions.values()):
            if published.version.machine_id == machine_id:
                del self._versions[published.version.id]
        self._forget_migrations(machine_id)

    async def save_upload(self, code_id: CodeId, upload: Upload, *, expires_at: datetime) -> None:
        self._uploads[code_id] = _Uploaded(upload, expires_at)

    async def upload(self, code_id: CodeId) -> Upload | None:
        uploaded = self._uploads.get(code_id)
        return uploaded and uploaded.upload

    async def forget_expired_uploads(self, *, now: datetime) -> int:
        expired = [id for id, uploaded in self._uploads.items() if uploaded.expires_at <= now]
        for version_id in expired:
            del self._uploads[version_id]
        return len(expired)

    async def create_version(
        self, version: MachineVersion, code: bytes, *, make_current: bool
    ) -> None:
        if version.id in self._versions:
            raise AlreadyExists("this version was published before")
        machine = self._machines.get(version.machine_id)
        if machine is None:
            raise NotFound("there is no such machine")
        self._versions[version.id] = _Published(next(self._numbers), version, code)
        self._uploads.pop(version.id, None)
        if make_current:
            self._machines[machine.id] = replace(machine, current_version=info_of(version))

    async def create_migration(self, migration: Migration, code: bytes) -> None:
        versions = {migration.from_version, migration.to_version}
        if migration.machine_id not in self._machines or not versions <= self._versions.keys():
            raise NotFound("the machine is gone")
        await super().create_migration(migration, code)
        self._uploads.pop(migration.id, None)

    async def version(self, version_id: VersionId) -> MachineVersion | None:
        published = self._versions.get(version_id)
        return published and published.version

    async def version_code(self, version_id: VersionId) -> bytes | None:
        published = self._versions.get(version_id)
        return published and published.code

    async def list_versions(self, machine_id: int, *, cursor: str | None) -> Page[VersionInfo]:
        versions = (
            (published.number, info_of(published.version))
            for published in self._versions.values()
            if published.version.machine_id == machine_id
        )
        return read_page(versions, f"versions of {machine_id}", cursor)


def info_of(version: MachineVersion) -> VersionInfo:
    """What lists show of a version."""
    return VersionInfo(version.id, version.created_at, version.client_info)

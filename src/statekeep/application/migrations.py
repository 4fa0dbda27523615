"""Migrations of machines: from a place to upload code to, over the upload, to a migration that instances can take.

As with versions, nothing is kept between the steps but the upload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from statekeep.application.code import unpack
from statekeep.application.ids import new_id
from statekeep.application.machines import find_machine
from statekeep.application.versions import Provisional, upload_token
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import AlreadyExists, InvalidParameter, InvalidState, NotFound
from statekeep.domain.limits import MIGRATIONS_PER_MACHINE_MAX, SIGNED_ID_VALID_FOR
from statekeep.domain.machine import Machine
from statekeep.domain.migration import Migration
from statekeep.domain.names import MachineName, MigrationId, OrganizationId, VersionId
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.entropy import Entropy
from statekeep.ports.pages import Page
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import Catalog
from statekeep.ports.tokens import Tokens

_PUBLISH = "publish-migration"


class Migrations:
    """What callers may do with migrations. `on_published` hears the machine of each that is new."""

    def __init__(
        self,
        catalog: Catalog,
        runtime: Runtime,
        tokens: Tokens,
        clock: Clock,
        entropy: Entropy,
        *,
        on_published: Callable[[int], None],
    ) -> None:
        self._catalog = catalog
        self._runtime = runtime
        self._tokens = tokens
        self._clock = clock
        self._entropy = entropy
        self._on_published = on_published

    async def list(
        self, caller: AuthContext, machine: MachineName, cursor: str | None
    ) -> Page[Migration]:
        """Newest first. Raises NotFound where there is no such machine."""
        organization_id = require_scope(caller, "machine-versions.read")
        found = await find_machine(self._catalog, organization_id, machine)
        return await self._catalog.list_migrations(found.id, cursor=cursor)

    async def provision(
        self, caller: AuthContext, machine: MachineName, start: VersionId, target: VersionId
    ) -> Provisional:
        """A new migration's id, signed. Nothing is stored before code arrives. Raises NotFound and InvalidParameter."""
        organization_id = require_scope(caller, "machine-versions.write")
        found = await find_machine(self._catalog, organization_id, machine)
        await self._require_version(found, start, "fromMachineVersionId")
        await self._require_version(found, target, "toMachineVersionId")
        if start == target:
            raise InvalidParameter(
                "a migration leads from one version to another", parameter="toMachineVersionId"
            )
        migration_id = MigrationId(new_id("mig", self._entropy))
        now = self._clock.now_ms() / 1000
        claims = {
            "organization": organization_id,
            "machine": found.id,
            "migration": migration_id,
            "from": start,
            "to": target,
        }
        valid_for = int(SIGNED_ID_VALID_FOR.total_seconds())
        return Provisional(
            self._tokens.sign(_PUBLISH, claims, now=now, valid_for_seconds=valid_for),
            upload_token(self._tokens, {"migration": migration_id}, now=now),
        )

    async def publish(
        self, caller: AuthContext, machine: MachineName, signed_id: str
    ) -> MigrationId:
        """Make a migration of what was uploaded. Saying the same again returns the same id.

        Raises InvalidCode where the code is no usable migration, InvalidParameter where nothing was uploaded or the signed id is forged or
        expired, and InvalidState where the machine has as many as it may; nothing is published then.
        """
        organization_id = require_scope(caller, "machine-versions.write")
        found = await find_machine(self._catalog, organization_id, machine)
        claims = self._tokens.verify(_PUBLISH, signed_id, now=self._clock.now_ms() / 1000)
        # A machine that was deleted and made again is another machine, so its number decides, not its name.
        if (OrganizationId(claims["organization"]), claims["machine"]) != (
            organization_id,
            found.id,
        ):
            raise NotFound("there is no such migration of this machine")
        migration_id = MigrationId(claims["migration"])
        if await self._catalog.migration(migration_id) is None:
            versions = (VersionId(claims["from"]), VersionId(claims["to"]))
            await self._publish_upload(found, migration_id, versions)
        return migration_id

    async def _publish_upload(
        self, machine: Machine, migration_id: MigrationId, versions: tuple[VersionId, VersionId]
    ) -> None:
        upload = await self._catalog.upload(migration_id)
        if upload is None:
            raise InvalidParameter("no code was uploaded for this migration", parameter="file")
        if len(await self._catalog.migrations(machine.id)) >= MIGRATIONS_PER_MACHINE_MAX:
            raise InvalidState(f"a machine has at most {MIGRATIONS_PER_MACHINE_MAX} migrations")
        code = await asyncio.to_thread(unpack, upload)
        await self._runtime.inspect_migration(machine.organization_id, code.module)
        created_at = datetime_of(self._clock.now_ms())
        migration = Migration(migration_id, machine.id, *versions, created_at, code.sha256)
        try:
            await self._catalog.create_migration(migration, code.module)
        except AlreadyExists:
            return
        self._on_published(machine.id)

    async def _require_version(
        self, machine: Machine, version_id: VersionId, parameter: str
    ) -> None:
        version = await self._catalog.version(version_id)
        if version is None or version.machine_id != machine.id:
            raise InvalidParameter(
                f"machine {machine.name} has no version {version_id}", parameter=parameter
            )

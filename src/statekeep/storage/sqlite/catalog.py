"""Organizations, keys, machines, versions and uploads in SQLite."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import apsw

from statekeep.domain.access import Role
from statekeep.domain.errors import InvalidState
from statekeep.domain.machine import (
    Key,
    Machine,
    MachineVersion,
    Organization,
    Usage,
    VersionInfo,
)
from statekeep.domain.names import CodeId, KeyId, MachineName, OrganizationId, UserId, VersionId
from statekeep.domain.retention import MachineLogAge, MachineRetention, Retention
from statekeep.domain.token_exchange import AnonymousAccess
from statekeep.ports.pages import Page
from statekeep.ports.store import Catalog, Upload
from statekeep.storage.pages import page_of
from statekeep.storage.sqlite.indexes import start_fill
from statekeep.storage.sqlite.migrations import SqliteMigrations
from statekeep.storage.sqlite.named import QUERIES, run
from statekeep.storage.sqlite.people import SqlitePeople
from statekeep.storage.sqlite.providers import SqliteProviders
from statekeep.storage.sqlite.rows import (
    identity_provider_columns,
    json_of,
    key_columns,
    key_of,
    machine_of,
    microseconds_of,
    organization_of,
    retention_json,
    retention_of,
    token_provider_columns,
    version_info_of,
    version_of,
)


class SqliteCatalog(SqlitePeople, SqliteProviders, SqliteMigrations, Catalog):
    """What people set up."""

    async def create_organization(
        self, organization: Organization, admin: UserId, anonymous: AnonymousAccess | None = None
    ) -> None:
        def create(connection: apsw.Connection) -> None:
            run(
                connection,
                "create_organization",
                id=organization.id,
                name=organization.name,
                created_at=microseconds_of(organization.created_at),
                allow_anonymous_access=organization.allow_anonymous_access,
            )
            run(
                connection,
                "add_member",
                user_id=admin,
                organization_id=organization.id,
                role=Role.ADMIN.value,
                joined_at=microseconds_of(organization.created_at),
            )
            if anonymous is not None:
                _admit_anybody(connection, anonymous)

        await self._database.write(create)

    async def organization(self, organization_id: OrganizationId) -> Organization | None:
        row = self._read("organization", id=organization_id)
        return None if row is None else organization_of(*row)

    async def usage(self, organization_id: OrganizationId) -> Usage:
        named = {"organization_id": organization_id}
        (counts,) = await self._database.scan_rows(QUERIES["usage"], named)
        return Usage(*counts)

    async def create_key(self, key: Key, sealed_secret: bytes) -> None:
        await self._change("create_key", **key_columns(key, sealed_secret))

    async def key(self, key_id: KeyId) -> tuple[Key, bytes] | None:
        row = self._read("key", id=key_id)
        return None if row is None else (key_of(*row[1:]), row[0])

    async def list_keys(self, organization_id: OrganizationId, *, cursor: str | None) -> Page[Key]:
        listing = f"keys of {organization_id}"
        rows = await self._list("list_keys", listing, cursor, organization_id=organization_id)
        return page_of([(number, key_of(*columns)) for number, *columns in rows], listing)

    async def delete_key(self, organization_id: OrganizationId, key_id: KeyId) -> bool:
        return await self._change("delete_key", organization_id=organization_id, id=key_id) > 0

    async def create_machine(
        self,
        organization_id: OrganizationId,
        name: MachineName,
        indexes: tuple[str, ...],
        now: datetime,
    ) -> None:
        await self._change(
            "create_machine",
            organization_id=organization_id,
            name=name,
            indexes=json_of(indexes),
            created_at=microseconds_of(now),
        )

    async def machine(self, organization_id: OrganizationId, name: MachineName) -> Machine | None:
        def read() -> Machine | None:
            row = self._read("machine", organization_id=organization_id, name=name)
            return None if row is None else machine_of(*row)

        return self._database.keep((organization_id, name), read)

    async def list_machines(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[Machine]:
        listing = f"machines of {organization_id}"
        rows = await self._list("list_machines", listing, cursor, organization_id=organization_id)
        return page_of([(columns[0], machine_of(*columns)) for columns in rows], listing)

    async def set_retention(self, machine_id: int, retention: Retention) -> None:
        json = retention_json(retention)
        await self._change("set_retention", machine_id=machine_id, retention=json)

    async def retention(self, machine_id: int) -> Retention:
        row = self._read("retention", machine_id=machine_id)
        return retention_of(None if row is None else row[0])

    async def machine_retentions(self, *, after: int, limit: int) -> Sequence[MachineRetention]:
        named = {"after": after, "limit": limit}
        rows = await self._database.scan_rows(QUERIES["machine_retentions"], named)
        return [MachineRetention(number, retention_of(json)) for number, json in rows]

    async def machine_log_ages(self, *, after: int, limit: int) -> Sequence[MachineLogAge]:
        named = {"after": after, "limit": limit}
        rows = await self._database.scan_rows(QUERIES["machine_log_ages"], named)
        return [
            MachineLogAge(number, organization_id, name, timedelta(milliseconds=age_ms))
            for number, organization_id, name, age_ms in rows
        ]

    async def delete_machine(self, machine_id: int) -> None:
        def delete(connection: apsw.Connection) -> None:
            if run(connection, "has_instances", machine_id=machine_id).get:
                raise InvalidState("the machine has instances")
            run(connection, "delete_machine", machine_id=machine_id)

        await self._database.write(delete, is_long=True)

    async def save_upload(self, code_id: CodeId, upload: Upload, *, expires_at: datetime) -> None:
        def save(connection: apsw.Connection) -> None:
            expiry = microseconds_of(expires_at)
            named = {"version_id": code_id, **upload._asdict(), "expires_at": expiry}
            run(connection, "save_upload", **named)

        await self._database.write(save, is_long=True)

    async def upload(self, code_id: CodeId) -> Upload | None:
        rows = await self._database.scan_rows(QUERIES["upload"], {"version_id": code_id})
        return next((Upload(code, bool(is_gzipped)) for code, is_gzipped in rows), None)

    async def forget_expired_uploads(self, *, now: datetime) -> int:
        def forget(connection: apsw.Connection) -> int:
            run(connection, "forget_expired_uploads", now=microseconds_of(now))
            return connection.changes()

        return await self._database.write(forget, is_long=True)

    async def create_version(
        self, version: MachineVersion, code: bytes, *, make_current: bool
    ) -> None:
        # A second for 10 MB: not within the transaction.
        deflated = await asyncio.to_thread(zlib.compress, code)

        def create(connection: apsw.Connection) -> None:
            _insert_version(connection, version)
            number = connection.last_insert_rowid()
            run(connection, "create_module", version=number, deflated=deflated)
            run(connection, "delete_upload", version_id=version.id)
            if make_current:
                start_fill(connection, version, number)
                run(connection, "make_current", version=number, machine_id=version.machine_id)

        await self._database.write(create, is_long=True)

    async def version(self, version_id: VersionId) -> MachineVersion | None:
        def read() -> MachineVersion | None:
            row = self._read("version", version_id=version_id)
            return None if row is None else version_of(*row)

        return self._database.keep(version_id, read)

    async def version_code(self, version_id: VersionId) -> bytes | None:
        def read(connection: apsw.Connection) -> bytes | None:
            deflated = run(connection, "version_code", version_id=version_id).get
            return None if deflated is None else zlib.decompress(deflated)

        return await self._database.scan(read)

    async def list_versions(self, machine_id: int, *, cursor: str | None) -> Page[VersionInfo]:
        listing = f"versions of {machine_id}"
        rows = await self._list("list_versions", listing, cursor, machine_id=machine_id)
        return page_of([(number, version_info_of(*columns)) for number, *columns in rows], listing)


def _admit_anybody(connection: apsw.Connection, anonymous: AnonymousAccess) -> None:
    run(connection, "create_key", **key_columns(anonymous.key, anonymous.sealed_secret))
    issuer = identity_provider_columns(anonymous.identity_provider)
    run(connection, "put_identity_provider", **issuer)
    run(connection, "put_token_provider", **token_provider_columns(anonymous.token_provider))


def _insert_version(connection: apsw.Connection, version: MachineVersion) -> None:
    run(
        connection,
        "create_version",
        id=version.id,
        machine_id=version.machine_id,
        created_at=microseconds_of(version.created_at),
        client_info=version.client_info,
        index_selectors=json_of(version.index_selectors),
        xstate_major=version.xstate_major,
        code_hash=version.code_hash,
    )

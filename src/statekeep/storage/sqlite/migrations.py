"""Migrations between versions in SQLite."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any

import apsw

from statekeep.domain.limits import MIGRATIONS_PER_MACHINE_MAX
from statekeep.domain.migration import Migration
from statekeep.domain.names import MigrationId
from statekeep.ports.pages import Page
from statekeep.ports.store import MigrationCatalog
from statekeep.storage.pages import NEWEST, page_of
from statekeep.storage.sqlite.named import QUERIES, NamedQueries, run
from statekeep.storage.sqlite.rows import instant_of, microseconds_of


class SqliteMigrations(NamedQueries, MigrationCatalog):
    """How instances get from one version to another."""

    async def create_migration(self, migration: Migration, code: bytes) -> None:
        deflated = await asyncio.to_thread(zlib.compress, code)

        def create(connection: apsw.Connection) -> None:
            run(connection, "create_migration", **_columns(migration))
            number = connection.last_insert_rowid()
            run(connection, "create_migration_module", migration=number, deflated=deflated)
            run(connection, "delete_upload", version_id=migration.id)

        await self._database.write(create, is_long=True)

    async def migration(self, migration_id: MigrationId) -> Migration | None:
        row = self._read("migration", migration_id=migration_id)
        return None if row is None else _migration_of(*row)

    async def migration_code(self, migration_id: MigrationId) -> bytes | None:
        def read(connection: apsw.Connection) -> bytes | None:
            deflated = run(connection, "migration_code", migration_id=migration_id).get
            return None if deflated is None else zlib.decompress(deflated)

        return await self._database.scan(read)

    async def migrations(self, machine_id: int) -> Sequence[Migration]:
        named = {
            "machine_id": machine_id,
            "first": NEWEST,
            "limit": MIGRATIONS_PER_MACHINE_MAX,
        }
        rows = await self._database.scan_rows(QUERIES["list_migrations"], named)
        return [_migration_of(*columns) for _, *columns in rows]

    async def list_migrations(self, machine_id: int, *, cursor: str | None) -> Page[Migration]:
        listing = f"migrations of {machine_id}"
        rows = await self._list("list_migrations", listing, cursor, machine_id=machine_id)
        return page_of([(number, _migration_of(*columns)) for number, *columns in rows], listing)


def _columns(migration: Migration) -> dict[str, Any]:
    return {
        "id": migration.id,
        "machine_id": migration.machine_id,
        "from_version": migration.from_version,
        "to_version": migration.to_version,
        "created_at": microseconds_of(migration.created_at),
        "code_hash": migration.code_hash,
    }


def _migration_of(
    id: Any, machine_id: int, source: Any, target: Any, created_at: int, code_hash: bytes
) -> Migration:
    return Migration(id, machine_id, source, target, instant_of(created_at), code_hash)

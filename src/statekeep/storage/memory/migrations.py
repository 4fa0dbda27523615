"""Migrations between versions in a dictionary."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from statekeep.domain.errors import AlreadyExists
from statekeep.domain.migration import Migration
from statekeep.domain.names import MigrationId
from statekeep.ports.pages import Page
from statekeep.ports.store import MigrationCatalog
from statekeep.storage.memory.lists import read_page


class _Published(NamedTuple):
    number: int
    migration: Migration
    code: bytes


class MemoryMigrations(MigrationCatalog):
    """In the order in which they were made."""

    def __init__(self) -> None:
        super().__init__()
        self._migration_numbers = itertools.count(1)
        self._migrations: dict[MigrationId, _Published] = {}

    async def create_migration(self, migration: Migration, code: bytes) -> None:
        if migration.id in self._migrations:
            raise AlreadyExists("this migration was published before")
        number = next(self._migration_numbers)
        self._migrations[migration.id] = _Published(number, migration, code)

    async def migration(self, migration_id: MigrationId) -> Migration | None:
        published = self._migrations.get(migration_id)
        return published and published.migration

    async def migration_code(self, migration_id: MigrationId) -> bytes | None:
        published = self._migrations.get(migration_id)
        return published and published.code

    async def migrations(self, machine_id: int) -> Sequence[Migration]:
        return [migration for _, migration in reversed(self._of(machine_id))]

    async def list_migrations(self, machine_id: int, *, cursor: str | None) -> Page[Migration]:
        return read_page(self._of(machine_id), f"migrations of {machine_id}", cursor)

    def _of(self, machine_id: int) -> list[tuple[int, Migration]]:
        return [
            (number, migration)
            for number, migration, _ in self._migrations.values()
            if migration.machine_id == machine_id
        ]

    def _forget_migrations(self, machine_id: int) -> None:
        for _, migration in self._of(machine_id):
            del self._migrations[migration.id]

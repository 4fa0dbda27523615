"""Where a migration begins: a stub for its author to finish."""

from __future__ import annotations

import asyncio

from statekeep.application.machines import find_machine
from statekeep.application.selections import find_version
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.names import MachineName, VersionId
from statekeep.ports.runtime import Runtime
from statekeep.ports.snapshots import ReadPlaces, WriteStub
from statekeep.ports.store import Store


class MigrationStubs:
    """Writes what a migration may begin as."""

    def __init__(
        self, store: Store, runtime: Runtime, *, read_places: ReadPlaces, write_stub: WriteStub
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._read_places = read_places
        self._write_stub = write_stub

    async def write(
        self, caller: AuthContext, machine: MachineName, start: VersionId, target: VersionId
    ) -> str:
        """Source text in TypeScript. Raises NotFound, InvalidParameter, and what the runtime raises where a version cannot be loaded."""
        organization_id = require_scope(caller, "machine-versions.read")
        found = await find_machine(self._store, organization_id, machine)
        before = await find_version(self._store, found, start, "from")
        after = await find_version(self._store, found, target, "to")
        outlines = [await self._runtime.describe(version) for version in (before, after)]
        places = [self._read_places(outline) for outline in outlines]
        return await asyncio.to_thread(self._write_stub, start, target, *places)

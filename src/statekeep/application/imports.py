"""Imports: an export becomes machines of the caller's organization, all of it at once or nothing (docs/export.md).

What an import brings is data from elsewhere: it is checked as if a stranger had sent it piece by piece. It is staged in the store, where nobody finds it, and published
when its end was seen; until then there is nothing that a crash could leave half done but what the next start removes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from statekeep.application.ids import new_id
from statekeep.application.importing import Import, ImportSummary
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import Overloaded
from statekeep.domain.limits import IMPORTS_MAX
from statekeep.domain.transfer import ImportId
from statekeep.ports.entropy import Entropy
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import Store

__all__ = ["IMPORT_SCOPES", "Import", "ImportSummary", "Imports"]

_log = logging.getLogger(__name__)

IMPORT_SCOPES: Final = ("machines.admin", "machine-versions.write", "instances.admin")
RETRY_SECONDS: Final = 1.0
"""Before what is left of an import is removed again, after the store has failed."""


class Imports:
    """What callers may bring along. `on_published` are called when machines have become visible that were not made here."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        entropy: Entropy,
        *,
        on_published: tuple[Callable[[], None], ...],
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._entropy = entropy
        self._on_published = on_published
        self._under_way = 0
        self._sweeping: asyncio.Task[None] | None = None
        self._discarding: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to remove what imports of earlier processes left. Returns before it is finished."""
        self._sweeping = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Leave the rest for the next start. Safe to call twice."""
        tasks = [*self._discarding, *([self._sweeping] if self._sweeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def begin(self, caller: AuthContext) -> AsyncIterator[Import]:
        """An import into the caller's organization. Left before it was finished, all that it brought is removed again.

        Raises Overloaded where too many are under way.
        """
        for scope in IMPORT_SCOPES:
            organization_id = require_scope(caller, scope)
        if self._under_way >= IMPORTS_MAX:
            raise Overloaded(f"{IMPORTS_MAX} imports are under way already", retry_after_seconds=60)
        self._under_way += 1
        try:
            # What is left of an earlier one still has ids that this one may bring again.
            if self._sweeping is not None:
                await asyncio.shield(self._sweeping)
            import_id = ImportId(new_id("imp", self._entropy))
            running = Import(self._store, self._runtime, self._entropy, organization_id, import_id)
            try:
                yield running
            finally:
                if not running.is_published:
                    await self._discard(running, import_id)
        finally:
            self._under_way -= 1
        for tell in self._on_published if running.is_published else ():
            tell()

    async def _discard(self, running: Import, import_id: ImportId) -> None:
        """Goes on where whoever waits for it is gone."""

        async def discard() -> None:
            await running.settle()
            await self._discard_until_done(import_id)

        task = asyncio.create_task(discard())
        self._discarding.add(task)
        task.add_done_callback(self._discarding.discard)
        await asyncio.shield(task)

    async def _discard_until_done(self, import_id: ImportId) -> None:
        while True:
            try:
                await self._store.discard_import(import_id)
            except Exception:
                _log.exception("what is left of an import could not be removed; trying again")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _sweep(self) -> None:
        while True:
            try:
                left = await self._store.staged_imports()
                break
            except Exception:
                _log.exception("what is left of imports could not be read; trying again")
                await asyncio.sleep(RETRY_SECONDS)
        for import_id in left:
            await self._discard_until_done(import_id)

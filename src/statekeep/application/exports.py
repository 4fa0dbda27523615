"""Exports: everything of an organization, or of one of its machines, as it was at one moment (docs/export.md)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import NamedTuple

from statekeep.application.machines import find_machine
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import NotFound
from statekeep.domain.machine import Organization
from statekeep.domain.names import MachineName
from statekeep.domain.transfer import ExportSelection, JournalPart, Record
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.store import Store

EXPORT_SCOPES = ("machines.admin", "instances.admin")
"""An export shows all code and all contexts, without asking any machine."""


class Export(NamedTuple):
    """One that is about to begin. Nothing is held before the first portion; whoever took one closes `portions`."""

    organization: Organization
    exported_at: datetime
    journal: JournalPart
    portions: AsyncGenerator[Sequence[Record], None]


class Exports:
    """What callers may take along."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def begin(
        self, caller: AuthContext, machine: MachineName | None, journal: JournalPart
    ) -> Export:
        """Of one machine, or of the whole organization. Raises NotFound; the first portion raises Overloaded where too many are under way."""
        for scope in EXPORT_SCOPES:
            organization_id = require_scope(caller, scope)
        organization = await self._store.organization(organization_id)
        if organization is None:
            raise NotFound("there is no such organization")
        if machine is not None:
            await find_machine(self._store, organization_id, machine)
        wanted = ExportSelection(organization_id, machine, journal)
        now = datetime_of(self._clock.now_ms())
        return Export(organization, now, journal, self._store.export(wanted))

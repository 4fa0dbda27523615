"""How long a machine keeps what it has done and printed: chosen by those who may change it.

What the server's operator has chosen is the default. For log entries it is the most as well: what people did may stand in them, and
whoever promises that it is gone after some time has to be able to keep that promise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from statekeep.application.machines import find_machine
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.durations import format_duration
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import RETENTION_AGE_MIN, RETENTION_ENTRIES_MAX
from statekeep.domain.names import MachineName
from statekeep.domain.retention import JournalBounds, LogBounds, Retention
from statekeep.ports.store import Catalog


class RetentionInEffect(NamedTuple):
    """What was chosen for a machine, and what comes of that and of the server's defaults."""

    chosen: Retention
    journal: JournalBounds
    logs_max_age: timedelta


class Retentions:
    """Use cases around retention. `on_change` hears that there may be something to remove."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        default: JournalBounds,
        logs_kept_for: timedelta,
        on_change: Sequence[Callable[[], None]],
    ) -> None:
        self._catalog = catalog
        self._default = default
        self._logs_kept_for = logs_kept_for
        self._on_change = on_change

    async def get(self, caller: AuthContext, machine: MachineName) -> RetentionInEffect:
        """Raises NotFound."""
        organization_id = require_scope(caller, "machines.read")
        found = await find_machine(self._catalog, organization_id, machine)
        return self._in_effect(await self._catalog.retention(found.id))

    async def put(
        self, caller: AuthContext, machine: MachineName, retention: Retention
    ) -> RetentionInEffect:
        """Choose, in place of what was chosen before. What is beyond it goes soon, for ever. Raises NotFound and InvalidParameter."""
        organization_id = require_scope(caller, "machines.write")
        found = await find_machine(self._catalog, organization_id, machine)
        require_sensible(retention)
        if retention.logs is not None:
            self._require_possible(retention.logs)
        await self._catalog.set_retention(found.id, retention)
        for tell in self._on_change:
            tell()
        return self._in_effect(retention)

    def _in_effect(self, chosen: Retention) -> RetentionInEffect:
        # A setting that was made shorter afterwards counts at once, whatever was chosen under the old one.
        logs_max_age = min(
            (chosen.logs and chosen.logs.max_age) or self._logs_kept_for, self._logs_kept_for
        )
        return RetentionInEffect(chosen, chosen.journal or self._default, logs_max_age)

    def _require_possible(self, bounds: LogBounds) -> None:
        if bounds.max_age is not None and bounds.max_age > self._logs_kept_for:
            most = format_duration(self._logs_kept_for)
            raise InvalidParameter(
                f"log entries are kept on this server for {most} at the most", parameter="maxAge"
            )


def require_sensible(retention: Retention) -> None:
    """Raises InvalidParameter where it keeps too little to be meant, or more than there can be."""
    journal, logs = retention
    if journal is not None:
        _require_age(journal.max_age, "transitions")
        entries = journal.max_entries
        if entries is not None and not 1 <= entries <= RETENTION_ENTRIES_MAX:
            raise InvalidParameter(
                f"a number of transitions from 1 to {RETENTION_ENTRIES_MAX}, or none for all of them",
                parameter="maxEntries",
            )
    if logs is not None:
        _require_age(logs.max_age, "log entries")


def _require_age(max_age: timedelta | None, what: str) -> None:
    if max_age is not None and max_age < RETENTION_AGE_MIN:
        least = format_duration(RETENTION_AGE_MIN)
        raise InvalidParameter(f"{what} are kept for {least} at least", parameter="maxAge")

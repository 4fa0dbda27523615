"""Log entries as members of an organization read them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakValueDictionary

from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import PAGE_SIZE
from statekeep.domain.log import LogEntry, LogSelection, whole_milliseconds
from statekeep.domain.names import OrganizationId
from statekeep.ports.store import LogStore


class LogPage(NamedTuple):
    """Part of a log. `newest_ms` is where to go on: past the last of the entries or, where there are none, past the same instant as before."""

    entries: Sequence[LogEntry]
    newest_ms: int


class Logs:
    """Reading logs. Entries come a little later than they were written, but never behind a reader's back (ports.store.LogStore)."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._turns: WeakValueDictionary[OrganizationId, asyncio.Lock] = WeakValueDictionary()
        """One reading of an organization at a time: who looks for what is rare in many entries keeps only their own waiting."""

    async def page(self, caller: AuthContext, wanted: LogSelection) -> LogPage:
        """The oldest entries that are wanted, at most `limits.PAGE_SIZE`, none of them part of a millisecond only (SPEC 2)."""
        organization_id = require_scope(caller, "logs.read")
        if wanted.until_ms is not None and wanted.until_ms < wanted.after_ms:
            raise InvalidParameter("`to` lies before `from`", parameter="to")
        turn = self._turns.setdefault(organization_id, asyncio.Lock())
        async with turn:
            found = await self._store.read_logs(organization_id, wanted, limit=PAGE_SIZE + 1)
        entries = whole_milliseconds(found, PAGE_SIZE)
        return LogPage(entries, entries[-1].ts_ms if entries else wanted.after_ms)

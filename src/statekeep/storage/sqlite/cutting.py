"""Cutting off the old end of a journal.

The way to it leads over everything that stays, and is walked on the reading thread, a stretch at a time. The cut itself is one small transaction: the oldest
entry that stays forgets the one before it, and what lies beyond becomes an orphaned journal, which is removed piece by piece like those of deleted instances.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import apsw

from statekeep.domain.names import InstanceId
from statekeep.domain.retention import JournalCut
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.database import Database

_QUERIES: Final = load_queries(__package__)

STRETCH_ENTRIES: Final = 256


class CutOff(NamedTuple):
    """How many entries were cut off, and the newest of them, which is an orphaned journal now."""

    entries: int
    journal_id: int | None


_NOTHING: Final = CutOff(0, None)


class _Entry(NamedTuple):
    journal_id: int
    previous_id: int | None
    revision: int
    ts: float


async def cut_off(database: Database, instance_id: InstanceId, cut: JournalCut) -> CutOff:
    """Cut off what has to go, which nobody can see from then on."""
    kept = await _oldest_to_keep(database, instance_id, cut)
    if kept is None:
        return _NOTHING
    return await database.write(lambda connection: _cut_before(connection, instance_id, kept))


async def _oldest_to_keep(
    database: Database, instance_id: InstanceId, cut: JournalCut
) -> _Entry | None:
    """None where nothing before it has to go."""
    newest = database.read_row(_QUERIES["newest_entry"], {"instance_id": instance_id})
    first = None if newest is None else newest[0]
    kept: _Entry | None = None
    while first is not None:
        named = {"first": first, "instance_id": instance_id, "limit": STRETCH_ENTRIES}
        entries = [_Entry(*row) for row in await database.scan_rows(_QUERIES["walk_ages"], named)]
        for entry in entries:
            if kept is not None and (entry.revision <= cut.revision or entry.ts < cut.ts):
                return kept
            kept = entry
        first = entries[-1].previous_id if entries else None
    return None


def _cut_before(connection: apsw.Connection, instance_id: InstanceId, kept: _Entry) -> CutOff:
    named = {"instance_id": instance_id, **kept._asdict()}
    connection.execute(_QUERIES["begin_journal"], named)
    if not connection.changes():
        # It was cut there already, or is being removed with its instance.
        return _NOTHING
    began = connection.execute(_QUERIES["journal_cut"], named).get or 1
    connection.execute(_QUERIES["note_cut"], named)
    connection.execute(_QUERIES["orphan_entry"], named)
    return CutOff(kept.revision - int(began), kept.previous_id)

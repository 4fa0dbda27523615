"""A journal read forwards, from some revision on.

Its entries only know the one before, so it is walked back once without reading them, a stretch at a time, and where each stretch begins is noted; then
the stretches are read, the oldest first. So what has to be kept is a number for each stretch, however long the journal.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final, NamedTuple

import apsw

from statekeep.domain.errors import HistoryGone
from statekeep.domain.event import Origin
from statekeep.domain.limits import JOURNAL_PORTION_BYTES_MAX
from statekeep.domain.names import InstanceId
from statekeep.ports.store import Transition
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.database import Database

_QUERIES: Final = load_queries(__package__)

STRETCH_ENTRIES: Final = 256


class _Stretch(NamedTuple):
    """Numbers of entries that follow each other, the newest first, and that of the one before them."""

    journal_ids: Sequence[int]
    previous_id: int | None


class _Entry(NamedTuple):
    """An entry as it was read. Housekeeping is no transition."""

    revision: int
    transition: Transition | None


class Replay:
    """Reads what happened to one instance past a revision."""

    def __init__(self, database: Database, instance_id: InstanceId, revision: int) -> None:
        self._database = database
        self._instance_id = instance_id
        self._revision = revision

    async def portions(self) -> AsyncGenerator[Sequence[Transition], None]:
        """See InstanceStore.transitions_after."""
        for first in reversed(await self._stretches()):
            stretch = await self._walk_back(first)
            journal_ids = list(reversed(stretch.journal_ids)) or [first]
            while journal_ids:
                portion = await self._read(journal_ids)
                if portion is None:
                    self._require_deletion()
                    return
                del journal_ids[: len(portion)]
                yield [entry.transition for entry in portion if entry.transition is not None]

    def _require_deletion(self) -> None:
        """Entries are missing: raises HistoryGone unless the instance is."""
        named = {"instance_id": self._instance_id}
        if self._database.read_row(_QUERIES["newest_entry"], named) is not None:
            cut = self._database.read_row(_QUERIES["journal_cut"], named)
            raise HistoryGone.before(cut[0] if cut else 1)

    async def _stretches(self) -> list[int]:
        """The newest entry of each stretch, the newest stretch first."""
        row = self._database.read_row(_QUERIES["newest_entry"], {"instance_id": self._instance_id})
        first = None if row is None else row[0]
        stretches: list[int] = []
        while first is not None:
            stretch = await self._walk_back(first)
            if not stretch.journal_ids:
                break
            stretches.append(first)
            first = stretch.previous_id
        return stretches

    async def _walk_back(self, first: int) -> _Stretch:
        rows = await self._database.scan_rows(
            _QUERIES["walk_back"],
            {
                "first": first,
                "instance_id": self._instance_id,
                "revision": self._revision,
                "limit": STRETCH_ENTRIES,
            },
        )
        return _Stretch([number for number, _ in rows], rows[-1][1] if rows else None)

    async def _read(self, journal_ids: Sequence[int]) -> list[_Entry] | None:
        """The first of these entries, as many as make a portion; None where one is gone, or one that comes before them."""

        def read(connection: apsw.Connection) -> list[_Entry] | None:
            portion: list[_Entry] = []
            size = 0
            for journal_id in journal_ids:
                row = connection.execute(_QUERIES["entry"], {"journal_id": journal_id}).fetchone()
                if row is None:
                    return None
                portion.append(_entry_of(*row))
                size += len(row[3]) + len(row[4])
                if size >= JOURNAL_PORTION_BYTES_MAX:
                    break
            return portion

        portion = await self._database.scan(read)
        # Revisions follow each other without a gap, so that what was cut off meanwhile shows.
        if portion is None or portion[0].revision != self._revision + 1:
            return None
        self._revision = portion[-1].revision
        return portion


def _entry_of(origin: int, revision: int, ts: float, event: bytes, snapshot: bytes) -> _Entry:
    is_transition = origin != Origin.HOUSEKEEPING
    transition = Transition(revision, ts, event, snapshot) if is_transition else None
    return _Entry(revision, transition)

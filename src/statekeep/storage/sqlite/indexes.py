"""Index entries and their fills in SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import apsw

from statekeep.domain.index import IndexChanges, IndexFill, IndexMatch, IndexQuery
from statekeep.domain.instance import NO_SELECTORS, ClaimedInstance
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId, InstanceName
from statekeep.ports.pages import Page
from statekeep.ports.store import ConflictingRevision, IndexedInstance, IndexStore
from statekeep.storage.index_pages import Place, PlaceRange, cursor_after, ranges_of
from statekeep.storage.sqlite.commits import index_rows
from statekeep.storage.sqlite.database import Row
from statekeep.storage.sqlite.named import QUERIES, NamedQueries, run
from statekeep.storage.sqlite.rows import index_fill_of, json_of, selectors_of

_ENTRIES: Final = QUERIES["index_entries_of_instance"]
_CURRENT_SELECTORS: Final = QUERIES["current_selectors"]


class SqliteIndexes(NamedQueries, IndexStore):
    """How instances are found."""

    def reindex(
        self, instance_id: InstanceId, revision: int, changes: IndexChanges
    ) -> asyncio.Future[None]:
        def change(connection: apsw.Connection) -> None:
            if not run(connection, "stands_at", instance_id=instance_id, revision=revision).get:
                raise ConflictingRevision("an instance is not at the revision it was indexed at")
            for query, entry in index_rows(instance_id, changes):
                connection.execute(query, entry)

        return self._database.write(change)

    async def query_index(self, query: IndexQuery, *, cursor: str | None) -> Page[IndexMatch]:
        ranges = ranges_of(query, cursor)

        def read(connection: apsw.Connection) -> list[Row]:
            rows: list[Row] = []
            for one in ranges:
                if len(rows) <= query.limit:
                    rows += _read_range(connection, query, one, query.limit + 1 - len(rows))
            return rows

        rows = await self._database.scan(read)
        matches = [IndexMatch(InstanceName(name), value) for value, _, name in rows[: query.limit]]
        if len(rows) <= query.limit:
            return Page(matches, None)
        value, instance_id, _ = rows[query.limit - 1]
        return Page(matches, cursor_after(query, Place(value, instance_id)))

    async def current_selectors(self, machine_id: int) -> Mapping[str, str]:
        row = self._database.read_row(_CURRENT_SELECTORS, (machine_id,))
        return NO_SELECTORS if row is None else selectors_of(row[0])

    async def index_fill(self, machine_id: int) -> IndexFill | None:
        row = self._read("index_fill", machine_id=machine_id)
        return None if row is None else index_fill_of(*row)

    async def next_index_fill(self, *, after: int) -> IndexFill | None:
        row = self._read("next_index_fill", after=after)
        return None if row is None else index_fill_of(*row)

    async def begin_index_fill(self, fill: IndexFill) -> IndexFill | None:
        fence = {"machine_id": fill.machine_id, "generation": fill.generation}

        def begin(connection: apsw.Connection) -> IndexFill | None:
            run(connection, "begin_index_fill", **fence)
            if not connection.changes():
                return None
            rows: list[Row] = run(connection, "index_fill", machine_id=fill.machine_id).fetchall()
            return index_fill_of(*rows[0])

        return await self._database.write(begin, is_long=True)

    async def advance_index_fill(self, fill: IndexFill) -> bool:
        changed = await self._change(
            "advance_index_fill",
            machine_id=fill.machine_id,
            generation=fill.generation,
            position=fill.position,
            done=fill.done,
        )
        return changed > 0

    async def end_index_fill(self, fill: IndexFill) -> None:
        fence = {"machine_id": fill.machine_id, "generation": fill.generation}
        await self._change("end_index_fill", **fence)

    async def instances_to_index(self, fill: IndexFill, *, limit: int) -> Sequence[IndexedInstance]:
        named = {"position": fill.position, "last": fill.last, "limit": limit}
        rows = await self._database.scan_rows(
            QUERIES["instances_to_index"], {"machine_id": fill.machine_id, **named}
        )
        return [IndexedInstance(*columns) for columns in rows]


def with_indexes(connection: apsw.Connection, claimed: ClaimedInstance) -> ClaimedInstance:
    """An instance of a machine with indexes, as far as these go."""
    entries: list[Row] = connection.execute(_ENTRIES, (claimed.id,)).fetchall()
    current = connection.execute(_CURRENT_SELECTORS, (claimed.version.machine_id,)).get
    return claimed._replace(
        index_entries=frozenset((name, value) for name, value in entries),
        current_selectors=NO_SELECTORS if current is None else selectors_of(current),
    )


def start_fill(connection: apsw.Connection, version: MachineVersion, number: int) -> None:
    """Begin to fill the indexes for which a version selects otherwise than the current one, whose place it is about to take."""
    machine_id = version.machine_id
    current = connection.execute(_CURRENT_SELECTORS, (machine_id,)).get
    before = {} if current is None else selectors_of(current)
    changed = dict(before.items() ^ version.index_selectors.items())
    if not changed:
        return
    names: list[str] | None = sorted(changed)
    rows: list[Row] = run(connection, "index_fill", machine_id=machine_id).fetchall()
    if rows:
        unfinished = index_fill_of(*rows[0]).indexes
        names = None if unfinished is None else sorted({*changed, *unfinished})
    listed = None if names is None else json_of(names)
    run(connection, "start_index_fill", machine_id=machine_id, generation=number, names=listed)


def _read_range(
    connection: apsw.Connection, query: IndexQuery, one: PlaceRange, limit: int
) -> list[Row]:
    rows: list[Row] = run(
        connection,
        "query_index_descending" if query.is_descending else "query_index_ascending",
        machine_id=query.machine_id,
        index=query.index_name,
        low_value=one.low.value,
        low_id=one.low.instance_id,
        high_value=one.high.value,
        high_id=one.high.instance_id,
        limit=limit,
    ).fetchall()
    return rows

"""Running the queries of `queries.sql` by name."""

from __future__ import annotations

from typing import Final

import apsw

from statekeep.storage.pages import ROWS_MAX, first_number
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.database import Database, Row

QUERIES: Final = load_queries(__package__)


class NamedQueries:
    """The ways of `Database` for one statement each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _read(self, query: str, **named: apsw.SQLiteValue) -> Row | None:
        """The first row, at once."""
        return self._database.read_row(QUERIES[query], named)

    async def _list(
        self, query: str, listing: str, cursor: str | None, **named: apsw.SQLiteValue
    ) -> list[Row]:
        """The rows of one page, on a thread."""
        bounds = {"first": first_number(cursor, listing), "limit": ROWS_MAX}
        return await self._database.scan_rows(QUERIES[query], named | bounds)

    async def _change(self, query: str, **named: apsw.SQLiteValue) -> int:
        """Run one statement with the next batch; returns how many rows it changed."""

        def change(connection: apsw.Connection) -> int:
            run(connection, query, **named)
            return connection.changes()

        return await self._database.write(change)


def run(connection: apsw.Connection, query: str, **named: apsw.SQLiteValue) -> apsw.Cursor:
    """The rows of one query."""
    return connection.execute(QUERIES[query], named)

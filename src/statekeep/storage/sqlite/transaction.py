"""One transaction for a batch of writes.

Writes of a batch fail alone. The batch is first written as if nothing could go wrong, which costs nothing per write; if something does,
it is rolled back and written again with a savepoint around each; if that cannot be either, each is written in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, cast

import apsw

from statekeep import crash_points
from statekeep.domain.commit import Commit
from statekeep.storage.sqlite.commits import CommitWriter
from statekeep.storage.sqlite.errors import in_words_of_port

Work = Callable[[apsw.Connection], Any]
"""A write of any other kind. It may be called more than once, since a batch may be written again: all that it does it does in the database."""
Write = Commit | Work


class Failed(NamedTuple):
    """What a write ends with that did not happen."""

    error: Exception


class CommitUncertain(Exception):
    """COMMIT failed in a way that leaves open whether the batch is durable: what this process knows is void."""


class Transactions:
    """Writes batches on the one connection that writes."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute = connection.cursor().execute
        self._commits = CommitWriter(connection)

    def write(self, batch: Sequence[Write]) -> list[Any]:
        """Durable when it returns. A result for each write, in order; Failed for each that was not written.

        Raises CommitUncertain.
        """
        if len(batch) > 1:
            for attempt in (self._together, self._one_by_one):
                try:
                    return self._in_transaction(attempt, batch)
                except CommitUncertain:
                    raise
                except Exception:
                    # After some errors SQLite has given up the whole transaction: then each write gets one of its own.
                    continue
        return [self._in_its_own_transaction(write) for write in batch]

    def _in_its_own_transaction(self, write: Write) -> Any:
        try:
            (result,) = self._in_transaction(self._together, [write])
        except CommitUncertain:
            raise
        except Exception as error:
            return Failed(in_words_of_port(error))
        return result

    def _in_transaction(
        self, write: Callable[[Sequence[Write]], list[Any]], batch: Sequence[Write]
    ) -> list[Any]:
        self._execute("BEGIN IMMEDIATE")
        try:
            results = write(batch)
            crash_points.reach(crash_points.BEFORE_COMMIT)
            self._commit()
        except CommitUncertain:
            raise
        except BaseException:
            # SQLite has already rolled back after some errors.
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            raise
        return results

    def _commit(self) -> None:
        try:
            self._execute("COMMIT")
        except apsw.FullError:
            # A frame did not fit into the log. The frame that makes a transaction count is the last, so this one does not, and never will.
            raise
        except apsw.Error as error:
            # The log may have been written and not synced, or synced and not entered into its index.
            raise CommitUncertain(str(error)) from error

    def _together(self, batch: Sequence[Write]) -> list[Any]:
        results: list[Any] = []
        for is_commits, run in groupby(batch, _is_commit):
            if is_commits:
                commits = cast("list[Commit]", list(run))
                self._commits.write(commits)
                results += [None] * len(commits)
            else:
                results += [work(self._connection) for work in cast("list[Work]", list(run))]
        return results

    def _one_by_one(self, batch: Sequence[Write]) -> list[Any]:
        return [self._with_savepoint(write) for write in batch]

    def _with_savepoint(self, write: Write) -> Any:
        self._execute("SAVEPOINT one")
        try:
            (result,) = self._together([write])
        except Exception as error:
            if not self._connection.in_transaction:
                raise
            self._execute("ROLLBACK TO one")
            result = Failed(in_words_of_port(error))
        self._execute("RELEASE one")
        return result


def _is_commit(write: Write) -> bool:
    return type(write) is Commit

"""Commits as rows.

Many commits are written with one call per table: per commit that costs a fifth of separate statements. Row tuples have the order of the
fields of the values they are made of, so that most are unpacked and not picked apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import apsw

from statekeep.domain.commit import Commit, NewInstance
from statekeep.domain.index import IndexChanges
from statekeep.domain.names import InstanceId, VersionId
from statekeep.ports.store import ConflictingRevision
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.rows import json_of, microseconds_of, timer_row

_QUERIES: Final = load_queries(__package__)
_NEWEST_JOURNAL_ID: Final = _QUERIES["newest_journal_id"]
_APPEND_ENTRY: Final = _QUERIES["append_entry"]
_CREATE_INSTANCE: Final = _QUERIES["create_instance"]
_CREATE_STANDING: Final = _QUERIES["create_standing"]
_MOVE_INSTANCE: Final = _QUERIES["move_instance"]
_SET_TIMER: Final = _QUERIES["set_timer"]
_REMOVE_TIMER: Final = _QUERIES["remove_timer"]
_INSTANCE_EXISTS: Final = _QUERIES["instance_exists"]
_USE_KEY: Final = _QUERIES["use_key"]
ADD_INDEX_ENTRY: Final = _QUERIES["add_index_entry"]
REMOVE_INDEX_ENTRY: Final = _QUERIES["remove_index_entry"]
_RECORD_UPGRADE: Final = _QUERIES["record_upgrade"]
_UPGRADE_INSTANCE: Final = _QUERIES["upgrade_instance"]

Row = tuple[Any, ...]


class CommitWriter:
    """Writes commits within a transaction that somebody else began."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        newest = connection.execute(_NEWEST_JOURNAL_ID).get
        self._next_journal_id = (newest or 0) + 1

    def write(self, commits: Sequence[Commit]) -> None:
        """All of them, in order. Raises what the first bad one deserves, with the transaction half done: the caller rolls back."""
        rows = _Rows(commits, self._next_journal_id)
        # Numbers are not used again when the transaction is rolled back: a gap costs nothing.
        self._next_journal_id = rows.next_journal_id
        self._append(rows)

    def _append(self, rows: _Rows) -> None:
        executemany = self._cursor.executemany
        executemany(_APPEND_ENTRY, rows.entries)
        if rows.instances:
            executemany(_CREATE_INSTANCE, rows.instances)
            executemany(_CREATE_STANDING, rows.standings)
        if rows.moves:
            self._move(rows.moves)
        # No number of a timer is used twice, so those of one batch that come and go end up gone.
        if rows.timers_set:
            executemany(_SET_TIMER, rows.timers_set)
        if rows.timers_removed:
            executemany(_REMOVE_TIMER, rows.timers_removed)
        if rows.received:
            self._remove_messages(rows.received)
        if rows.keys:
            executemany(_USE_KEY, rows.keys)
        # What one commit of a batch adds another may remove, and the other way round: so these keep their order.
        for query, entry in rows.index_changes:
            self._cursor.execute(query, entry)
        if rows.upgrades:
            self._upgrade(rows.upgrades)

    def _upgrade(self, upgrades: Sequence[tuple[InstanceId, int, VersionId]]) -> None:
        # One after the other: an instance may be upgraded twice in one run.
        for instance_id, revision, version_id in upgrades:
            self._cursor.execute(_RECORD_UPGRADE, (instance_id, revision))
            self._cursor.execute(_UPGRADE_INSTANCE, (instance_id, version_id))

    def _move(self, moves: Sequence[Row]) -> None:
        before = self._connection.total_changes()
        self._cursor.executemany(_MOVE_INSTANCE, moves)
        if self._connection.total_changes() - before != len(moves):
            raise ConflictingRevision("an instance is not at the revision its commit starts from")

    def _remove_messages(self, received: Sequence[Row]) -> None:
        before = self._connection.total_changes()
        self._cursor.executemany(_REMOVE_TIMER, received)
        gone = len(received) - (self._connection.total_changes() - before)
        # Seldom more than none, so the senders are only looked for where it matters.
        if gone and gone != sum(not self._is_there(sender) for sender, _ in received):
            raise ConflictingRevision("a message was applied before")

    def _is_there(self, instance_id: InstanceId) -> bool:
        return self._cursor.execute(_INSTANCE_EXISTS, (instance_id,)).fetchone() is not None


class _Rows:
    """What a run of commits writes, by table."""

    def __init__(self, commits: Sequence[Commit], next_journal_id: int) -> None:
        self.next_journal_id = next_journal_id
        self.entries: list[Row] = []
        self.instances: list[Row] = []
        self.standings: list[Row] = []
        self.moves: list[Row] = []
        self.timers_set: list[Row] = []
        self.timers_removed: list[Row] = []
        self.received: list[Row] = []
        self.keys: list[Row] = []
        self.index_changes: list[tuple[str, Row]] = []
        self.upgrades: list[tuple[InstanceId, int, VersionId]] = []
        self._add(commits)

    def _add(self, commits: Sequence[Commit]) -> None:
        # The hottest loop of the store: names are local, and what few commits have is looked at in one place.
        journal_id, rows_of_entries, moves = self.next_journal_id, self.entries, self.moves
        # An instance may have several commits in one run. The first entry of the first finds its predecessor by its standing.
        newest: dict[InstanceId, int] = {}
        for commit in commits:
            (
                instance_id,
                base_revision,
                entries,
                due,
                timers,
                next_timer_seq,
                keys,
                new,
                received,
                indexed,
                upgraded,
            ) = commit
            previous = newest.get(instance_id)
            for entry in entries:
                rows_of_entries.append((journal_id, instance_id, previous, *entry))
                previous = journal_id
                journal_id += 1
            newest[instance_id] = journal_id - 1
            listed = json_of(due) if due else None
            standing = (entries[-1].revision, previous, listed, next_timer_seq, instance_id)
            if new is None:
                moves.append((*standing, base_revision))
            else:
                self.standings.append(standing)
                self.instances.append(_instance_row(instance_id, new))
            has_more = keys or received or indexed is not None or upgraded is not None
            if timers.set or timers.removed or has_more:
                self._add_rest(commit)
        self.next_journal_id = journal_id

    def _add_rest(self, commit: Commit) -> None:
        instance_id, timers = commit.instance_id, commit.timers
        self.timers_set += [timer_row(instance_id, timer) for timer in timers.set]
        self.timers_removed += [(instance_id, seq) for seq in timers.removed]
        self.received += commit.received
        self.keys += [(instance_id, *use) for use in commit.keys]
        if commit.indexed is not None:
            self.index_changes += index_rows(instance_id, commit.indexed)
        if commit.upgraded_to is not None:
            self.upgrades.append((instance_id, commit.entries[0].revision, commit.upgraded_to))


def index_rows(instance_id: InstanceId, changes: IndexChanges) -> list[tuple[str, Row]]:
    """What is done to the index entries of an instance: statements and their parameters."""
    removed = [(REMOVE_INDEX_ENTRY, (instance_id, *entry)) for entry in changes.removed]
    return removed + [(ADD_INDEX_ENTRY, (instance_id, *entry)) for entry in changes.added]


def _instance_row(instance_id: InstanceId, new: NewInstance) -> Row:
    created_at = microseconds_of(new.created_at)
    return (instance_id, new.machine_id, new.key.name, new.version_id, created_at)

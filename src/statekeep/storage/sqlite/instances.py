"""Instances, their journals, timers and idempotency keys in SQLite."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import apsw
import structlog

from statekeep.domain.commit import Commit
from statekeep.domain.dead_letter import DeadLetter
from statekeep.domain.event import Origin
from statekeep.domain.instance import ClaimedInstance, InstanceInfo, InstanceKey, InstanceStatus
from statekeep.domain.names import InstanceId, OrganizationId, VersionId
from statekeep.domain.retention import JournalCut, JournalExtent
from statekeep.domain.timer import Timer
from statekeep.ports.pages import Page
from statekeep.ports.store import (
    Birthplace,
    DueTimer,
    InstanceStore,
    StoredKeyUse,
    Transition,
    VersionSpan,
)
from statekeep.storage.pages import NEWEST, ROWS_MAX, first_number, page_of
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.cutting import cut_off
from statekeep.storage.sqlite.database import Database, Row
from statekeep.storage.sqlite.indexes import with_indexes
from statekeep.storage.sqlite.replay import Replay
from statekeep.storage.sqlite.rows import (
    claimed_of,
    dead_letter_of,
    instance_info_of,
    selectors_of,
    timer_of,
    version_of,
)

_log = structlog.get_logger(__name__)

_QUERIES: Final = load_queries(__package__)
_BIRTHPLACE: Final = _QUERIES["birthplace"]
_IS_TAKEN: Final = _QUERIES["is_taken"]
_INSTANCE_ID: Final = _QUERIES["instance_id"]
_CLAIM: Final = _QUERIES["claim"]
_TIMERS_OF_INSTANCE: Final = _QUERIES["timers_of_instance"]
_FIND_KEY: Final = _QUERIES["find_key"]

ORPHANS_REMOVED_AT_ONCE: Final = 500
"""Entries of a deleted journal that are removed in one batch: a few milliseconds, between which others may write."""
UNAWAITED_REMOVED_AT_ONCE: Final = 50
"""The same where nobody waits for it, as of a journal that was cut: about a millisecond."""
REST_AFTER_REMOVAL: Final = 4
"""How many times as long as such a batch took the writer is left to others before the next."""
KEYS_FORGOTTEN_AT_ONCE: Final = 500


class SqliteInstances(InstanceStore):
    """The path of an event."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._instance_ids: Iterator[int] = iter(())
        self._removals_under_way = 0
        """Of orphaned journals, for which nobody waits."""
        self._tidying: asyncio.Task[None] | None = None

    def _open_instances(self) -> None:
        """Find where the numbers go on, and begin to remove what deletions before the last end have left. A start does not wait for that: journals are long."""
        newest = self._database.read_row(_QUERIES["newest_instance_id"], ())
        self._instance_ids = itertools.count(newest[0] + 1 if newest else 1)
        self._tidying = asyncio.create_task(self._tidy())

    async def _close_instances(self) -> None:
        """Leave what is not removed yet to the next start."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)

    async def _tidy(self) -> None:
        try:
            with self._removing():
                await self._remove_orphans(
                    at_once=UNAWAITED_REMOVED_AT_ONCE, rest=REST_AFTER_REMOVAL
                )
        except Exception:
            _log.exception(
                "what deletions have left could not be removed; the next one tries again"
            )

    def new_instance_id(self) -> InstanceId:
        return InstanceId(next(self._instance_ids))

    def birthplace(self, key: InstanceKey, version_id: VersionId | None) -> Birthplace | None:
        where = (key.organization_id, key.machine_name, version_id)
        place = self._database.keep(where, partial(self._birthplace, where))
        if place is None:
            return None
        is_taken = self._database.read_row(_IS_TAKEN, (place.version.machine_id, key.name))
        return None if is_taken else place

    def _birthplace(self, where: Row) -> Birthplace | None:
        row = self._database.read_row(_BIRTHPLACE, where)
        return None if row is None else Birthplace(version_of(*row[1:]), selectors_of(row[0]))

    async def claim(self, key: InstanceKey) -> ClaimedInstance | None:
        # Numbers are not used again, so this need not be read in one state with the rest. Whoever makes an instance nearly always finds none.
        found = self._database.read_row(_INSTANCE_ID, key)
        if found is None:
            return None
        return await self.claim_by_id(InstanceId(found[0]))

    async def claim_by_id(self, instance_id: InstanceId) -> ClaimedInstance | None:
        return self._database.read(lambda connection: _claim(connection, instance_id))

    def commit(
        self, commit: Commit, on_done: Callable[[asyncio.Future[None]], None] | None = None
    ) -> asyncio.Future[None]:
        return self._database.writer.enqueue(commit, on_done)

    async def set_status(self, instance_id: InstanceId, status: InstanceStatus) -> None:
        await self._change("set_status", instance_id=instance_id, status=status.value)

    async def set_desired_version(self, instance_id: InstanceId, version_id: VersionId) -> None:
        await self._change("set_desired_version", instance_id=instance_id, version_id=version_id)

    async def version_spans(self, instance_id: InstanceId) -> Sequence[VersionSpan]:
        def read(connection: apsw.Connection) -> list[VersionSpan]:
            named = {"instance_id": instance_id}
            current: list[Row] = connection.execute(
                _QUERIES["version_of_instance"], named
            ).fetchall()
            left: list[Row] = connection.execute(_QUERIES["versions_left"], named).fetchall()
            firsts = [1, *[revision for revision, *_ in left]]
            versions = [*[columns for _, *columns in left], *current]
            return [
                VersionSpan(first, version_of(*columns))
                for first, columns in zip(firsts, versions, strict=False)
            ]

        return await self._database.scan(read)

    async def delete_instance(self, instance_id: InstanceId) -> None:
        def delete(connection: apsw.Connection) -> int | None:
            named = {"instance_id": instance_id}
            journal_id: int | None = connection.execute(_QUERIES["newest_entry"], named).get
            connection.execute(_QUERIES["orphan_journal"], named)
            connection.execute(_QUERIES["delete_instance"], named)
            return journal_id

        await self._remove_orphan(await self._database.write(delete, is_long=True))
        if not self._removals_under_way:
            # What a deletion or a cut that failed has left.
            await self._remove_orphans()

    async def _remove_orphans(
        self, *, at_once: int = ORPHANS_REMOVED_AT_ONCE, rest: float = 0
    ) -> None:
        """Remove journals that nobody can see any more."""
        while row := self._database.read_row(_QUERIES["orphaned_journal"], ()):
            await self._remove_orphan(row[0], at_once=at_once, rest=rest)

    @contextmanager
    def _removing(self) -> Iterator[None]:
        self._removals_under_way += 1
        try:
            yield
        finally:
            self._removals_under_way -= 1

    async def _remove_orphan(
        self, journal_id: int | None, *, at_once: int = ORPHANS_REMOVED_AT_ONCE, rest: float = 0
    ) -> None:
        """Remove one piece by piece, each followed by a `rest` of so many times as long as it took."""
        loop = asyncio.get_running_loop()
        while journal_id is not None:
            begun = loop.time()
            remove = partial(_remove_piece, journal_id=journal_id, limit=at_once)
            journal_id = await self._database.write(remove, is_long=True)
            await asyncio.sleep(rest * (loop.time() - begun))

    async def list_instances(self, machine_id: int, *, cursor: str | None) -> Page[InstanceInfo]:
        listing = f"instances of {machine_id}"
        first = first_number(cursor, listing)
        rows = await self._database.scan_rows(
            _QUERIES["list_instances"],
            {"machine_id": machine_id, "first": first, "limit": ROWS_MAX},
        )
        return page_of([(number, instance_info_of(*columns)) for number, *columns in rows], listing)

    async def list_transitions(
        self, instance_id: InstanceId, *, cursor: str | None
    ) -> Page[Transition]:
        listing = f"transitions of {instance_id}"
        first = first_number(cursor, listing)

        def read(connection: apsw.Connection) -> list[Row]:
            named = {"instance_id": instance_id, "limit": ROWS_MAX}
            newest = connection.execute(_QUERIES["newest_entry"], named).get
            begin = newest if first == NEWEST else first
            named |= {"first": begin, "housekeeping": Origin.HOUSEKEEPING}
            return connection.execute(_QUERIES["list_transitions"], named).fetchall()

        rows = await self._database.scan(read)
        return page_of([(number, Transition(*columns)) for number, *columns in rows], listing)

    def transitions_after(
        self, instance_id: InstanceId, revision: int
    ) -> AsyncGenerator[Sequence[Transition], None]:
        return Replay(self._database, instance_id, revision).portions()

    async def journal_extents(
        self, machine_id: int, *, after: InstanceId | None, limit: int
    ) -> Sequence[JournalExtent]:
        named = {"machine_id": machine_id, "after": after or 0, "limit": limit}
        rows = await self._database.scan_rows(_QUERIES["journal_extents"], named)
        return [JournalExtent(*columns) for columns in rows]

    async def cut_journal(self, instance_id: InstanceId, cut: JournalCut) -> int:
        with self._removing():
            entries, beyond = await cut_off(self._database, instance_id, cut)
            await self._remove_orphan(
                beyond, at_once=UNAWAITED_REMOVED_AT_ONCE, rest=REST_AFTER_REMOVAL
            )
        return entries

    async def timers_due_before(
        self, until: float, *, after: DueTimer | None, limit: int
    ) -> Sequence[DueTimer]:
        past = after or DueTimer(InstanceId(0), 0, float("-inf"), OrganizationId(""))
        rows = await self._database.scan_rows(
            _QUERIES["timers_due_before"], {**past._asdict(), "until": until, "limit": limit}
        )
        return [DueTimer(*columns) for columns in rows]

    async def update_timer(self, instance_id: InstanceId, timer: Timer) -> None:
        await self._change(
            "update_timer",
            instance_id=instance_id,
            seq=timer.seq,
            tries=timer.tries,
            due_at=timer.due_at,
            is_dead=timer.is_dead,
            failure=timer.failure,
            hops=timer.hops,
        )

    async def remove_timer(self, instance_id: InstanceId, seq: int) -> bool:
        return await self._change("remove_timer_named", instance_id=instance_id, seq=seq) > 0

    async def list_dead_letters(
        self, machine_id: int, *, cursor: str | None, instance_id: InstanceId | None = None
    ) -> Page[DeadLetter]:
        listing = f"dead letters of {machine_id} {instance_id}"
        named = {
            "machine_id": machine_id,
            "instance_id": instance_id,
            "first": first_number(cursor, listing),
            "limit": ROWS_MAX,
        }
        of = "machine" if instance_id is None else "instance"
        rows = await self._database.scan_rows(_QUERIES[f"dead_letters_of_{of}"], named)
        return page_of([(number, dead_letter_of(*columns)) for number, *columns in rows], listing)

    async def unsettled_instances(
        self, *, after: InstanceId | None, limit: int
    ) -> Sequence[InstanceId]:
        rows = await self._database.scan_rows(
            _QUERIES["unsettled_instances"], {"after": after or 0, "limit": limit}
        )
        return [InstanceId(instance_id) for (instance_id,) in rows]

    async def find_key(
        self, instance_id: InstanceId, key: str, *, now_ms: float
    ) -> StoredKeyUse | None:
        row = self._database.read_row(_FIND_KEY, (instance_id, key, now_ms))
        return None if row is None else StoredKeyUse(*row)

    async def answer_key(self, instance_id: InstanceId, key: str, answer: bytes) -> None:
        await self._change("answer_key", instance_id=instance_id, key=key, answer=answer)

    async def forget_expired_keys(self, *, now_ms: float) -> int:
        count = 0
        while True:
            forgotten = await self._change(
                "forget_expired_keys", now_ms=now_ms, limit=KEYS_FORGOTTEN_AT_ONCE
            )
            count += forgotten
            if forgotten < KEYS_FORGOTTEN_AT_ONCE:
                return count

    async def _change(self, query: str, **named: apsw.SQLiteValue) -> int:
        """Run one statement with the next batch; returns how many rows it changed."""

        def change(connection: apsw.Connection) -> int:
            connection.execute(_QUERIES[query], named)
            return connection.changes()

        return await self._database.write(change)


def _claim(connection: apsw.Connection, instance_id: InstanceId) -> ClaimedInstance | None:
    rows: list[Row] = connection.execute(_CLAIM, (instance_id,)).fetchall()
    if not rows:
        return None
    timers: list[Row] = connection.execute(_TIMERS_OF_INSTANCE, (instance_id,)).fetchall()
    claimed = claimed_of(instance_id, rows[0], tuple(timer_of(*timer) for timer in timers))
    has_indexes = rows[0][-1]
    return with_indexes(connection, claimed) if has_indexes else claimed


def remove_some_orphans(connection: apsw.Connection) -> bool:
    """Remove some entries of an orphaned journal; returns whether there was one."""
    journal_id = connection.execute(_QUERIES["orphaned_journal"]).get
    if journal_id is not None:
        _remove_piece(connection, journal_id=journal_id, limit=ORPHANS_REMOVED_AT_ONCE)
    return journal_id is not None


def _remove_piece(connection: apsw.Connection, *, journal_id: int, limit: int) -> int | None:
    """Remove some entries of an orphaned journal, from this one back; returns which comes next."""
    named = {"journal_id": journal_id, "limit": limit}
    entries: list[Row] = connection.execute(_QUERIES["newest_entries"], named).fetchall()
    connection.executemany(_QUERIES["delete_entry"], [(number,) for number, _ in entries])
    rest: int | None = entries[-1][1] if entries else None
    if rest is None:
        connection.execute(_QUERIES["adopt_nothing"], named)
    else:
        connection.execute(_QUERIES["orphan_rest"], {"journal_id": journal_id, "rest": rest})
    return rest

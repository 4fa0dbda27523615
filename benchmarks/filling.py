"""Fills the store of a server that does not run with any number of instances, journal entries or versions, as if it had made each of them.

One instance is made over HTTP and read from the store; the others are commits like the one that made it, with names, owners, times and due dates of their own. They go through the store's own code.
`rows` is there to compare the two: everything that an instance has in the database but what no two have alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw
import uvloop

from statekeep.application.ids import new_id
from statekeep.domain.commit import Commit, JournalEntry, NewInstance
from statekeep.domain.event import Origin
from statekeep.domain.index import IndexChanges
from statekeep.domain.instance import ClaimedInstance, InstanceKey
from statekeep.domain.names import InstanceName, MachineName, OrganizationId, VersionId
from statekeep.domain.timer import TimerChanges
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME
from statekeep.storage.sqlite.store import SqliteStore
from statekeep.system import SystemEntropy

COMMITS_AT_ONCE: Final = 20_000
"""Written in one transaction: names come in no order, so that each transaction touches most pages of what is ordered by name."""
EVENT: Final = b'{"type":"touch"}'
INSTANCES_PER_OWNER: Final = 20
_SPREAD: Final = 0x9E3779B97F4A7C15
"""Odd, so that multiplying by it gives each number another one, in no order."""

DueAt = Callable[[int], float]


class Sample(NamedTuple):
    """An instance as the server made it. `owner` is the text in its snapshot for which each other instance has its own."""

    instance: ClaimedInstance
    event: bytes
    owner: str


def scattered(number: int) -> int:
    """64 bits that look like chance, others for each number."""
    return number * _SPREAD % 2**64


def name_of(number: int) -> str:
    """Of the instance of that number. Like those that applications give, names come in no order."""
    return f"{scattered(number):016x}"


def owner_of(number: int) -> str:
    """Twenty instances each."""
    return f"owner-{number // INSTANCES_PER_OWNER:06d}"


def fill(
    data_dir: Path,
    organization_id: str,
    machine: str,
    sample_number: int,
    numbers: range,
    *,
    due_at: DueAt | None = None,
) -> None:
    """Make the instances of these numbers like the one of `sample_number`. Their timers are due at `due_at` (of the number), in ms since the epoch."""
    key = InstanceKey(
        OrganizationId(organization_id), MachineName(machine), InstanceName(name_of(sample_number))
    )
    uvloop.run(_fill(data_dir, key, owner_of(sample_number), numbers, due_at))


async def _fill(
    data_dir: Path, key: InstanceKey, owner: str, numbers: range, due_at: DueAt | None
) -> None:
    store = SqliteStore(data_dir)
    await store.open()
    try:
        instance = await store.claim(key)
        assert instance is not None
        first = (await store.list_transitions(instance.id, cursor=None)).items[-1]
        sample = Sample(instance, first.event, owner)
        for some in portions(numbers):
            made = [store.commit(_creation(store, sample, number, due_at)) for number in some]
            await asyncio.gather(*made)
    finally:
        await store.close()


def lengthen(data_dir: Path, organization_id: str, machine: str, number: int, entries: int) -> None:
    """Let the journal of an instance have so many entries, as if events without effect had come in."""
    key = InstanceKey(
        OrganizationId(organization_id), MachineName(machine), InstanceName(name_of(number))
    )
    uvloop.run(_lengthen(data_dir, key, entries))


async def _lengthen(data_dir: Path, key: InstanceKey, entries: int) -> None:
    store = SqliteStore(data_dir)
    await store.open()
    try:
        instance = await store.claim(key)
        assert instance is not None
        for some in portions(range(instance.revision, entries)):
            made = tuple(
                JournalEntry(
                    before + 1, instance.ts + before, Origin.CLIENT, EVENT, instance.snapshot
                )
                for before in some
            )
            await store.commit(
                Commit(instance.id, some[0], made, next_timer_seq=instance.next_timer_seq)
            )
    finally:
        await store.close()


def publish(data_dir: Path, organization_id: str, machine: str, count: int) -> None:
    """Give a machine so many more versions, each with the code of the current one. The last becomes the current one."""
    uvloop.run(_publish(data_dir, OrganizationId(organization_id), MachineName(machine), count))


async def _publish(
    data_dir: Path, organization_id: OrganizationId, machine: MachineName, count: int
) -> None:
    store, entropy = SqliteStore(data_dir), SystemEntropy()
    await store.open()
    try:
        found = await store.machine(organization_id, machine)
        assert found is not None
        assert found.current_version is not None
        sample = await store.version(found.current_version.id)
        code = await store.version_code(found.current_version.id)
        assert sample is not None
        assert code is not None

        async def create(*, make_current: bool) -> None:
            version_id = VersionId(new_id("ver", entropy))
            version = replace(sample, id=version_id, created_at=datetime.now(UTC))
            await store.create_version(version, code, make_current=make_current)

        await asyncio.gather(*(create(make_current=False) for _ in range(count - 1)))
        await create(make_current=True)
    finally:
        await store.close()


def portions(numbers: range, size: int = COMMITS_AT_ONCE) -> Iterator[range]:
    """So many of them at a time."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


def _creation(store: SqliteStore, sample: Sample, number: int, due_at: DueAt | None) -> Commit:
    instance, event, sample_owner = sample
    now, owner = datetime.now(UTC), owner_of(number)
    ts = round(now.timestamp() * 1000, 3)
    snapshot = instance.snapshot.replace(sample_owner.encode(), owner.encode())
    due = due_at(number) if due_at is not None else 0.0
    timers = tuple(timer._replace(due_at=due) for timer in instance.timers)
    added = tuple((index, owner) for index, _ in instance.index_entries)
    return Commit(
        store.new_instance_id(),
        0,
        (JournalEntry(1, ts, Origin.CREATION, event, snapshot),),
        timers=TimerChanges(timers, ()),
        next_timer_seq=instance.next_timer_seq,
        new=NewInstance(
            instance.key._replace(name=InstanceName(name_of(number))),
            instance.version.machine_id,
            instance.version.id,
            now,
        ),
        indexed=IndexChanges(added, ()) if added else None,
    )


def rows(data_dir: Path, machine: str, numbers: range) -> list[tuple[Any, ...]]:
    """What the instances of these numbers have in all tables, in the order of the numbers: without names, numbers of rows, times, and with only the number of the owner within the range."""
    connection = apsw.Connection(
        str(data_dir / DATABASE_FILE_NAME), flags=apsw.SQLITE_OPEN_READONLY
    )
    found = [
        [
            _without_owner(row, number)
            for query in _QUERIES
            for row in connection.execute(query, (machine, name_of(number)))
        ]
        for number in numbers
    ]
    connection.close()
    return [tuple(of_one) for of_one in found]


def _without_owner(row: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    owner = owner_of(number)

    def masked(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.replace(owner.encode(), b"OWNER")
        return value.replace(owner, "OWNER") if isinstance(value, str) else value

    return tuple(masked(value) for value in row)


_OF_INSTANCE: Final = "machines JOIN instances ON instances.machine_id = machines.id"
_NAMED: Final = "machines.name = ?1 AND instances.name = ?2"
_QUERIES: Final = (
    f"SELECT machine_id, version, desired_version, status FROM {_OF_INSTANCE} WHERE {_NAMED}",
    f"""SELECT standings.revision, next_timer_seq, due, previous_id, journal.revision, origin, event, snapshot,
      journal.id = journal_id, typeof(ts)
    FROM {_OF_INSTANCE} JOIN standings ON standings.instance_id = instances.id JOIN journal ON journal.id = journal_id
    WHERE {_NAMED}""",
    f"""SELECT seq, send_id, event, after, tries, is_dead, message, hops, failure, timers.machine_id, died
    FROM {_OF_INSTANCE} JOIN timers ON timers.instance_id = instances.id WHERE {_NAMED} ORDER BY seq""",
    f"""SELECT index_entries.machine_id, index_entries.name, value
    FROM {_OF_INSTANCE} JOIN index_entries ON index_entries.instance_id = instances.id WHERE {_NAMED} ORDER BY 2, 3""",
    f"SELECT count(*) FROM {_OF_INSTANCE} JOIN idempotency_keys ON instance_id = instances.id WHERE {_NAMED}",
    f"SELECT count(*) FROM {_OF_INSTANCE} JOIN journal_cuts ON instance_id = instances.id WHERE {_NAMED}",
)

"""How fast commits become durable, beside what SQLite and the disk could do at best.

    python benchmarks/store_commits.py [--directory DIR] [--seconds N] [--instances N] [--batches 1,32]

For each size of batch three figures, measured in turns so that a disk in a bad mood is in a bad mood for all of them:

- `store`: Store.commit, as many calls at once as the batch has commits, each awaited.
- `sqlite`: the same rows with bare apsw, executemany into two bare tables, one transaction a batch; checkpoints as SQLite makes them.
- `sync`: 4 KiB written over in a file of fixed size and synced, once a batch. No durable store can do better.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

import apsw
import uvloop

from statekeep.domain.commit import Commit, JournalEntry, NewInstance
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceKey
from statekeep.domain.machine import MachineVersion, Organization
from statekeep.domain.names import (
    EmailAddress,
    InstanceId,
    InstanceName,
    MachineName,
    OrganizationId,
    UserId,
    VersionId,
)
from statekeep.domain.people import User
from statekeep.storage.queries import load_queries
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME
from statekeep.storage.sqlite.store import SqliteStore

EVENT = b'{"type":"TOGGLE"}   '
SNAPSHOT = b'{"value":"on","context":{"count":123456,"note":"%s"}}' % (b"x" * 69)
ORGANIZATION, MACHINE = OrganizationId("org_a"), MachineName("toggle")
VERSION, USER = VersionId("ver_a"), UserId("usr_a")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUND_SECONDS = 0.5


class Options(NamedTuple):
    """What is measured."""

    directory: Path
    seconds: float
    instances: int
    batches: list[int]


class Lane:
    """One of the things that are compared: the time each batch took."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seconds: list[float] = []
        self.cpu_seconds = 0.0

    def line(self, batch: int) -> str:
        """A row of the table."""
        total = sum(self.seconds)
        cuts = quantiles(self.seconds, n=1000) if len(self.seconds) > 1 else self.seconds * 999
        commits = batch * len(self.seconds)
        return (
            f"{batch:>6}  {self.name:<7} {commits / total:>9,.0f}/s"
            f"  {cuts[499] * 1e3:7.3f} {cuts[989] * 1e3:7.2f} {max(self.seconds) * 1e3:7.2f}"
            f"  {self.cpu_seconds / commits * 1e6:7.1f}"
        )


class Work:
    """Commits of one entry each on instances in random order."""

    def __init__(self, ids: list[InstanceId]) -> None:
        self._ids = ids
        self._revisions = dict.fromkeys(ids, 1)
        self._random = random.Random(1)
        self._ts = 1.7e12

    def batch(self, size: int) -> list[Commit]:
        """The next ones, all on different instances."""
        commits = []
        for instance_id in self._random.sample(self._ids, size):
            revision = self._revisions[instance_id]
            self._revisions[instance_id] = revision + 1
            self._ts += 0.01
            entry = JournalEntry(revision + 1, self._ts, Origin.CLIENT, EVENT, SNAPSHOT)
            commits.append(Commit(instance_id, revision, (entry,)))
        return commits


async def fill(store: SqliteStore, count: int) -> Work:
    """A machine with `count` instances."""
    await store.create_user(User(USER, EmailAddress("ada@example.com"), NOW))
    await store.create_organization(Organization(ORGANIZATION, "a", NOW, True), USER)
    await store.create_machine(ORGANIZATION, MACHINE, (), NOW)
    machine = await store.machine(ORGANIZATION, MACHINE)
    assert machine is not None
    version = MachineVersion(
        VERSION, machine.id, ORGANIZATION, MACHINE, NOW, None, {}, 5, b"h" * 32
    )
    await store.create_version(version, b"export default 1", make_current=True)
    ids = [store.new_instance_id() for _ in range(count)]
    lane = Lane("create")
    for start in range(0, count, 32):
        commits = [creation(number, machine.id) for number in ids[start : start + 32]]
        begun = time.perf_counter()
        await all_of(store, commits)
        lane.seconds.append(time.perf_counter() - begun)
    print(lane.line(32))
    return Work(ids)


def creation(instance_id: InstanceId, machine_id: int) -> Commit:
    """The first commit of an instance."""
    key = InstanceKey(ORGANIZATION, MACHINE, InstanceName(f"instance-{instance_id:06d}"))
    entry = JournalEntry(1, 1.6e12, Origin.CREATION, b"{}", SNAPSHOT)
    new = NewInstance(key, machine_id, VERSION, NOW)
    return Commit(instance_id, 0, (entry,), new=new)


async def all_of(store: SqliteStore, commits: list[Commit]) -> None:
    """Commit at once, and wait for every one."""
    for written in [store.commit(commit) for commit in commits]:
        await written


@contextmanager
def bare(directory: Path, instances: int) -> Iterator[Callable[[list[Commit]], None]]:
    """The same tables in another file, written to without anything in between."""
    connection = apsw.Connection(str(directory / "bare.db"))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    queries = load_queries("statekeep.storage.sqlite")
    connection.execute(
        "CREATE TABLE standings (instance_id INTEGER PRIMARY KEY, revision INTEGER, journal_id INTEGER,"
        " next_timer_seq INTEGER, due TEXT);"
        "CREATE TABLE journal (id INTEGER PRIMARY KEY, instance_id INTEGER, previous_id INTEGER,"
        " revision INTEGER, ts REAL, origin INTEGER, event BLOB, snapshot BLOB)"
    )
    connection.executemany(
        "INSERT INTO standings VALUES (?, 1, 0, 0, NULL)", ((i + 1,) for i in range(instances))
    )
    cursor, number = connection.cursor(), 0

    def write(commits: list[Commit]) -> None:
        nonlocal number
        entries, moves = [], []
        for commit in commits:
            number += 1
            entry = commit.entries[0]
            entries.append((number, commit.instance_id, 0, *entry))
            moves.append((entry.revision, number, None, 0, commit.instance_id, entry.revision - 1))
        cursor.execute("BEGIN IMMEDIATE")
        cursor.executemany(queries["append_entry"], entries)
        cursor.executemany(queries["move_instance"], moves)
        cursor.execute("COMMIT")

    yield write
    connection.close()


@contextmanager
def syncs(directory: Path) -> Iterator[Callable[[], None]]:
    """Writes over one block after the other of a file and waits for each."""
    size = 4096
    blocks = 1024
    file = os.open(directory / "sync", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(file, bytes(size * blocks))
    os.fsync(file)
    block = 0

    def write() -> None:
        nonlocal block
        os.pwrite(file, os.urandom(64) * (size // 64), block % blocks * size)
        os.fdatasync(file)
        block += 1

    yield write
    os.close(file)


async def measure(options: Options, batch: int) -> None:
    """Print the three rows of one size of batch."""
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        bare(Path(name), options.instances) as write_bare,
        syncs(Path(name)) as sync,
    ):
        directory = Path(name) / "store"
        store = SqliteStore(directory)
        await store.open()
        work = await fill(store, options.instances)
        other = Work([InstanceId(number + 1) for number in range(options.instances)])
        lanes = [Lane("store"), Lane("sqlite"), Lane("sync")]
        for _ in range(int(options.seconds / ROUND_SECONDS)):
            await run_store(lanes[0], store, work, batch)
            run_bare(lanes[1], write_bare, other, batch)
            run_sync(lanes[2], sync)
        await store.close()
        for lane in lanes:
            print(lane.line(batch))
        if batch >= 32:
            events = batch * len(lanes[0].seconds)
            print_size(directory / DATABASE_FILE_NAME, events, options.instances)


async def run_store(lane: Lane, store: SqliteStore, work: Work, batch: int) -> None:
    """One round. Making the commits is not measured."""
    until = time.perf_counter() + ROUND_SECONDS
    while (begun := time.perf_counter()) < until:
        commits = work.batch(batch)
        begun, cpu = time.perf_counter(), cpu_seconds()
        await all_of(store, commits)
        lane.seconds.append(time.perf_counter() - begun)
        lane.cpu_seconds += cpu_seconds() - cpu


def run_bare(lane: Lane, write: Callable[[list[Commit]], None], work: Work, batch: int) -> None:
    """One round."""
    until = time.perf_counter() + ROUND_SECONDS
    while (begun := time.perf_counter()) < until:
        commits = work.batch(batch)
        begun, cpu = time.perf_counter(), cpu_seconds()
        write(commits)
        lane.seconds.append(time.perf_counter() - begun)
        lane.cpu_seconds += cpu_seconds() - cpu


def run_sync(lane: Lane, sync: Callable[[], None]) -> None:
    """One round."""
    until = time.perf_counter() + ROUND_SECONDS
    while (begun := time.perf_counter()) < until:
        sync()
        lane.seconds.append(time.perf_counter() - begun)


def cpu_seconds() -> float:
    """Of all threads of this process, in the kernel too."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def print_size(path: Path, events: int, instances: int) -> None:
    """What is on the disk."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
    pages: dict[str, Any] = {str(name): size for name, size in rows}
    connection.close()
    journal = pages.pop("journal")
    of_instances = sum(size for name, size in pages.items() if "instances" in name)
    of_instances += pages["standings"]
    print(
        f"        on disk: {journal / (events + instances):.0f} bytes an event"
        f" ({len(EVENT) + len(SNAPSHOT)} of them the event and the snapshot),"
        f" {of_instances / instances:.0f} bytes an instance besides"
    )


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=Path, default=Path("."), help="on the disk to measure")
    parser.add_argument("--seconds", type=float, default=5, help="for each figure")
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--batches", default="1,8,32,128")
    given = parser.parse_args()
    batches = [int(size) for size in given.batches.split(",")]
    options = Options(given.directory, given.seconds, given.instances, batches)
    print(" batch  what      commits/s   p50 ms  p99 ms  max ms  CPU us/commit")
    for batch in options.batches:
        uvloop.run(measure(options, batch))


if __name__ == "__main__":
    main()

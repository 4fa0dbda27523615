"""The instances of an import: each with its journal and its timers, written in portions, of which several may be under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from statekeep.domain.commit import Commit, JournalEntry, NewInstance
from statekeep.domain.errors import AlreadyExists, InvalidParameter, TooLarge
from statekeep.domain.instance import InstanceKey, InstanceStatus
from statekeep.domain.limits import (
    IMPORT_PORTION_BYTES_MAX,
    IMPORT_PORTION_RECORDS_MAX,
    IMPORT_TIMERS_MAX,
    IMPORT_TIMESTAMP_MAX,
    REQUEST_BYTES_MAX,
    SNAPSHOT_BYTES_MAX,
)
from statekeep.domain.machine import Machine
from statekeep.domain.names import (
    InstanceId,
    MachineName,
    VersionId,
    parse_instance_name,
    parse_machine_name,
)
from statekeep.domain.timer import Timer
from statekeep.domain.transfer import InstanceRecord, Span, size_of
from statekeep.ports.store import Store


@dataclass
class Counts:
    """How much was brought."""

    instances: int = 0
    entries: int = 0
    timers: int = 0


class _Writing(NamedTuple):
    """Something that is being written, and what to say of it where it cannot be."""

    what: str
    done: asyncio.Future[object]


@dataclass
class _Instance:
    """The instance whose records are being read. `spans` are those that are still to come."""

    id: InstanceId
    record: InstanceRecord
    new: NewInstance | None
    spans: list[Span]
    upgraded_to: VersionId | None = None
    """By the first of the entries that are not written yet."""
    revision: int = 0
    ts: float = float("-inf")
    timers: int = 0
    timer_seq: int = -1


class InstanceImport:
    """Takes instances of machines that have been staged. `version_ids` lead from ids there to ids here."""

    def __init__(
        self,
        store: Store,
        machines: Mapping[MachineName, Machine],
        machine_of: Mapping[VersionId, MachineName],
        version_ids: Mapping[VersionId, VersionId],
    ) -> None:
        self._store = store
        self._machines = machines
        self._machine_of = machine_of
        self._version_ids = version_ids
        self.counts = Counts()
        self._instance: _Instance | None = None
        self._entries: list[JournalEntry] = []
        self._timers: list[Timer] = []
        self._portion_bytes = 0
        self._writing: list[_Writing] = []
        self._writing_bytes = 0

    @property
    def has_begun(self) -> bool:
        """Was there an instance?"""
        return self.counts.instances > 0

    async def begin(self, record: InstanceRecord) -> None:
        """An instance; its entries and then its timers follow."""
        await self._end()
        machine = self._machines.get(record.machine)
        if machine is None:
            raise InvalidParameter(
                f"there is no machine {record.machine} before it", parameter="machine"
            )
        name = parse_instance_name(record.name, parameter="name")
        spans = self._spans_here(record)
        key = InstanceKey(machine.organization_id, machine.name, name)
        new = NewInstance(key, machine.id, spans[0].version_id, record.created_at)
        self._instance = _Instance(self._store.new_instance_id(), record, new, spans)
        self.counts.instances += 1

    async def add_entry(self, entry: JournalEntry) -> None:
        """The next entry of the instance."""
        instance = self._current("an entry")
        if instance.timers:
            raise InvalidParameter("the entries of an instance stand before its timers")
        _require_entry(instance, entry)
        version_id = _version_from(instance, entry.revision)
        if version_id is not None:
            # An upgrade is a commit of its own.
            self._commit(instance)
            instance.upgraded_to = version_id
        elif not instance.revision:
            raise InvalidParameter(
                f"nothing says which version instance {instance.record.name} had at revision {entry.revision}",
                parameter="versions",
            )
        instance.revision, instance.ts = entry.revision, entry.ts
        self._entries.append(entry)
        self.counts.entries += 1
        await self._weigh(instance, size_of(entry))

    async def add_timer(self, timer: Timer) -> None:
        """The next timer of the instance."""
        instance = self._current("a timer")
        _require_timer(instance, timer)
        self._require_whole(instance)
        self._commit(instance)
        instance.timers, instance.timer_seq = instance.timers + 1, timer.seq
        self._timers.append(self._timer_here(timer))
        self.counts.timers += 1
        await self._weigh(instance, size_of(timer))

    async def finish(self) -> None:
        """There are no more."""
        await self._end()
        await self._written()

    async def settle(self) -> None:
        """Wait until nothing is being written any more, whatever becomes of it."""
        await asyncio.gather(*(it.done for it in self._writing), return_exceptions=True)

    def _current(self, what: str) -> _Instance:
        if self._instance is None:
            raise InvalidParameter(f"{what} belongs to an instance, and there is none before it")
        return self._instance

    def _spans_here(self, record: InstanceRecord) -> list[Span]:
        firsts = [span.first_revision for span in record.spans]
        if not firsts or firsts != sorted(set(firsts)) or firsts[-1] > record.revision:
            raise InvalidParameter(
                "an instance has one version or several, by the revisions from which on it had them",
                parameter="versions",
            )
        return [
            Span(first, self._version_here(record.machine, version_id))
            for first, version_id in record.spans
        ]

    def _version_here(self, machine: MachineName, version_id: VersionId) -> VersionId:
        here = self._version_ids.get(version_id)
        if here is None or self._machine_of[here] != machine:
            raise InvalidParameter(
                f"there is no version {version_id} of machine {machine} before it",
                parameter="versions",
            )
        return here

    def _timer_here(self, timer: Timer) -> Timer:
        message = timer.message
        if message is None:
            return timer
        parse_machine_name(message.to.machine_name, parameter="message")
        parse_instance_name(message.to.name, parameter="message")
        if message.version_id is None:
            return timer
        # Of a machine that was not exported along, perhaps: then it has the same id here or the message cannot be delivered.
        here = self._version_ids.get(message.version_id, message.version_id)
        return timer._replace(message=message._replace(version_id=here))

    def _require_whole(self, instance: _Instance) -> None:
        if instance.revision != instance.record.revision:
            raise InvalidParameter(
                f"the journal of instance {instance.record.name} ends at revision {instance.revision},"
                f" and should at {instance.record.revision}"
            )

    async def _end(self) -> None:
        instance = self._instance
        if instance is None:
            return
        self._require_whole(instance)
        self._commit(instance)
        self._stage_timers(instance)
        record = instance.record
        if record.status is not InstanceStatus.RUNNING or record.desired_version is not None:
            await self._written()
            await self._store.set_status(instance.id, record.status)
        if record.desired_version is not None:
            desired = self._version_here(record.machine, record.desired_version)
            await self._store.set_desired_version(instance.id, desired)
        self._instance = None
        if len(self._writing) >= IMPORT_PORTION_RECORDS_MAX:
            await self._written()

    async def _weigh(self, instance: _Instance, size: int) -> None:
        """Write what has come together, once it is enough."""
        self._portion_bytes += size
        count = len(self._entries) + len(self._timers)
        if count >= IMPORT_PORTION_RECORDS_MAX or self._portion_bytes >= IMPORT_PORTION_BYTES_MAX:
            self._commit(instance)
            self._stage_timers(instance)
            await self._written()

    def _commit(self, instance: _Instance) -> None:
        if not self._entries:
            return
        entries, self._entries = tuple(self._entries), []
        first = entries[0].revision
        upgraded_to, instance.upgraded_to = instance.upgraded_to, None
        new, instance.new = instance.new, None
        if new is not None and upgraded_to is not None:
            new, upgraded_to = new._replace(version_id=upgraded_to), None
        commit = Commit(
            instance.id,
            first - 1,
            entries,
            due=instance.record.due,
            next_timer_seq=instance.record.next_timer_seq,
            new=new,
            upgraded_to=upgraded_to,
        )
        self._write(f"instance {instance.record.name}", self._store.commit(commit))

    def _stage_timers(self, instance: _Instance) -> None:
        if self._timers:
            timers, self._timers = self._timers, []
            what = f"timers of instance {instance.record.name}"
            self._write(what, self._store.stage_timers(instance.id, timers))

    def _write(self, what: str, writing: Awaitable[object]) -> None:
        self._writing.append(_Writing(what, asyncio.ensure_future(writing)))

    async def _written(self) -> None:
        """Wait until everything is durable. Raises AlreadyExists where something was there twice."""
        self._portion_bytes = 0
        if self._writing:
            await asyncio.wait([it.done for it in self._writing])
        writing, self._writing = self._writing, []
        _raise_first(writing)


def _raise_first(writing: Sequence[_Writing]) -> None:
    failures = [(what, done.exception()) for what, done in writing]
    for what, error in failures:
        if isinstance(error, AlreadyExists):
            raise InvalidParameter(f"{what}: there is another of that name or number") from error
        if error is not None:
            raise error


def _require_entry(instance: _Instance, entry: JournalEntry) -> None:
    name = instance.record.name
    if instance.revision and entry.revision != instance.revision + 1:
        raise InvalidParameter(
            f"after revision {instance.revision} of instance {name} comes {instance.revision + 1}",
            parameter="revision",
        )
    if entry.revision > instance.record.revision:
        raise InvalidParameter(
            f"instance {name} is at revision {instance.record.revision}", parameter="revision"
        )
    if entry.ts <= instance.ts:
        raise InvalidParameter(f"the time stamps of instance {name} do not grow", parameter="ts")
    if entry.ts > IMPORT_TIMESTAMP_MAX:
        raise InvalidParameter(
            f"the time stamps of instance {name} are so far ahead that they could not grow",
            parameter="ts",
        )
    if len(entry.snapshot) > SNAPSHOT_BYTES_MAX:
        raise TooLarge(f"a snapshot has at most {SNAPSHOT_BYTES_MAX} bytes")
    if len(entry.event) > 2 * REQUEST_BYTES_MAX:
        raise TooLarge(f"an event has at most {2 * REQUEST_BYTES_MAX} bytes")


def _version_from(instance: _Instance, revision: int) -> VersionId | None:
    """The version that the instance has from this revision on, where that is another than before it."""
    version_id = None
    while instance.spans and instance.spans[0].first_revision <= revision:
        version_id = instance.spans.pop(0).version_id
    return version_id


def _require_timer(instance: _Instance, timer: Timer) -> None:
    record = instance.record
    if not instance.timer_seq < timer.seq < record.next_timer_seq:
        raise InvalidParameter(
            f"the numbers of the timers of instance {record.name} grow, and are below nextTimerSeq",
            parameter="seq",
        )
    if instance.timers >= IMPORT_TIMERS_MAX:
        raise TooLarge(
            f"an instance has at most {IMPORT_TIMERS_MAX} timers, messages and dead letters"
        )
    if len(timer.event) > SNAPSHOT_BYTES_MAX:
        raise TooLarge(f"the event of a timer has at most {SNAPSHOT_BYTES_MAX} bytes")

"""The store in memory: the reference for every other one, and what tests of the layers above run on.

A commit takes effect when it is called, before it is awaited; nothing here outlives the process.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import NamedTuple

from statekeep.domain.commit import Commit, NewInstance
from statekeep.domain.dead_letter import DeadLetter
from statekeep.domain.errors import AlreadyExists, HistoryGone, InvalidState, NotFound
from statekeep.domain.event import Origin, Receipt
from statekeep.domain.index import NO_INDEX_ENTRIES
from statekeep.domain.instance import ClaimedInstance, InstanceInfo, InstanceKey, InstanceStatus
from statekeep.domain.limits import PAGE_SIZE
from statekeep.domain.machine import Usage, VersionInfo
from statekeep.domain.names import InstanceId, OrganizationId, VersionId
from statekeep.domain.retention import JournalCut, JournalExtent
from statekeep.domain.timer import Timer
from statekeep.ports.pages import Page
from statekeep.ports.store import (
    Birthplace,
    ConflictingRevision,
    DueTimer,
    SelectedInstance,
    Store,
    StoredKeyUse,
    Transition,
    VersionSpan,
)
from statekeep.storage.memory.bulk_upgrades import MemoryBulkUpgrades
from statekeep.storage.memory.catalog import info_of
from statekeep.storage.memory.indexes import IndexedFacts
from statekeep.storage.memory.lists import read_page
from statekeep.storage.memory.logs import MemoryLogs
from statekeep.storage.memory.stored import Stored
from statekeep.storage.memory.transfers import MemoryTransfers


class _TimerPlace(NamedTuple):
    due_at: float
    instance_id: InstanceId
    seq: int


class MemoryStore(MemoryTransfers, MemoryBulkUpgrades, MemoryLogs, Store):
    """Keeps every promise of the port but durability. `instance_ids` gives the numbers of new instances where several stores share a runtime."""

    def __init__(self, instance_ids: Iterator[int] | None = None) -> None:
        super().__init__()
        MemoryLogs.__init__(self)
        self._instance_ids = instance_ids or itertools.count(1)
        self._deaths = itertools.count(1)

    async def open(self) -> None:
        return

    async def close(self) -> None:
        return

    async def usage(self, organization_id: OrganizationId) -> Usage:
        machines = {machine.id for machine in self._machines_of(organization_id)}
        instances = [
            stored for stored in self._instances.values() if stored.created.machine_id in machines
        ]
        return Usage(
            len(machines),
            sum(one.version.machine_id in machines for one in self._versions.values()),
            len(instances),
            sum(stored.journal[-1].revision for stored in instances),
        )

    def new_instance_id(self) -> InstanceId:
        return InstanceId(next(self._instance_ids))

    def birthplace(self, key: InstanceKey, version_id: VersionId | None) -> Birthplace | None:
        machine = self._machine_named(key.organization_id, key.machine_name)
        if machine is None or machine.current_version is None or key in self._ids:
            return None
        current = self._versions[machine.current_version.id].version
        wanted = self._versions.get(current.id if version_id is None else version_id)
        if wanted is None or wanted.version.machine_id != machine.id:
            return None
        return Birthplace(wanted.version, current.index_selectors)

    async def claim(self, key: InstanceKey) -> ClaimedInstance | None:
        instance_id = self._ids.get(key)
        return None if instance_id is None else await self.claim_by_id(instance_id)

    async def claim_by_id(self, instance_id: InstanceId) -> ClaimedInstance | None:
        stored = self._instances.get(instance_id)
        if stored is None:
            return None
        newest = stored.journal[-1]
        return ClaimedInstance(
            id=instance_id,
            key=stored.created.key,
            version=self._versions[stored.versions[-1][1]].version,
            desired_version=self._desired(stored),
            status=stored.status,
            revision=newest.revision,
            ts=newest.ts,
            snapshot=newest.snapshot,
            due=stored.due,
            timers=tuple(stored.timers[seq] for seq in sorted(stored.timers)),
            next_timer_seq=stored.next_timer_seq,
            created_at=stored.created.created_at,
            index_entries=self._entries.get(instance_id, NO_INDEX_ENTRIES),
            current_selectors=await self.current_selectors(stored.created.machine_id),
        )

    def commit(
        self, commit: Commit, on_done: Callable[[asyncio.Future[None]], None] | None = None
    ) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        if on_done is not None:
            future.add_done_callback(on_done)
        try:
            self._apply(commit)
        except (AlreadyExists, ConflictingRevision, NotFound) as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    def _apply(self, commit: Commit) -> None:
        if not all(self._is_there(receipt) for receipt in commit.received):
            raise ConflictingRevision("a message was applied before")
        stored = self._find_or_create(commit)
        stored.journal.extend(commit.entries)
        stored.due = commit.due
        stored.next_timer_seq = commit.next_timer_seq
        stored.timers.update({timer.seq: timer for timer in commit.timers.set})
        stored.deaths.update(
            {timer.seq: next(self._deaths) for timer in commit.timers.set if timer.is_dead}
        )
        for seq in commit.timers.removed:
            stored.timers.pop(seq, None)
        for receipt in commit.received:
            if receipt.sender in self._instances:
                del self._instances[receipt.sender].timers[receipt.seq]
        stored.keys.update({use.key: use for use in commit.keys})
        if commit.indexed is not None:
            self._change_entries(commit.instance_id, commit.indexed)
        if commit.upgraded_to is not None:
            stored.versions.append((commit.entries[0].revision, commit.upgraded_to))
            if stored.desired_version == commit.upgraded_to:
                stored.desired_version = None

    def _is_there(self, receipt: Receipt) -> bool:
        sender = self._instances.get(receipt.sender)
        return sender is None or receipt.seq in sender.timers

    def _find_or_create(self, commit: Commit) -> Stored:
        if commit.new is not None:
            return self._create(commit.instance_id, commit.new)
        stored = self._instances.get(commit.instance_id)
        if stored is None or stored.journal[-1].revision != commit.base_revision:
            raise ConflictingRevision(
                f"instance {commit.instance_id} is not at revision {commit.base_revision}"
            )
        if commit.upgraded_to is not None and commit.upgraded_to not in self._versions:
            raise NotFound("the version is gone")
        return stored

    def _create(self, instance_id: InstanceId, new: NewInstance) -> Stored:
        is_staged = new.machine_id in self._staged
        place = (new.machine_id, new.key.name)
        if place in self._staged_ids if is_staged else new.key in self._ids:
            raise AlreadyExists("there is such an instance")
        if new.machine_id not in self._machines or new.version_id not in self._versions:
            raise NotFound("the machine is gone")
        if is_staged:
            self._staged_ids[place] = instance_id
        else:
            self._ids[new.key] = instance_id
        self._instances[instance_id] = Stored(new, versions=[(1, new.version_id)])
        return self._instances[instance_id]

    async def set_status(self, instance_id: InstanceId, status: InstanceStatus) -> None:
        if instance_id in self._instances:
            self._instances[instance_id].status = status

    async def set_desired_version(self, instance_id: InstanceId, version_id: VersionId) -> None:
        stored = self._instances.get(instance_id)
        if stored is not None:
            is_there = stored.versions[-1][1] == version_id or version_id not in self._versions
            stored.desired_version = None if is_there else version_id

    async def version_spans(self, instance_id: InstanceId) -> Sequence[VersionSpan]:
        stored = self._instances.get(instance_id)
        return [
            VersionSpan(first, self._versions[version_id].version)
            for first, version_id in (stored.versions if stored else ())
        ]

    def _desired(self, stored: Stored) -> VersionInfo | None:
        desired = stored.desired_version
        return None if desired is None else info_of(self._versions[desired].version)

    async def delete_instance(self, instance_id: InstanceId) -> None:
        stored = self._instances.pop(instance_id, None)
        if stored is not None:
            created = stored.created
            if created.machine_id in self._staged:
                del self._staged_ids[created.machine_id, created.key.name]
            else:
                del self._ids[created.key]
            self._entries.pop(instance_id, None)
            self._forget_results(instance_id)

    async def delete_machine(self, machine_id: int) -> None:
        if any(stored.created.machine_id == machine_id for stored in self._instances.values()):
            raise InvalidState("the machine has instances")
        await super().delete_machine(machine_id)

    def _facts(self) -> dict[InstanceId, IndexedFacts]:
        return {
            instance_id: IndexedFacts(
                stored.created.machine_id,
                stored.created.key.name,
                stored.created.version_id,
                stored.journal[-1].revision,
            )
            for instance_id, stored in self._instances.items()
        }

    def _standing(self, machine_id: int) -> Sequence[SelectedInstance]:
        return [
            SelectedInstance(
                instance_id,
                stored.created.key.name,
                stored.versions[-1][1],
                stored.journal[-1].revision,
                stored.journal[-1].snapshot,
                tuple(stored.timers[seq] for seq in sorted(stored.timers)),
            )
            for instance_id, stored in sorted(self._instances.items())
            if stored.created.machine_id == machine_id
        ]

    async def list_instances(self, machine_id: int, *, cursor: str | None) -> Page[InstanceInfo]:
        infos = (
            (instance_id, self._info(stored))
            for instance_id, stored in self._instances.items()
            if stored.created.machine_id == machine_id
        )
        return read_page(infos, f"instances of {machine_id}", cursor)

    def _info(self, stored: Stored) -> InstanceInfo:
        created = stored.created
        version = info_of(self._versions[stored.versions[-1][1]].version)
        return InstanceInfo(
            created.key.name, created.created_at, stored.status, version, self._desired(stored)
        )

    async def list_transitions(
        self, instance_id: InstanceId, *, cursor: str | None
    ) -> Page[Transition]:
        numbered = ((found.revision, found) for found in self._transitions(instance_id))
        return read_page(numbered, f"transitions of {instance_id}", cursor)

    async def transitions_after(
        self, instance_id: InstanceId, revision: int
    ) -> AsyncGenerator[Sequence[Transition], None]:
        stored = self._instances.get(instance_id)
        if stored is not None and stored.journal[0].revision > revision + 1:
            raise HistoryGone.before(stored.journal[0].revision)
        found = [entry for entry in self._transitions(instance_id) if entry.revision > revision]
        for first in range(0, len(found), PAGE_SIZE):
            if instance_id not in self._instances:
                return
            yield found[first : first + PAGE_SIZE]

    async def journal_extents(
        self, machine_id: int, *, after: InstanceId | None, limit: int
    ) -> Sequence[JournalExtent]:
        extents = [
            JournalExtent(instance_id, stored.journal[-1].revision, *_beginning(stored))
            for instance_id, stored in sorted(self._instances.items())
            if stored.created.machine_id == machine_id and (after is None or instance_id > after)
        ]
        return extents[:limit]

    async def cut_journal(self, instance_id: InstanceId, cut: JournalCut) -> int:
        stored = self._instances.get(instance_id)
        if stored is None:
            return 0
        older = stored.journal[:-1]
        gone = [n for n, e in enumerate(older, 1) if e.revision <= cut.revision or e.ts < cut.ts]
        if gone:
            del stored.journal[: gone[-1]]
            stored.is_cut = True
        return gone[-1] if gone else 0

    def _transitions(self, instance_id: InstanceId) -> list[Transition]:
        stored = self._instances.get(instance_id)
        return [
            Transition(entry.revision, entry.ts, entry.event, entry.snapshot)
            for entry in (stored.journal if stored else ())
            if entry.origin is not Origin.HOUSEKEEPING
        ]

    async def timers_due_before(
        self, until: float, *, after: DueTimer | None, limit: int
    ) -> Sequence[DueTimer]:
        places = sorted(
            _TimerPlace(timer.due_at, instance_id, timer.seq)
            for instance_id, stored in self._instances.items()
            if stored.created.machine_id not in self._staged
            for timer in stored.timers.values()
            if not timer.is_dead and timer.due_at < until
        )
        past = after and _TimerPlace(after.due_at, after.instance_id, after.seq)
        due = [place for place in places if past is None or place > past]
        return [
            DueTimer(place.instance_id, place.seq, place.due_at, self._owner(place.instance_id))
            for place in due[:limit]
        ]

    def _owner(self, instance_id: InstanceId) -> OrganizationId:
        return self._instances[instance_id].created.key.organization_id

    async def update_timer(self, instance_id: InstanceId, timer: Timer) -> None:
        stored = self._instances.get(instance_id)
        if stored is not None and timer.seq in stored.timers:
            stored.timers[timer.seq] = stored.timers[timer.seq]._replace(
                tries=timer.tries,
                due_at=timer.due_at,
                is_dead=timer.is_dead,
                failure=timer.failure,
                hops=timer.hops,
            )
            if not timer.is_dead:
                stored.deaths.pop(timer.seq, None)
            elif timer.seq not in stored.deaths:
                stored.deaths[timer.seq] = next(self._deaths)

    async def list_dead_letters(
        self, machine_id: int, *, cursor: str | None, instance_id: InstanceId | None = None
    ) -> Page[DeadLetter]:
        dead = (
            (stored.deaths[seq], DeadLetter(number, stored.created.key.name, timer))
            for number, stored in self._instances.items()
            for seq, timer in stored.timers.items()
            if timer.is_dead
            and stored.created.machine_id == machine_id
            and instance_id in (None, number)
        )
        return read_page(dead, f"dead letters of {machine_id} {instance_id}", cursor)

    async def remove_timer(self, instance_id: InstanceId, seq: int) -> bool:
        stored = self._instances.get(instance_id)
        return stored is not None and stored.timers.pop(seq, None) is not None

    async def unsettled_instances(
        self, *, after: InstanceId | None, limit: int
    ) -> Sequence[InstanceId]:
        owed = sorted(
            instance_id
            for instance_id, stored in self._instances.items()
            if stored.due and (after is None or instance_id > after)
            if stored.created.machine_id not in self._staged
        )
        return owed[:limit]

    async def find_key(
        self, instance_id: InstanceId, key: str, *, now_ms: float
    ) -> StoredKeyUse | None:
        stored = self._instances.get(instance_id)
        use = stored.keys.get(key) if stored else None
        if use is None or use.expires_at <= now_ms:
            return None
        return StoredKeyUse(use.body_hash, use.answer)

    async def answer_key(self, instance_id: InstanceId, key: str, answer: bytes) -> None:
        stored = self._instances.get(instance_id)
        if stored is not None and key in stored.keys:
            stored.keys[key] = stored.keys[key]._replace(answer=answer)

    async def forget_expired_keys(self, *, now_ms: float) -> int:
        count = 0
        for stored in self._instances.values():
            expired = [key for key, use in stored.keys.items() if use.expires_at <= now_ms]
            count += len(expired)
            for key in expired:
                del stored.keys[key]
        return count


def _beginning(stored: Stored) -> tuple[int, float]:
    oldest = stored.journal[0]
    created_ms = stored.created.created_at.timestamp() * 1000
    return oldest.revision, oldest.ts if stored.is_cut else created_ms

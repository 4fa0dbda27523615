"""Index entries and their fills in dictionaries."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from statekeep.domain.index import (
    NO_INDEX_ENTRIES,
    IndexChanges,
    IndexEntries,
    IndexFill,
    IndexMatch,
    IndexQuery,
)
from statekeep.domain.instance import NO_SELECTORS
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId, InstanceName, VersionId
from statekeep.ports.pages import Page
from statekeep.ports.store import ConflictingRevision, IndexedInstance, IndexStore
from statekeep.storage.index_pages import Place, cursor_after, place_in
from statekeep.storage.memory.catalog import MemoryCatalog


class IndexedFacts(NamedTuple):
    """What has to be known of an instance to index it."""

    machine_id: int
    name: InstanceName
    version_id: VersionId
    revision: int


class MemoryIndexes(MemoryCatalog, IndexStore):
    """Every query looks at everything."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[InstanceId, IndexEntries] = {}
        self._fills: dict[int, IndexFill] = {}

    @abstractmethod
    def _facts(self) -> dict[InstanceId, IndexedFacts]:
        """Of all instances."""

    def reindex(
        self, instance_id: InstanceId, revision: int, changes: IndexChanges
    ) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        facts = self._facts().get(instance_id)
        if facts is None or facts.revision != revision:
            future.set_exception(ConflictingRevision("an instance is not where it was indexed"))
        else:
            self._change_entries(instance_id, changes)
            future.set_result(None)
        return future

    def _change_entries(self, instance_id: InstanceId, changes: IndexChanges) -> None:
        entries = self._entries.get(instance_id, NO_INDEX_ENTRIES)
        self._entries[instance_id] = (entries - {*changes.removed}) | {*changes.added}

    async def query_index(self, query: IndexQuery, *, cursor: str | None) -> Page[IndexMatch]:
        facts = self._facts()
        places = sorted(
            (value, instance_id)
            for instance_id, entries in self._entries.items()
            for index, value in entries
            if facts[instance_id].machine_id == query.machine_id and index == query.index_name
            if query.filter is None or query.filter.admits(value)
        )
        if query.is_descending:
            places.reverse()
        if cursor is not None:
            last = tuple(place_in(cursor, query))
            places = [p for p in places if (p < last if query.is_descending else p > last)]
        page = places[: query.limit]
        matches = [IndexMatch(facts[instance_id].name, value) for value, instance_id in page]
        more = len(places) > query.limit
        return Page(matches, cursor_after(query, Place(*page[-1])) if more else None)

    async def current_selectors(self, machine_id: int) -> Mapping[str, str]:
        machine = self._machines.get(machine_id)
        if machine is None or machine.current_version is None:
            return NO_SELECTORS
        return self._versions[machine.current_version.id].version.index_selectors

    async def index_fill(self, machine_id: int) -> IndexFill | None:
        return self._fills.get(machine_id)

    async def next_index_fill(self, *, after: int) -> IndexFill | None:
        machine_ids = [id for id in self._fills if id > after and id not in self._staged]
        return self._fills[min(machine_ids)] if machine_ids else None

    async def begin_index_fill(self, fill: IndexFill) -> IndexFill | None:
        found = self._unless_overtaken(fill)
        if found is None:
            return None
        ids = [i for i, facts in self._facts().items() if facts.machine_id == fill.machine_id]
        left = sum(instance_id > found.position for instance_id in ids)
        begun = found._replace(last=max(ids, default=InstanceId(0)), total=found.done + left)
        self._fills[fill.machine_id] = begun
        return begun

    async def advance_index_fill(self, fill: IndexFill) -> bool:
        found = self._unless_overtaken(fill)
        if found is None:
            return False
        self._fills[fill.machine_id] = found._replace(position=fill.position, done=fill.done)
        return True

    async def end_index_fill(self, fill: IndexFill) -> None:
        if self._unless_overtaken(fill) is not None:
            del self._fills[fill.machine_id]

    def _unless_overtaken(self, fill: IndexFill) -> IndexFill | None:
        found = self._fills.get(fill.machine_id)
        return found if found is not None and found.generation == fill.generation else None

    async def instances_to_index(self, fill: IndexFill, *, limit: int) -> Sequence[IndexedInstance]:
        found = [
            IndexedInstance(instance_id, facts.version_id)
            for instance_id, facts in sorted(self._facts().items())
            if facts.machine_id == fill.machine_id and fill.position < instance_id <= fill.last
        ]
        return found[:limit]

    async def create_version(
        self, version: MachineVersion, code: bytes, *, make_current: bool
    ) -> None:
        before = await self.current_selectors(version.machine_id)
        await super().create_version(version, code, make_current=make_current)
        changed = dict(before.items() ^ version.index_selectors.items())
        if make_current and changed:
            self._start_fill(version, changed)

    def _start_fill(self, version: MachineVersion, changed: Mapping[str, str]) -> None:
        unfinished = self._fills.get(version.machine_id)
        names = {*changed, *((unfinished and unfinished.indexes) or ())}
        number = self._versions[version.id].number
        none = InstanceId(0)
        fill = IndexFill(version.machine_id, number, tuple(sorted(names)), none, none, 0, 0)
        self._fills[version.machine_id] = fill

    async def delete_machine(self, machine_id: int) -> None:
        await super().delete_machine(machine_id)
        self._fills.pop(machine_id, None)

"""The blast radius of a version: which instances are in states that it does not have."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence, Set
from typing import NamedTuple

from statekeep.application.machines import find_machine
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.bulk_upgrade import InstanceSelection
from statekeep.domain.errors import NotFound, StatekeepError
from statekeep.domain.limits import (
    BLAST_RADIUS_INSTANCES_MAX,
    BLAST_RADIUS_STATES_MAX,
    BLAST_RADIUS_TIME,
    DRY_RUN_PORTION_BYTES_MAX,
)
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId, MachineName, VersionId
from statekeep.ports.runtime import Runtime
from statekeep.ports.snapshots import ReadLeaves, ReadPlaces, ReadStateValue
from statekeep.ports.store import Store

_log = logging.getLogger(__name__)

_PORTION = 1_000


class UnmappedState(NamedTuple):
    """A state of another version, and how many instances of that version are in it."""

    path: tuple[str, ...]
    version: VersionId
    instances: int


class BlastRadius(NamedTuple):
    """Of `checked` instances of other versions `affected` ones are in a state that the version does not have: the `unmapped` ones, those with most instances first."""

    checked: int
    affected: int
    unmapped: Sequence[UnmappedState]
    is_complete: bool


class _Found:
    """How many instances of which version have which state value, until `fold` makes of them how many are in which missing state."""

    def __init__(self, read_leaves: ReadLeaves) -> None:
        self.values: Counter[tuple[VersionId, bytes]] = Counter()
        self.is_complete = False
        self._read_leaves = read_leaves
        self._checked = 0
        self._affected = 0
        self._missing: Counter[tuple[VersionId, tuple[str, ...]]] = Counter()

    def fold(self, known: Set[tuple[str, ...]]) -> None:
        """`known` are the states that are not missing. Of parallel states there may be as many values as instances, so they are not kept."""
        for (version_id, value), count in self.values.items():
            missing = {path for path in self._read_leaves(value) if path not in known}
            self._checked += count
            self._affected += count if missing else 0
            for path in missing:
                self._missing[version_id, path] += count
        self.values.clear()

    def radius(self) -> BlastRadius:
        """Of what was folded."""
        most = self._missing.most_common(BLAST_RADIUS_STATES_MAX)
        unmapped = [UnmappedState(path, version_id, count) for (version_id, path), count in most]
        return BlastRadius(self._checked, self._affected, unmapped, self.is_complete)


class BlastRadii:
    """Counts them."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        *,
        read_places: ReadPlaces,
        read_state_value: ReadStateValue,
        read_leaves: ReadLeaves,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._read_places = read_places
        self._read_state_value = read_state_value
        self._read_leaves = read_leaves
        self._background: set[asyncio.Task[bytes]] = set()

    async def of(
        self, caller: AuthContext, machine: MachineName, version_id: VersionId
    ) -> BlastRadius:
        """Of all instances, however long it takes. Raises NotFound, and what the runtime raises where the version cannot be loaded."""
        organization_id = require_scope(caller, "machine-versions.read")
        found = await find_machine(self._store, organization_id, machine)
        version = await self._store.version(version_id)
        if version is None or version.machine_id != found.id:
            raise NotFound(f"machine {machine} has no version {version_id}")
        known = self._known(await self._runtime.describe(version))
        counted = _Found(self._read_leaves)
        await self._count(version, counted, known)
        return counted.radius()

    async def at_a_glance(self, version_id: VersionId) -> BlastRadius:
        """The same as far as it can be said soon. Never fails."""
        counted = _Found(self._read_leaves)
        version = await self._store.version(version_id)
        if version is None:
            return BlastRadius(0, 0, (), False)
        try:
            if not await self._store.newest_instance(version.machine_id):
                return BlastRadius(0, 0, (), True)
            describing = asyncio.create_task(self._runtime.describe(version))
            self._background.add(describing)
            describing.add_done_callback(self._described)
            async with asyncio.timeout(BLAST_RADIUS_TIME.total_seconds()):
                await self._count(version, counted, instances_max=BLAST_RADIUS_INSTANCES_MAX)
                # Shielded: a host that is being started serves the version's first instance next.
                outline = await asyncio.shield(describing)
        except TimeoutError:
            counted.is_complete = False
            if not describing.done() or describing.exception() is not None:
                return BlastRadius(0, 0, (), False)
            outline = describing.result()
        except Exception as error:
            # The version is published, whatever else goes wrong.
            if not isinstance(error, StatekeepError):
                _log.exception("a blast radius could not be told")
            return BlastRadius(0, 0, (), False)
        counted.fold(self._known(outline))
        return counted.radius()

    def _described(self, describing: asyncio.Task[bytes]) -> None:
        self._background.discard(describing)
        if not describing.cancelled() and isinstance(describing.exception(), StatekeepError):
            _log.info("a new version could not be described: %s", describing.exception())

    async def _count(
        self,
        version: MachineVersion,
        counted: _Found,
        known: Set[tuple[str, ...]] | None = None,
        *,
        instances_max: int | None = None,
    ) -> None:
        """Portion by portion. Where it is known which states there are, each is folded."""
        selection = InstanceSelection(version.machine_id)
        last = await self._store.newest_instance(version.machine_id)
        position, looked_at = InstanceId(0), 0
        while position < last and (instances_max is None or looked_at < instances_max):
            portion = await self._store.selected_instances(
                selection,
                after=position,
                last=last,
                limit=_PORTION,
                bytes_max=DRY_RUN_PORTION_BYTES_MAX,
                with_timers=False,
            )
            position = portion.position
            looked_at += len(portion.instances)
            for instance in portion.instances:
                if instance.version_id != version.id:
                    value = self._read_state_value(instance.snapshot)
                    counted.values[instance.version_id, value] += 1
            if known is not None:
                counted.fold(known)
        counted.is_complete = position >= last

    def _known(self, outline: bytes) -> Set[tuple[str, ...]]:
        return {place.path for place in self._read_places(outline) if not place.is_history}

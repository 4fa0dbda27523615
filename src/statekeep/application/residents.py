"""The instances in memory, with a bound.

Each instance is resident at most once. The least recently used ones leave when there are too many or they take too much, but never one that
something is under way for.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, TypeVar

from statekeep.application.machines import find_machine
from statekeep.application.resident import Resident
from statekeep.domain.errors import NotFound
from statekeep.domain.instance import ClaimedInstance, InstanceKey
from statekeep.domain.names import InstanceId
from statekeep.ports.store import Store

_LOOKED_AT: Final = 16
"""How many of the oldest are looked at for one that may leave: a crowd of busy ones at the end must not cost a scan."""

Name = TypeVar("Name", bound=Hashable)


class Residents:
    """Residents by name and by number."""

    def __init__(self, store: Store, *, count_max: int, bytes_max: int) -> None:
        self._store = store
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._by_key: OrderedDict[InstanceKey, Resident] = OrderedDict()
        self._by_id: dict[InstanceId, Resident] = {}
        self._sizes: dict[InstanceId, int] = {}
        self._bytes = 0
        self._claiming: dict[Hashable, asyncio.Future[Resident | None]] = {}
        self._births: dict[InstanceId, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def size_bytes(self) -> int:
        """Roughly what all of them take."""
        return self._bytes

    def at_hand(self, key: InstanceKey) -> Resident | None:
        """The resident of that name, if it is in memory."""
        resident = self._by_key.get(key)
        if resident is not None:
            self._by_key.move_to_end(key)
        return resident

    def at_hand_by_id(self, instance_id: InstanceId) -> Resident | None:
        """The resident of that number, if it is in memory."""
        return self._by_id.get(instance_id)

    def of_machine(self, machine_id: int) -> list[Resident]:
        """Those in memory. Looks at all."""
        return [it for it in self._by_id.values() if it.version.machine_id == machine_id]

    async def find(self, key: InstanceKey) -> Resident | None:
        """The resident of that name, claimed from the store if need be; None where there is no such instance.

        One that is void is waited for: it leaves when its turn has ended, and only then may another take its place.
        """
        while (resident := self.at_hand(key)) is not None and resident.turn and resident.is_void:
            await asyncio.wait([resident.turn])
        return resident or await self._claim(key, self._store.claim)

    async def require(self, key: InstanceKey) -> Resident:
        """What `find` finds. Raises NotFound, which says whether the machine or the instance is missing."""
        resident = await self.find(key)
        if resident is None:
            await find_machine(self._store, key.organization_id, key.machine_name)
            raise NotFound(f"there is no instance {key.name} of machine {key.machine_name}")
        return resident

    async def find_by_id(self, instance_id: InstanceId) -> Resident | None:
        """The same by number."""
        while (resident := self._by_id.get(instance_id)) and resident.turn and resident.is_void:
            await asyncio.wait([resident.turn])
        return resident or await self._claim(instance_id, self._store.claim_by_id)

    def expect(self, instance_id: InstanceId, is_decided: asyncio.Future[None]) -> None:
        """An instance of that number is being created, and will be added before `is_decided` if that succeeds.

        The store has it a moment before its creator hears so. Whoever finds it there meanwhile waits, and gets the one that is added.
        """
        self._births[instance_id] = is_decided

    def expect_no_more(self, instance_id: InstanceId) -> None:
        """It is decided."""
        self._births.pop(instance_id, None)

    def add(self, resident: Resident) -> None:
        """Take in an instance that nobody has in memory."""
        assert resident.key not in self._by_key
        self._by_key[resident.key] = resident
        self._by_id[resident.id] = resident
        self.resized(resident)

    def remove(self, resident: Resident) -> None:
        """Forget it. Nothing where it is forgotten already."""
        if self._by_id.get(resident.id) is resident:
            del self._by_key[resident.key]
            del self._by_id[resident.id]
            self._bytes -= self._sizes.pop(resident.id)

    def cool(self, resident: Resident) -> None:
        """Let it be the first to leave, as one that nobody has asked for but us."""
        if self._by_id.get(resident.id) is resident:
            self._by_key.move_to_end(resident.key, last=False)

    def resized(self, resident: Resident) -> None:
        """Weigh it again, and make room if that is too much."""
        if self._by_id.get(resident.id) is not resident:
            return
        size = resident.size_bytes
        resident.weighed_bytes = len(resident.snapshot)
        self._bytes += size - self._sizes.get(resident.id, 0)
        self._sizes[resident.id] = size
        if len(self._by_key) > self._count_max or self._bytes > self._bytes_max:
            self._make_room(resident)

    def _make_room(self, newest: Resident) -> None:
        for _ in range(_LOOKED_AT):
            if len(self._by_key) <= self._count_max and self._bytes <= self._bytes_max:
                return
            resident = next(iter(self._by_key.values()))
            if resident.is_idle and resident is not newest:
                self.remove(resident)
            else:
                # Out of the way: those that cannot leave must not hide those that can.
                self._by_key.move_to_end(resident.key)

    async def _claim(
        self, name: Name, claim: Callable[[Name], Awaitable[ClaimedInstance | None]]
    ) -> Resident | None:
        claiming = self._claiming.get(name)
        if claiming is None:
            claiming = asyncio.ensure_future(self._claim_now(name, claim))
            self._claiming[name] = claiming
            claiming.add_done_callback(lambda _: self._claiming.pop(name))
        return await asyncio.shield(claiming)

    async def _claim_now(
        self, name: Name, claim: Callable[[Name], Awaitable[ClaimedInstance | None]]
    ) -> Resident | None:
        claimed = await claim(name)
        if claimed is None:
            return None
        birth = self._births.get(claimed.id)
        if birth is not None and not birth.done():
            await asyncio.shield(birth)
            return await self._claim_now(name, claim)
        # It may have been claimed by its other name, or created, meanwhile.
        resident = self._by_id.get(claimed.id)
        if resident is None:
            resident = Resident.of(claimed)
            self.add(resident)
        return resident

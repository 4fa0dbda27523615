"""How instances come into being, whoever asks for it. Of two who want to make the same one, the second hears what became of the first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from statekeep.application.machines import find_machine
from statekeep.application.resident import Letter, Resident
from statekeep.application.residents import Residents
from statekeep.application.turns import Turns
from statekeep.domain.commit import NewInstance
from statekeep.domain.errors import AlreadyExists, InvalidParameter, StatekeepError
from statekeep.domain.event import Event
from statekeep.domain.instance import NO_SELECTORS, InstanceKey
from statekeep.domain.machine import MachineVersion
from statekeep.domain.message import Parent
from statekeep.domain.names import InstanceId, MachineName, OrganizationId, VersionId
from statekeep.domain.step import Failed, Outcome, Stepped
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import Store
from statekeep.ports.tracing import Stage

INITIALIZATION = Event("xstate.init", b'{"type":"xstate.init"}')
"""The event of every first transition."""


class Creation:
    """Makes instances."""

    def __init__(
        self, store: Store, runtime: Runtime, residents: Residents, turns: Turns, clock: Clock
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._residents = residents
        self._turns = turns
        self._clock = clock
        self._under_way: dict[InstanceKey, asyncio.Future[None]] = {}
        self.newborn: dict[InstanceId, InstanceKey] = {}
        """Instances that are being created: until they are in memory, nothing else knows whose it is what their code has to say."""
        self._loop = asyncio.get_running_loop()

    async def create(
        self,
        key: InstanceKey,
        version_id: VersionId | None,
        context: bytes,
        letter: Letter,
        parent: Parent | None = None,
    ) -> None:
        """Decide the initial macrostep of a new instance; `letter`, whose delivery says who asks, hears what comes of it.

        `context` is a JSON object that is merged over the machine's own, `version_id` None the machine's current version. Raises NotFound for the machine,
        InvalidParameter for the version, and AlreadyExists: the letter hears nothing then.
        """
        version, selectors = await self._version(key.organization_id, key.machine_name, version_id)
        # Whoever is told that it exists may read it at once: so the first creation has to be durable, or have failed.
        await self.finished(key)
        birth = self._announce(key)
        try:
            if await self._is_there(key):
                raise AlreadyExists(f"instance {key.name} exists already")
            await self._begin(birth, version, selectors, context, letter, parent)
        except BaseException:
            self._decide(birth)
            raise

    def create_at_once(
        self, key: InstanceKey, version_id: VersionId | None, context: bytes, letter: Letter
    ) -> bool:
        """`create` without waiting, and the letter hears whatever comes of it. False, and nothing done, where there is something to wait for, or wrong."""
        if key in self._under_way or self._residents.at_hand(key) is not None:
            return False
        birthplace = self._store.birthplace(key, version_id)
        if birthplace is None:
            return False
        version, selectors = birthplace
        birth = self._announce(key)
        resident = self._new_resident(birth, version, selectors)
        then = partial(self._on_decided, birth, resident, letter)
        auth = letter.delivery.auth
        if not self._runtime.create_at_once(version, birth.id, key.name, context, auth, then):
            self._decide(birth)
            return False
        letter.reached(Stage.HOST)
        return True

    async def _is_there(self, key: InstanceKey) -> bool:
        if self._residents.at_hand(key) is not None:
            # It may be void, and gone.
            return await self._residents.find(key) is not None
        return await self._store.claim(key) is not None

    async def finished(self, key: InstanceKey) -> None:
        """Wait until no instance of that name is being made."""
        while (creation := self._under_way.get(key)) is not None:
            await asyncio.shield(creation)

    async def _version(
        self, organization_id: OrganizationId, name: MachineName, version_id: VersionId | None
    ) -> tuple[MachineVersion, Mapping[str, str]]:
        """The version of that machine, by default its current one, and the index selectors of the current one."""
        machine = await find_machine(self._store, organization_id, name)
        if version_id is None:
            if machine.current_version is None:
                raise InvalidParameter(
                    f"machine {name} has no current version: name one, or publish one with makeCurrent",
                    parameter="machineVersionId",
                )
            version_id = machine.current_version.id
        version = await self._store.version(version_id)
        if version is None or version.machine_id != machine.id:
            raise InvalidParameter(
                f"machine {name} has no version {version_id}", parameter="machineVersionId"
            )
        if not machine.indexes:
            return version, NO_SELECTORS
        return version, await self._store.current_selectors(machine.id)

    def _announce(self, key: InstanceKey) -> _Birth:
        birth = _Birth(self._store.new_instance_id(), key, self._loop.create_future())
        self._under_way[key] = birth.decided
        self.newborn[birth.id] = key
        self._residents.expect(birth.id, birth.decided)
        return birth

    def _new_resident(
        self, birth: _Birth, version: MachineVersion, selectors: Mapping[str, str]
    ) -> Resident:
        created_at = datetime_of(self._clock.now_ms())
        resident = Resident(birth.id, birth.key, version, created_at)
        resident.current_selectors = selectors
        return resident

    async def _begin(
        self,
        birth: _Birth,
        version: MachineVersion,
        selectors: Mapping[str, str],
        context: bytes,
        letter: Letter,
        parent: Parent | None,
    ) -> None:
        resident = self._new_resident(birth, version, selectors)
        letter.reached(Stage.HOST)
        outcome: Outcome
        try:
            outcome = await self._runtime.create(
                version, birth.id, birth.key.name, context, letter.delivery.auth, parent
            )
        except StatekeepError as error:
            outcome = Failed(error)
        self._on_decided(birth, resident, letter, outcome)

    def _on_decided(
        self, birth: _Birth, resident: Resident, letter: Letter, outcome: Outcome
    ) -> None:
        letter.on_handled = partial(self._on_handled, birth, resident, letter.on_handled)
        if isinstance(outcome, Stepped):
            version = resident.version
            new = NewInstance(birth.key, version.machine_id, version.id, resident.created_at)
            self._turns.begin(resident, letter, outcome, new)
        else:
            self._turns.refuse(resident, letter, outcome)

    def _on_handled(
        self,
        birth: _Birth,
        resident: Resident,
        tell: Callable[[StatekeepError | None], None] | None,
        error: StatekeepError | None,
    ) -> None:
        if error is None:
            self._residents.add(resident)
        self._decide(birth)
        if tell is not None:
            tell(error)

    def _decide(self, birth: _Birth) -> None:
        """The creation is durable, or failed: whoever waited to create the same may look again."""
        if self._under_way.get(birth.key) is birth.decided:
            del self._under_way[birth.key]
            del self.newborn[birth.id]
            self._residents.expect_no_more(birth.id)
        if not birth.decided.done():
            birth.decided.set_result(None)


class _Birth(NamedTuple):
    """An instance that is being created."""

    id: InstanceId
    key: InstanceKey
    decided: asyncio.Future[None]

"""One world: a server in small, with an organization, a store in memory and a clock that only tests move.

Everything here runs on the event loop of the hosts; `blocking` and `asynchronous` are the shells that people use. An operation is over when the world is *at
rest*: every instance has settled, what was sent has arrived, and nothing is due at the present instant.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from statekeep.application.engine import Engine
from statekeep.application.resident import Resident
from statekeep.domain.access import SCOPES, AuthContext
from statekeep.domain.errors import (
    AlreadyExists,
    InvalidParameter,
    RejectedByMachineAuthorizer,
    StatekeepError,
)
from statekeep.domain.event import Delivery, Event, Origin
from statekeep.domain.instance import InstanceKey
from statekeep.domain.machine import MachineVersion, Organization
from statekeep.domain.names import (
    EmailAddress,
    InstanceId,
    InstanceName,
    MachineName,
    UserId,
    parse_instance_name,
)
from statekeep.domain.people import User
from statekeep.domain.step import Failed, Outcome, Refused
from statekeep.ports.clock import datetime_of
from statekeep.runtimes.snapshots import read_context
from statekeep.storage.memory.store import MemoryStore
from statekeep.testing.clock import VirtualClock
from statekeep.testing.hosts import ORGANIZATION, Hosts
from statekeep.testing.naming import machine_name_of
from statekeep.testing.numbers import strangers_from
from statekeep.testing.readings import Reading
from statekeep.testing.timers import VirtualTimers
from statekeep.testing.witness import Witness

SETTLE_TIMEOUT: Final = timedelta(seconds=5)
"""How long an operation waits for promises and other children. Real time: nothing else tells that one will never answer."""
FIRED_AT_ONCE_MAX: Final = 1_000
"""Timers and messages that are delivered without time going on, before a world counts as restless."""
FIRED_PER_ADVANCE_MAX: Final = 10_000
"""Timers that fire in one advance unless more are allowed: one an hour for a year."""

_EMAIL: Final = EmailAddress("tests@example.com")
_USER: Final = UserId("usr_tests")

Result = TypeVar("Result")


class NeverAtRest(AssertionError):
    """Machines keep themselves or each other busy."""


class CoreInstance:
    """An instance of a world, as it was when the world was last at rest. `claims` is the auth context of whoever does not say who they are."""

    def __init__(self, id_: InstanceId, key: InstanceKey, reading: Reading) -> None:
        self.id = id_
        self.key = key
        self.reading = reading
        self.claims: Mapping[str, Any] = {}


class CoreWorld:
    """Made on the event loop of its hosts; has to be opened and closed there."""

    def __init__(self, hosts: Hosts, clock: VirtualClock, settle_timeout: timedelta) -> None:
        self.clock = clock
        self.instances: dict[InstanceKey, CoreInstance] = {}
        self._hosts = hosts
        self._runtime = hosts.runtime
        self._first_number = hosts.new_numbers()
        self._strangers = strangers_from(self._first_number)
        self._versions: dict[MachineName, MachineVersion] = {}
        self._timers = VirtualTimers(clock)
        self.witness = Witness(
            clock, has_machine=self._versions.__contains__, on_timers=self._timers.schedule
        )
        self._store = MemoryStore(map(InstanceId, itertools.count(self._first_number)))
        self._engine = Engine(
            self._store,
            self._runtime,
            self.witness,
            clock,
            self.witness,
            read_context=read_context,
            on_timers=self.witness.schedule,
            settle_timeout_seconds=settle_timeout.total_seconds(),
        )
        self._timers.instances = self._engine.instances
        hosts.admit(self._first_number, self._engine.instances)
        self._operating = asyncio.Lock()

    @classmethod
    async def opened(
        cls, hosts: Hosts, clock: VirtualClock, settle_timeout: timedelta
    ) -> CoreWorld:
        """A world with nothing in it."""
        world = cls(hosts, clock, settle_timeout)
        began_at = datetime_of(clock.now_ms())
        await world._store.create_user(User(_USER, _EMAIL, began_at))
        await world._store.create_organization(
            Organization(ORGANIZATION, "tests", began_at, allow_anonymous_access=False), _USER
        )
        return world

    async def close(self) -> None:
        """Forget all instances; their children end."""
        for instance in self.instances.values():
            resident = self._engine.residents.at_hand_by_id(instance.id)
            if resident is not None:
                self._runtime.discard(resident.version, resident.id)
        self._hosts.dismiss(self._first_number)
        await self._engine.messages.close()

    async def load(
        self, source: str | Path | None, name: str | None, code: str | None
    ) -> MachineName:
        """Have the machine in a file, or in `code`, in this world; returns what it is called: as `name` says, or after its file.

        The same again is the same. Raises AlreadyExists for another machine of that name, BuildFailed and InvalidCode where it is none, and ValueError
        unless exactly one of both sources is given.
        """
        if (source is None) is (code is None):
            raise ValueError(
                'name a file or give its content: machine("door.ts") or machine(code=..., name=...)'
            )
        machine = machine_name_of(source, name)
        file = None if source is None else Path(source)
        module = (code or "").encode() if file is None else await self._hosts.bundle(file)
        await self._publish(machine, module, file)
        return machine

    async def _publish(self, machine: MachineName, code: bytes, file: Path | None) -> None:
        version = await self._hosts.version(machine, code, file)
        known = self._versions.get(machine)
        if known is not None:
            if known.id != version.id:
                raise AlreadyExists(f"this world has another machine {machine}: name one of them")
            return
        now = datetime_of(self.clock.now_ms())
        await self._store.create_machine(ORGANIZATION, machine, (), now)
        created = await self._store.machine(ORGANIZATION, machine)
        assert created is not None
        version = replace(version, machine_id=created.id, created_at=now)
        await self._store.create_version(version, code, make_current=True)
        self._versions[machine] = version

    async def start(
        self,
        machine: MachineName,
        name: str | None,
        context: Mapping[str, Any],
        claims: Mapping[str, Any],
    ) -> CoreInstance:
        """Create an instance as somebody with these claims would, and wait until the world is at rest. Raises what the server answers."""
        instance_name = self._name_for(machine, name)
        key = InstanceKey(ORGANIZATION, machine, instance_name)
        lines = len(self.witness.log)
        try:
            async with self._operating:
                await self._at_rest_after(
                    self._engine.instances.create(
                        _caller(claims), machine, instance_name, _encoded(context, "context"), None
                    )
                )
        except StatekeepError as error:
            self._explain(error, f"creating {machine} {instance_name} as {dict(claims)}", lines)
            raise
        instance = self.instances[key]
        instance.claims = claims
        return instance

    async def send(
        self, instance: CoreInstance, event: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> None:
        """Send an event as somebody with these claims would, and wait until the world is at rest. Raises what the server answers."""
        lines = len(self.witness.log)
        _, machine, name = instance.key
        try:
            async with self._operating:
                await self._at_rest_after(
                    self._engine.instances.send_event(
                        _caller(claims), machine, name, event_of(event)
                    )
                )
        except StatekeepError as error:
            state = instance.reading.state
            what = f"{dict(event)} to {machine} {name}, in state {state!r}, as {dict(claims)}"
            self._explain(error, what, lines)
            raise

    async def advance(self, to_ms: float, *, fired_max: int) -> None:
        """Let time go on, stopping at each timer that is due on the way. Raises NeverAtRest where more than `fired_max` are."""
        async with self._operating:
            for _ in range(fired_max):
                due_ms = self._timers.next_due_ms
                if due_ms is None or due_ms > to_ms:
                    break
                self.clock.move_to(due_ms)
                await self._at_rest_after(self._fire_next())
            else:
                await self._require_nothing_due(to_ms, fired_max)
            self.clock.move_to(to_ms)
            # Their timers are due sooner now.
            self.witness.changed.update(
                it.id for it in self.instances.values() if it.reading.timers
            )
            await self._refresh()

    async def advance_to_next(self) -> None:
        """Let time go on to when something is due next, and have it happen. Raises LookupError where nothing is pending."""
        due_ms = self._timers.next_due_ms
        if due_ms is None:
            raise LookupError("no timer is pending, of no instance of this world")
        await self.advance(due_ms, fired_max=FIRED_AT_ONCE_MAX)

    def find(self, machine: str, name: str) -> CoreInstance:
        """An instance by its names. Raises LookupError where there is none."""
        found = self.instances.get(_key(machine, name))
        if found is None:
            there = ", ".join(f"{key.machine_name} {key.name}" for key in self.instances) or "none"
            raise LookupError(f"there is no instance {machine} {name}; there are: {there}")
        return found

    def children_of(self, instance: CoreInstance) -> dict[str, CoreInstance]:
        """Those of its persistent children that exist in this world, by its names for them."""
        children = instance.reading.children
        return {id_: self.instances[key] for id_, key in children.items() if key in self.instances}

    async def may_read(self, instance: CoreInstance, claims: Mapping[str, Any]) -> bool:
        """What `allowRead` answers for these claims. Changes nothing."""
        _, machine, name = instance.key
        try:
            await self._engine.instances.read(_caller(claims), machine, name)
        except RejectedByMachineAuthorizer:
            return False
        return True

    async def may_write(
        self, instance: CoreInstance, event: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> bool:
        """What `allowWrite` answers for this event and these claims. Changes nothing, and nothing is performed. A finished instance takes any event, and ignores it."""
        resident = await self._resident(instance.id)
        stranger = resident.committed()._replace(instance_id=next(self._strangers))
        delivery = Delivery(event_of(event), Origin.CLIENT, _encoded(claims, "as_"))
        [outcome] = await self._runtime.step(resident.version, stranger, [delivery])
        return self._is_allowed(resident.version, stranger.instance_id, outcome)

    async def may_start(
        self,
        machine: MachineName,
        name: str | None,
        context: Mapping[str, Any],
        claims: Mapping[str, Any],
    ) -> bool:
        """What `allowWrite` answers when somebody with these claims creates an instance. Changes nothing."""
        version, stranger = self._versions[machine], next(self._strangers)
        outcome = await self._runtime.create(
            version,
            stranger,
            self._name_for(machine, name),
            _encoded(context, "context"),
            _encoded(claims, "as_"),
        )
        return self._is_allowed(version, stranger, outcome)

    def _is_allowed(self, version: MachineVersion, stranger: InstanceId, outcome: Outcome) -> bool:
        self._runtime.discard(version, stranger)
        if isinstance(outcome, Failed) and isinstance(outcome.error, InvalidParameter):
            raise outcome.error
        return not isinstance(outcome, Refused)

    def _name_for(self, machine: MachineName, name: str | None) -> InstanceName:
        if name is not None:
            return parse_instance_name(name, parameter="name")
        taken = {key.name for key in self.instances if key.machine_name == machine}
        free = (f"{machine}-{number}" for number in itertools.count(1))
        return parse_instance_name(next(each for each in free if each not in taken))

    # Coming to rest

    async def _at_rest_after(self, work: Awaitable[Any]) -> None:
        try:
            await work
        finally:
            await self._come_to_rest()

    async def _come_to_rest(self) -> None:
        now_ms = self.clock.now_ms()
        for _ in range(FIRED_AT_ONCE_MAX):
            await self._settle()
            due_ms = self._timers.next_due_ms
            if due_ms is None or due_ms > now_ms:
                break
            await self._fire_next()
        else:
            await self._require_nothing_due(now_ms, FIRED_AT_ONCE_MAX)
        await self._refresh()

    async def _settle(self) -> None:
        """Until no turn is under way and the hosts have done all that they were told."""
        turns = self._engine.turns
        while True:
            while under_way := [it.turn for it in turns.under_way if it.turn is not None]:
                await asyncio.wait(under_way)
            for version in self._versions.values():
                await self._hosts.flush(version)
            if not turns.under_way:
                return

    async def _fire_next(self) -> None:
        self.witness.changed.add(await self._timers.fire_next())

    async def _require_nothing_due(self, until_ms: float, fired: int) -> None:
        due_ms = self._timers.next_due_ms
        if due_ms is not None and due_ms <= until_ms:
            await self._refresh()
            raise NeverAtRest(self._unrest(fired))

    def _unrest(self, fired: int) -> str:
        now = datetime_of(self.clock.now_ms())
        lines = [
            f"{fired} timers and messages were delivered by {now:%Y-%m-%d %H:%M:%S}, and more are due."
        ]
        for key, instance in self.instances.items():
            newest = instance.reading.transitions[-1:]
            lines += [
                f"  {key.machine_name} {key.name}: {it.label} -> {it.state!r}" for it in newest
            ]
        return "\n".join(lines)

    async def _refresh(self) -> None:
        for instance_id in sorted(self.witness.changed):
            resident = await self._engine.residents.find_by_id(instance_id)
            if resident is None:
                continue
            view = await self._engine.turns.view_of(resident)
            reading = await self.witness.read(resident, view.view, self._store)
            instance = self.instances.get(resident.key)
            if instance is None:
                self.instances[resident.key] = CoreInstance(instance_id, resident.key, reading)
            else:
                instance.reading = reading
        self.witness.changed.clear()

    async def _resident(self, instance_id: InstanceId) -> Resident:
        resident = await self._engine.residents.find_by_id(instance_id)
        assert resident is not None, "nothing deletes instances of a world"
        return resident

    def _explain(self, error: StatekeepError, what: str, lines_before: int) -> None:
        """Add to the error what somebody who reads a failing test wants to know."""
        error.add_note(what)
        for line in self.witness.lines_after(lines_before):
            error.add_note(f"log: {line}")


def event_of(event: Mapping[str, Any]) -> Event:
    """An event of a test's. Raises TypeError where it is none."""
    type_ = event.get("type")
    if not isinstance(type_, str):
        raise TypeError(f"an event has a type, which is a string: {dict(event)}")
    return Event(type_, _encoded(event, "event"))


def _key(machine: str, name: str) -> InstanceKey:
    return InstanceKey(ORGANIZATION, MachineName(machine), InstanceName(name))


def _caller(claims: Mapping[str, Any]) -> AuthContext:
    return AuthContext(ORGANIZATION, _USER, SCOPES, _encoded(claims, "as_"))


def _encoded(value: Mapping[str, Any], what: str) -> bytes:
    try:
        return msgspec.json.encode(dict(value))
    except TypeError as error:
        raise TypeError(f"{what} has to be JSON: {error}") from error

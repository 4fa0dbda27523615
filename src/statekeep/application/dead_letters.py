"""What operators do with timers and messages that were given up: look at them, try them again, throw them away.

Here memory changes first and the store right after it, within one step of the event loop: whatever a turn decides meanwhile it decides on the timers
as they are then, and the store gets both writes in that order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from statekeep.application.machines import find_machine
from statekeep.application.resident import Resident
from statekeep.application.residents import Residents
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.dead_letter import DeadLetter, LetterId, revived
from statekeep.domain.errors import NotFound
from statekeep.domain.instance import InstanceKey
from statekeep.domain.limits import DEAD_LETTERS_RETRIED_AT_ONCE, PAGE_SIZE
from statekeep.domain.machine import Machine
from statekeep.domain.names import InstanceId, InstanceName, MachineName, OrganizationId
from statekeep.domain.timer import Timer, TimerChanges
from statekeep.ports.clock import Clock
from statekeep.ports.pages import Page
from statekeep.ports.store import Store


class Retried(NamedTuple):
    """What came of a request to retry many: how many are on their way, and where to go on, if there are more."""

    letters: int
    cursor: str | None


class DeadLetters:
    """Use cases around dead letters. `on_timers` hears of those that are to be delivered, once that is durable."""

    def __init__(
        self,
        store: Store,
        residents: Residents,
        clock: Clock,
        *,
        on_timers: Callable[[OrganizationId, InstanceId, TimerChanges], None],
    ) -> None:
        self._store = store
        self._residents = residents
        self._clock = clock
        self._on_timers = on_timers

    async def list(
        self,
        caller: AuthContext,
        machine: MachineName,
        *,
        instance: InstanceName | None,
        cursor: str | None,
    ) -> Page[DeadLetter]:
        """Those of a machine or of one instance, the last to die first. Raises NotFound."""
        found, instance_id = await self._find(caller, machine, instance)
        return await self._store.list_dead_letters(found.id, cursor=cursor, instance_id=instance_id)

    async def retry(self, caller: AuthContext, machine: MachineName, letter: str) -> None:
        """Deliver it now, with all tries before it. Raises NotFound where it is none (any more)."""
        resident, timer = await self._require(caller, machine, letter)
        await self._revive(resident, timer)

    async def retry_all(
        self,
        caller: AuthContext,
        machine: MachineName,
        *,
        instance: InstanceName | None,
        cursor: str | None,
    ) -> Retried:
        """The same with those of a machine or of one instance, DEAD_LETTERS_RETRIED_AT_ONCE at the most.

        Each of those that were dead at the first request is retried once, however many requests it takes. Raises NotFound.
        """
        found, instance_id = await self._find(caller, machine, instance)
        count = 0
        for _ in range(DEAD_LETTERS_RETRIED_AT_ONCE // PAGE_SIZE):
            page = await self._store.list_dead_letters(
                found.id, cursor=cursor, instance_id=instance_id
            )
            count += await self._revive_all(page.items)
            cursor = page.cursor
            if cursor is None:
                break
        return Retried(count, cursor)

    async def discard(self, caller: AuthContext, machine: MachineName, letter: str) -> None:
        """Forget it. Raises NotFound where it is none (any more)."""
        resident, timer = await self._require(caller, machine, letter)
        await self._change(resident, timer, None)

    async def _find(
        self, caller: AuthContext, machine: MachineName, instance: InstanceName | None
    ) -> tuple[Machine, InstanceId | None]:
        organization_id = require_scope(caller, "instances.admin")
        found = await find_machine(self._store, organization_id, machine)
        if instance is None:
            return found, None
        key = InstanceKey(organization_id, machine, instance)
        return found, (await self._residents.require(key)).id

    async def _require(
        self, caller: AuthContext, machine: MachineName, letter: str
    ) -> tuple[Resident, Timer]:
        organization_id = require_scope(caller, "instances.admin")
        await find_machine(self._store, organization_id, machine)
        letter_id = LetterId.parse(letter)
        found = None if letter_id is None else await self._dead(letter_id)
        if found is None or found[0].key[:2] != (organization_id, machine):
            raise NotFound(f"machine {machine} has no such dead letter (any more)")
        return found

    async def _dead(self, letter_id: LetterId) -> tuple[Resident, Timer] | None:
        resident = await self._residents.find_by_id(letter_id.instance_id)
        timer = None if resident is None else resident.timers.get(letter_id.seq)
        if resident is None or timer is None or not timer.is_dead:
            return None
        return resident, timer

    async def _revive_all(self, letters: Sequence[DeadLetter]) -> int:
        return sum(await asyncio.gather(*(self._revive_if_dead(letter.id) for letter in letters)))

    async def _revive_if_dead(self, letter_id: LetterId) -> bool:
        found = await self._dead(letter_id)
        if found is not None:
            await self._revive(*found)
        return found is not None

    async def _revive(self, resident: Resident, timer: Timer) -> None:
        living = revived(timer, self._clock.now_ms())
        await self._change(resident, timer, living)
        changes = TimerChanges((living,), ())
        self._on_timers(resident.key.organization_id, resident.id, changes)

    async def _change(self, resident: Resident, before: Timer, after: Timer | None) -> None:
        """Put `after` in place of `before`, or nothing. Raises Overloaded, and then nothing has changed."""
        _replace(resident, before, before.seq, after)
        try:
            if after is None:
                await self._store.remove_timer(resident.id, before.seq)
            else:
                await self._store.update_timer(resident.id, after)
        except Exception:
            _replace(resident, after, before.seq, before)
            raise
        # It may have left memory meanwhile and been claimed again, with the timers that it had before.
        current = self._residents.at_hand_by_id(resident.id)
        if current is not None:
            _replace(current, before, before.seq, after)


def _replace(resident: Resident, before: Timer | None, seq: int, after: Timer | None) -> None:
    """Nothing where the resident does not have `before`."""
    if resident.timers.get(seq) != before:
        return
    timers = {number: timer for number, timer in resident.timers.items() if number != seq}
    if after is not None:
        timers[seq] = after
    resident.timers = timers

"""Carrying instances over, wished for or ordered: `upgrades.py` decides, and this commits in the turn of the instance.

An upgrade is made while nothing is under way; whatever else is decided for the instance waits until it is durable.
"""

from __future__ import annotations

import asyncio

from statekeep import crash_points
from statekeep.application.committing import Committing
from statekeep.application.resident import Resident, UpgradeOrder
from statekeep.application.upgrades import DecidedUpgrade, Upgrades, is_ready
from statekeep.domain.errors import StatekeepError


class Upgrading:
    """Makes upgrades. Without `upgrades` no instance is ever carried over."""

    def __init__(self, upgrades: Upgrades | None, committing: Committing) -> None:
        self._upgrades = upgrades
        self._committing = committing

    async def fulfil_wish(self, resident: Resident) -> None:
        """Carry a settled instance over to the version that is desired for it, or leave it as it is. Not pipelined."""
        if self._upgrades is None or not self._upgrades.may_begin(resident):
            return
        await resident.all_committed()
        decided = None if resident.is_void else await self._upgrades.decide(resident)
        if decided is not None:
            await self._commit(resident, decided)

    async def carry_out(self, resident: Resident) -> None:
        """Do what is ordered, or say why not."""
        order, resident.order = resident.order, None
        assert order is not None
        try:
            order.reply(await self._is_carried_over(resident, order))
        except StatekeepError as error:
            order.fail(error)
        except BaseException:
            order.fail(StatekeepError("the upgrade was given up"))
            raise

    async def _is_carried_over(self, resident: Resident, order: UpgradeOrder) -> bool:
        await resident.all_committed()
        is_wanted = not order.answer.cancelled()
        if self._upgrades is None or resident.is_void or not is_wanted or not is_ready(resident):
            return False
        if resident.version.id == order.target.id:
            return True
        decided = await self._upgrades.decide_on(resident, order)
        if decided is None:
            return False
        await self._commit(resident, decided)
        return not resident.is_void

    async def _commit(self, resident: Resident, decided: DecidedUpgrade) -> None:
        crash_points.reach(crash_points.BEFORE_UPGRADE)
        await asyncio.wait([self._committing.submit_upgrade(resident, decided)])

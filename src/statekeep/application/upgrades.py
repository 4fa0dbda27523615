"""Carrying instances over to the version that is desired for them, as far as it is a question: `upgrading.py` commits the answer.

An upgrade comes before the next event of a settled instance. One that fails leaves everything as it was: the event is handled by the old
version, the author's log says why, and it is tried again with a later event, after a pause that grows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple

from statekeep.application.indexing import Indexing
from statekeep.application.migration_paths import MigrationPaths
from statekeep.application.resident import Resident, UpgradeOrder
from statekeep.domain.errors import Overloaded, StatekeepError
from statekeep.domain.index import IndexEntries
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.limits import (
    UPGRADE_RETRIED_AFTER,
    UPGRADE_RETRIED_AFTER_MAX,
)
from statekeep.domain.machine import MachineVersion
from statekeep.domain.migration import (
    Losses,
    Upgraded,
    require_room,
    timer_moves,
    upgrade_event,
)
from statekeep.ports.author_log import AuthorLog
from statekeep.ports.clock import Clock
from statekeep.ports.runtime import HostLost, Leaving, Runtime, Standing
from statekeep.ports.store import Catalog

_RETRIED_AFTER_SECONDS: Final = UPGRADE_RETRIED_AFTER.total_seconds()
_RETRIED_AFTER_SECONDS_MAX: Final = UPGRADE_RETRIED_AFTER_MAX.total_seconds()
_DOUBLINGS_MAX: Final = 20


class DecidedUpgrade(NamedTuple):
    """An upgrade that is to be committed. `event` is the JSON by which the journal records it."""

    target: MachineVersion
    upgraded: Upgraded
    event: bytes
    index_entries: IndexEntries


class Upgrades:
    """Made on a running loop."""

    def __init__(
        self,
        runtime: Runtime,
        catalog: Catalog,
        paths: MigrationPaths,
        indexing: Indexing,
        clock: Clock,
        author_log: AuthorLog,
    ) -> None:
        self._runtime = runtime
        self._catalog = catalog
        self._paths = paths
        self._indexing = indexing
        self._clock = clock
        self._author_log = author_log
        self._loop = asyncio.get_running_loop()

    def may_begin(self, resident: Resident) -> bool:
        """Is another version desired, is the instance settled with an event before it, and is it not too soon after a failure?"""
        return (
            resident.desired_version is not None
            and self._loop.time() >= resident.upgrade_not_before
            and is_ready(resident)
            and _has_event(resident)
        )

    async def decide(self, resident: Resident) -> DecidedUpgrade | None:
        """The upgrade that is to be committed now, on top of the head of the resident; nothing of it may be under way.

        None where it failed, which is logged, or where the instance moved meanwhile.
        """
        desired = resident.desired_version
        assert desired is not None
        target = await self._catalog.version(desired.id)
        if target is None:
            # The instance was deleted meanwhile, and its machine.
            return None
        try:
            decided = await self._attempt(resident, target)
        except Overloaded as error:
            resident.put_upgrade_off(self._loop.time() + error.retry_after_seconds)
            return None
        except StatekeepError as error:
            self._put_off(resident)
            self._tell_failure(resident, target, error)
            return None
        if decided is None or resident.desired_version != desired or not self.may_begin(resident):
            return None
        self._tell_losses(resident, target, decided.upgraded.lost)
        return decided

    async def decide_on(self, resident: Resident, order: UpgradeOrder) -> DecidedUpgrade | None:
        """The same for an upgrade that is ordered and not wished for; None also where the order was called off.

        Raises what it failed with, which is logged; tried again it is by whoever ordered it.
        """
        target = order.target
        try:
            decided = await self._attempt(resident, target, order)
        except Overloaded:
            raise
        except StatekeepError as error:
            self._tell_failure(resident, target, error)
            raise
        if decided is not None:
            self._tell_losses(resident, target, decided.upgraded.lost)
        return decided

    async def _attempt(
        self, resident: Resident, target: MachineVersion, order: UpgradeOrder | None = None
    ) -> DecidedUpgrade | None:
        before = resident.head_revision
        path = await self._paths.find(resident.version, target)
        standing = await self._standing(resident)
        leaving = Leaving(resident.version, standing, tuple(resident.timers.values()))
        codes = [self._paths.code_of(migration) for migration in path]
        asking = self._runtime.upgrade(leaving, target, codes)
        upgraded = await (asking if order is None else _unless_called_off(asking, order))
        if upgraded is None:
            return None
        moves = timer_moves(upgraded, resident.timers, now_ms=self._clock.now_ms())
        require_room(moves, resident.timers)
        is_current = resident.head_revision == before and not resident.is_void
        if not is_current or not is_ready(resident):
            return None
        event = upgrade_event(resident.version.id, target.id, path)
        entries = self._indexing.find(target, resident.current_selectors, upgraded.snapshot)
        return DecidedUpgrade(target, upgraded, event, entries)

    async def _standing(self, resident: Resident) -> Standing:
        """Where it stands, with what its idle children came to. Whatever its host has sent is heard by then."""
        standing = resident.head()
        with contextlib.suppress(HostLost):
            saved = await self._runtime.save(resident.version, resident.id)
            return standing._replace(snapshot=saved.snapshot)
        return standing

    def _put_off(self, resident: Resident) -> None:
        doublings = min(resident.upgrade_failures, _DOUBLINGS_MAX)
        pause = min(_RETRIED_AFTER_SECONDS * 2**doublings, _RETRIED_AFTER_SECONDS_MAX)
        resident.upgrade_failures += 1
        resident.put_upgrade_off(self._loop.time() + pause)

    def _tell_failure(
        self, resident: Resident, target: MachineVersion, error: StatekeepError
    ) -> None:
        text = (
            f"the upgrade to version {target.id} failed, and version {resident.version.id} goes on:"
            f" {error.message}"
        )
        stack = getattr(error, "stack", None)
        self._write_log(resident, target, f"{text}\n{stack}" if stack else text)

    def _tell_losses(self, resident: Resident, target: MachineVersion, lost: Losses) -> None:
        what = [f'child "{child}"' for child in lost.children]
        what += [f'the past of "{".".join(path)}"' for path in lost.history]
        if what:
            text = f"the upgrade to version {target.id} left behind: {', '.join(what)}"
            self._write_log(resident, target, text)

    def _write_log(self, resident: Resident, version: MachineVersion, text: str) -> None:
        self._author_log.write(
            version, resident.key, is_error=True, ts=self._clock.now_ms(), text=text
        )


def is_ready(resident: Resident) -> bool:
    """May it be carried over as it is now?"""
    return resident.status is InstanceStatus.RUNNING and resident.is_settled


async def _unless_called_off(
    asking: Coroutine[Any, Any, Upgraded], order: UpgradeOrder
) -> Upgraded | None:
    task = asyncio.ensure_future(asking)
    order.answer.add_done_callback(lambda _: task.cancel())
    try:
        # Not the task itself, whose end is not that of the turn.
        await asyncio.wait([task])
    finally:
        task.cancel()
    return None if task.cancelled() else task.result()


def _has_event(resident: Resident) -> bool:
    if not resident.mailbox:
        return False
    seq = resident.mailbox[0].delivery.timer_seq
    # One that was cancelled meanwhile is no event.
    return seq is None or seq in resident.timers

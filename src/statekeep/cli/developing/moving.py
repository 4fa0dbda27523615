"""Carries running instances over to the version that was just published, with the server's own migrations.

An instance fits where the new version has every state that it is in: its state and its context stay as they are then. The others stay where they
are, and are named.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from statekeep.cli.developing.telling import failed, happened, names_of

if TYPE_CHECKING:
    from statekeep.client import AsyncClient
    from statekeep.client.models import BulkUpgradeProgress, BulkUpgradeResult, DryRun

_LOOK_AGAIN_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
"""How long to wait before each look at work that takes its time; the last one from then on."""
_UNFINISHED: Final = frozenset({"running", "paused"})

_STAY_AS_YOU_ARE: Final = """\
export const upgradeState = (path) => path;
export const upgradeContext = (_oldPaths, _newPaths, context) => context;
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """Instances that stay on their version for the same reason. `names` are some of them."""

    why: str
    count: int
    names: Sequence[str]


async def carry_over(api: AsyncClient, machine: str, version_id: str) -> None:
    """Have all instances of other versions carried over that fit, and tell which do and which do not.

    May be cancelled, and called again for a newer version: what was on its way is called off then.
    """
    await _call_off(api, machine)
    others = await _versions_in_use(api, machine) - {version_id}
    if not others:
        return
    await _lead_from(others, api, machine, version_id)
    trial = await _try_out(api, machine, version_id)
    _tell_losses(machine, trial)
    if not trial.fit:
        _tell_kept(machine, [Kept(f.message, f.instances, f.samples) for f in trial.failures])
        return
    progress = await _move(api, machine, version_id)
    if progress.upgraded:
        happened(machine, f"moved {_instances(progress.upgraded)} along")
    if progress.reason is not None:
        failed(machine, f"instances are not moved any further: {progress.reason}")
    if progress.failed:
        results = api.bulk_upgrades.list_results(machine, progress.id, outcome="failed")
        _tell_kept(machine, _by_reason([result async for result in results]))


async def _call_off(api: AsyncClient, machine: str) -> None:
    """A machine has one bulk upgrade at a time, and one to an older version is of no use any more."""
    from statekeep.client.errors import InvalidStateError

    async for job in api.bulk_upgrades.list(machine):
        if job.status in _UNFINISHED:
            try:
                await api.bulk_upgrades.set_status(machine, job.id, "cancelled")
            except InvalidStateError:
                # It came to its end meanwhile.
                return
        # Newest first, and none begins before the one before it has ended.
        return


async def _versions_in_use(api: AsyncClient, machine: str) -> set[str]:
    return {found.machine_version.id async for found in api.machine_instances.list(machine)}


async def _lead_from(others: set[str], api: AsyncClient, machine: str, version_id: str) -> None:
    """One step from each version: instances that were kept by versions in between may fit this one."""
    migrations = api.machine_version_migrations
    known = {
        migration.from_machine_version_id
        async for migration in migrations.list(machine)
        if migration.to_machine_version_id == version_id
    }
    for other in sorted(others - known):
        await migrations.create(
            machine,
            _STAY_AS_YOU_ARE,
            from_machine_version_id=other,
            to_machine_version_id=version_id,
        )


async def _try_out(api: AsyncClient, machine: str, version_id: str) -> DryRun:
    migrations = api.machine_version_migrations
    trial = await migrations.dry_run(machine, to_machine_version_id=version_id)
    for pause in _pauses():
        if trial.state != "running":
            return trial
        await asyncio.sleep(pause)
        trial = await migrations.get_dry_run(machine, trial.id)
    raise AssertionError("pauses do not end")


async def _move(api: AsyncClient, machine: str, version_id: str) -> BulkUpgradeProgress:
    """How it ended, or that it paused itself. Instances that have not settled are waited for."""
    job_id = await _begin(api, machine, version_id)
    is_told = False
    for pause in _pauses():
        progress = await api.bulk_upgrades.get(machine, job_id)
        if progress.status != "running":
            return progress
        if progress.waiting and not (progress.pending or is_told):
            happened(machine, f"{_instances(progress.waiting)} will be moved once settled")
            is_told = True
        await asyncio.sleep(pause)
    raise AssertionError("pauses do not end")


async def _begin(api: AsyncClient, machine: str, version_id: str) -> str:
    from statekeep.client.errors import InvalidStateError

    for pause in _pauses():
        try:
            return await api.bulk_upgrades.begin(machine, to_machine_version_id=version_id)
        except InvalidStateError:
            # One that was asked for before, by whoever was cancelled since, began only now.
            await _call_off(api, machine)
            await asyncio.sleep(pause)
    raise AssertionError("pauses do not end")


def _pauses() -> Iterator[float]:
    yield from _LOOK_AGAIN_SECONDS
    while True:
        yield _LOOK_AGAIN_SECONDS[-1]


def _by_reason(results: Sequence[BulkUpgradeResult]) -> list[Kept]:
    names = defaultdict(list)
    for result in results:
        names[result.message or result.reason or result.outcome].append(result.slug)
    return [Kept(why, len(slugs), slugs) for why, slugs in names.items()]


def _tell_kept(machine: str, kept: Sequence[Kept]) -> None:
    for group in kept:
        names = names_of(group.names, group.count)
        happened(machine, f"kept {_instances(group.count)} on their version ({names}): {group.why}")


def _tell_losses(machine: str, trial: DryRun) -> None:
    for timers in trial.timers.cancelled:
        names = names_of(timers.samples, timers.count)
        happened(machine, f"{timers.id} is gone, and with it the timers of {names}")
    for children in trial.lost_children:
        names = names_of(children.samples, children.count)
        happened(machine, f"child {children.id} is left behind by {names}")
    for history in trial.lost_history:
        names = names_of(history.samples, history.count)
        happened(machine, f"the past of {'.'.join(history.state)} is forgotten by {names}")


def _instances(count: int) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"

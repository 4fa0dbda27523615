"""Trying migrations out on one instance after the other, on what the store has of them. Nothing is written, and no resident is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Final

from statekeep.application.dry_run_reports import Report
from statekeep.application.indexing import Indexing
from statekeep.application.migration_paths import MigrationPaths
from statekeep.domain.bulk_upgrade import InstanceSelection
from statekeep.domain.errors import HostTakenDown, Overloaded, StatekeepError
from statekeep.domain.instance import NO_SELECTORS
from statekeep.domain.limits import (
    DRY_RUN_PORTION,
    DRY_RUN_PORTION_BYTES_MAX,
    DRY_RUNS_AT_ONCE,
    HOST_DEATHS_MAX,
)
from statekeep.domain.machine import Machine, MachineVersion
from statekeep.domain.migration import Losses, TimerMoves, require_room, timer_moves
from statekeep.domain.names import InstanceId, VersionId
from statekeep.ports.clock import Clock
from statekeep.ports.runtime import Leaving, MigrationCode, Runtime, Standing
from statekeep.ports.store import SelectedInstance, Store

_NOBODY: Final = InstanceId(0)
_OVERLOADED_TRIES_MAX: Final = 5


class DryRunState(Enum):
    """`STOPPED` is one that did not come to its end: `why` says why."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


class DryRun:
    """One of them. `total` is None until it is known."""

    def __init__(
        self, id: str, machine: Machine, target: MachineVersion, selection: InstanceSelection
    ) -> None:
        self.id = id
        self.machine = machine
        self.target = target
        self.selection = selection
        self.state = DryRunState.RUNNING
        self.why: str | None = None
        self.total: int | None = None
        self.report = Report()
        self.task: asyncio.Task[None] | None = None
        self.host_deaths = 0

    def stop(self, why: str) -> None:
        """It ends here."""
        self.state = DryRunState.STOPPED
        self.why = why


class GivenUp(Exception):
    """There is no use in going on."""


class Ways:
    """How to get to the target from each version that an instance may have."""

    def __init__(self, store: Store, paths: MigrationPaths, target: MachineVersion) -> None:
        self._store = store
        self._paths = paths
        self._target = target
        self._given: dict[VersionId, Sequence[MigrationCode]] = {}
        self._found: dict[
            VersionId, tuple[MachineVersion, Sequence[MigrationCode] | StatekeepError]
        ] = {}

    def use(self, start: VersionId, codes: Sequence[MigrationCode]) -> None:
        """From there by these, whatever is published."""
        self._given[start] = codes

    async def path_from(self, start: VersionId) -> tuple[MachineVersion, Sequence[MigrationCode]]:
        """Raises NoMigrationPath, and GivenUp where the machine was deleted."""
        if start not in self._found:
            version = await self._store.version(start)
            if version is None:
                raise GivenUp("the machine was deleted")
            self._found[start] = (version, await self._codes(version))
        version, codes = self._found[start]
        if isinstance(codes, StatekeepError):
            raise codes
        return version, codes

    async def _codes(self, start: MachineVersion) -> Sequence[MigrationCode] | StatekeepError:
        given = self._given.get(start.id)
        if given is not None:
            return given
        try:
            path = await self._paths.find(start, self._target)
        except StatekeepError as error:
            return error
        return [self._paths.code_of(migration) for migration in path]


class DryRunner:
    """Walks over the instances of one dry run."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        indexing: Indexing,
        clock: Clock,
        run: DryRun,
        ways: Ways,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._indexing = indexing
        self._clock = clock
        self._run = run
        self._ways = ways
        self._current_selectors = NO_SELECTORS

    async def walk(self) -> None:
        """Report on all that match. Raises GivenUp, with what was found until then in the report."""
        run = self._run
        last = await self._store.newest_instance(run.machine.id)
        run.total = await self._store.count_instances(run.selection, last=last)
        self._current_selectors = await self._store.current_selectors(run.machine.id)
        position = InstanceId(0)
        while position < last:
            portion = await self._store.selected_instances(
                run.selection,
                after=position,
                last=last,
                limit=DRY_RUN_PORTION,
                bytes_max=DRY_RUN_PORTION_BYTES_MAX,
                with_timers=True,
            )
            position = portion.position
            for first in range(0, len(portion.instances), DRY_RUNS_AT_ONCE):
                await self._try_all(portion.instances[first : first + DRY_RUNS_AT_ONCE])
        # Some may have been deleted since they were counted.
        run.total = run.report.done

    async def _try_all(self, group: Sequence[SelectedInstance]) -> None:
        trying = [asyncio.create_task(self._try(instance)) for instance in group]
        try:
            await asyncio.gather(*trying)
        finally:
            # Where one has given up each of the others could cost one more process.
            for one in trying:
                one.cancel()
            await asyncio.gather(*trying, return_exceptions=True)

    async def _try(self, instance: SelectedInstance) -> None:
        report = self._run.report
        if instance.version_id == self._run.target.id:
            report.unchanged += 1
            return
        for _ in range(_OVERLOADED_TRIES_MAX):
            try:
                moves, lost = await self._rehearse(instance)
            except Overloaded as error:
                await asyncio.sleep(error.retry_after_seconds)
                continue
            except StatekeepError as error:
                report.add_failure(instance, error)
                if isinstance(error, HostTakenDown):
                    self._count_death()
            else:
                report.add_fit(instance, moves, lost)
            return
        raise GivenUp("the server was too busy; try again later")

    async def _rehearse(self, instance: SelectedInstance) -> tuple[TimerMoves, Losses]:
        """Raises whatever the upgrade would fail with."""
        version, codes = await self._ways.path_from(instance.version_id)
        standing = Standing(_NOBODY, instance.name, instance.revision, instance.snapshot)
        target = self._run.target
        leaving = Leaving(version, standing, instance.timers)
        upgraded = await self._runtime.rehearse(leaving, target, codes)
        pending = {timer.seq: timer for timer in instance.timers}
        moves = timer_moves(upgraded, pending, now_ms=self._clock.now_ms())
        require_room(moves, pending)
        self._indexing.find(target, self._current_selectors, upgraded.snapshot)
        return moves, upgraded.lost

    def _count_death(self) -> None:
        self._run.host_deaths += 1
        if self._run.host_deaths >= HOST_DEATHS_MAX:
            raise GivenUp(f"{HOST_DEATHS_MAX} instances took their host process down")

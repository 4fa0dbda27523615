"""Dry runs: migrations tried out on the instances that there are. Nothing of it is written anywhere.

A dry run lives in memory. It goes on when nobody waits for its report any more, and its report is there for a while; the end of the server ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from statekeep.application.dry_run_reports import Report
from statekeep.application.ids import new_id
from statekeep.application.machines import find_machine
from statekeep.application.migration_paths import MigrationPaths
from statekeep.application.selections import SelectionText, find_version, read_selection
from statekeep.application.upgrades import require_timers
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.bulk_upgrade import InstanceSelection
from statekeep.domain.errors import (
    HostTakenDown,
    InvalidParameter,
    InvalidState,
    NotFound,
    Overloaded,
    StatekeepError,
    TooLarge,
)
from statekeep.domain.limits import (
    CODE_BYTES_MAX,
    DRY_RUN_CODES_MAX,
    DRY_RUN_PORTION,
    DRY_RUN_PORTION_BYTES_MAX,
    DRY_RUN_WAIT,
    DRY_RUNS_AT_ONCE,
    DRY_RUNS_KEPT,
    DRY_RUNS_RUNNING_MAX,
    HOST_DEATHS_MAX,
    MIB,
)
from statekeep.domain.machine import Machine, MachineVersion
from statekeep.domain.names import InstanceId, MachineName, OrganizationId, VersionId
from statekeep.ports.entropy import Entropy
from statekeep.ports.runtime import Leaving, MigrationCode, Runtime, Standing
from statekeep.ports.store import SelectedInstance, Store

_log = logging.getLogger(__name__)

_NOBODY: Final = InstanceId(0)
_OVERLOADED_TRIES_MAX: Final = 5


class DryRunState(Enum):
    """`STOPPED` is one that did not come to its end: `why` says why."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


class DryRunRequest(NamedTuple):
    """What is tried on which instances: the published path to `target`, or `codes` one after the other."""

    target: VersionId
    selection: SelectionText
    codes: Sequence[str] = ()


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


class DryRuns:
    """Use cases around dry runs. Must be closed."""

    def __init__(
        self, store: Store, runtime: Runtime, paths: MigrationPaths, entropy: Entropy
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._paths = paths
        self._entropy = entropy
        self._runs: dict[str, DryRun] = {}
        self._turnstile = asyncio.Semaphore(DRY_RUNS_RUNNING_MAX)

    async def close(self) -> None:
        """End all that run."""
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def begin(
        self, caller: AuthContext, machine: MachineName, request: DryRunRequest
    ) -> DryRun:
        """Try it out, and wait a while for the report: done or not, it is there under its id afterwards.

        Raises NotFound, InvalidParameter and NoMigrationPath where it is asked for what cannot be, InvalidCode where a migration that was sent along cannot
        be used, TooLarge, and InvalidState where the organization has too many that are not over or an index is being filled.
        """
        organization_id = self._require(caller)
        found = await find_machine(self._store, organization_id, machine)
        target = await find_version(self._store, found, request.target, "toMachineVersionId")
        selection = await read_selection(self._store, found, request.selection)
        way = await self._way(found, target, selection, request.codes)
        self._make_room(organization_id)
        run = DryRun(new_id("dry", self._entropy), found, target, selection)
        self._runs[run.id] = run
        run.task = asyncio.create_task(self._run(run, way))
        await asyncio.wait([run.task], timeout=DRY_RUN_WAIT.total_seconds())
        return run

    async def get(self, caller: AuthContext, machine: MachineName, run_id: str) -> DryRun:
        """How far it is, and what was found so far. Raises NotFound."""
        organization_id = self._require(caller)
        found = await find_machine(self._store, organization_id, machine)
        run = self._runs.get(run_id)
        if run is None or run.machine.id != found.id:
            raise NotFound(f"machine {machine} has no such dry run; the server keeps the last ones")
        return run

    async def cancel(self, caller: AuthContext, machine: MachineName, run_id: str) -> None:
        """Let it come to its end here, and forget it. Raises NotFound."""
        run = await self.get(caller, machine, run_id)
        if run.task is not None:
            run.task.cancel()
            await asyncio.wait([run.task])
        self._runs.pop(run.id, None)

    def _require(self, caller: AuthContext) -> OrganizationId:
        # It runs code, and what migrations throw may tell of any context.
        require_scope(caller, "machine-versions.write")
        return require_scope(caller, "instances.admin")

    def _make_room(self, organization_id: OrganizationId) -> None:
        kept = [
            run for run in self._runs.values() if run.machine.organization_id == organization_id
        ]
        if len(kept) < DRY_RUNS_KEPT:
            return
        over = next((run for run in kept if run.state is not DryRunState.RUNNING), None)
        if over is None:
            raise InvalidState(f"there are {DRY_RUNS_KEPT} dry runs under way; end one of them")
        del self._runs[over.id]

    async def _way(
        self,
        machine: Machine,
        target: MachineVersion,
        selection: InstanceSelection,
        codes: Sequence[str],
    ) -> _Ways:
        if codes and selection.version is None:
            raise InvalidParameter(
                "say which version the code that you sent along leads away from",
                parameter="fromMachineVersionId",
            )
        if selection.version == target.id:
            raise InvalidParameter(
                "a migration leads from one version to another", parameter="toMachineVersionId"
            )
        ways = _Ways(self._store, self._paths, target)
        if codes:
            assert selection.version is not None
            ways.use(selection.version, await self._sent_along(machine, codes))
        elif selection.version is not None:
            await ways.path_from(selection.version)
        return ways

    async def _sent_along(self, machine: Machine, codes: Sequence[str]) -> list[MigrationCode]:
        if len(codes) > DRY_RUN_CODES_MAX:
            raise InvalidParameter(f"codes has at most {DRY_RUN_CODES_MAX}", parameter="codes")
        modules = [code.encode(errors="replace") for code in codes]
        if sum(map(len, modules)) > CODE_BYTES_MAX:
            raise TooLarge(f"code has at most {CODE_BYTES_MAX // MIB} MiB")
        for module in modules:
            await self._runtime.inspect_migration(machine.organization_id, module)
        return [_unpublished(machine, module) for module in modules]

    async def _run(self, run: DryRun, ways: _Ways) -> None:
        try:
            async with self._turnstile:
                await self._walk(run, ways)
            run.state = DryRunState.DONE
        except _GivenUp as reason:
            _stop(run, str(reason))
        except asyncio.CancelledError:
            _stop(run, "it was ended")
            raise
        except StatekeepError as error:
            _stop(run, error.message)
        except Exception:
            _log.exception("a dry run ended early")
            _stop(run, "something went wrong here; the server's log has it")

    async def _walk(self, run: DryRun, ways: _Ways) -> None:
        last = await self._store.newest_instance(run.machine.id)
        run.total = await self._store.count_instances(run.selection, last=last)
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
                group = portion.instances[first : first + DRY_RUNS_AT_ONCE]
                await asyncio.gather(*(self._try(run, ways, it) for it in group))
                if run.host_deaths >= HOST_DEATHS_MAX:
                    raise _GivenUp(f"{HOST_DEATHS_MAX} instances took their host process down")
        # Some may have been deleted since they were counted.
        run.total = run.report.done

    async def _try(self, run: DryRun, ways: _Ways, instance: SelectedInstance) -> None:
        if instance.version_id == run.target.id:
            run.report.unchanged += 1
            return
        for _ in range(_OVERLOADED_TRIES_MAX):
            try:
                version, codes = await ways.path_from(instance.version_id)
                standing = Standing(_NOBODY, instance.name, instance.revision, instance.snapshot)
                leaving = Leaving(version, standing, instance.timers)
                upgraded = await self._runtime.rehearse(leaving, run.target, codes)
                require_timers(leaving, upgraded)
            except Overloaded as error:
                await asyncio.sleep(error.retry_after_seconds)
                continue
            except StatekeepError as error:
                run.host_deaths += isinstance(error, HostTakenDown)
                run.report.add_failure(instance, error)
            else:
                run.report.add_fit(instance, upgraded)
            return
        raise _GivenUp("the server was too busy; try again later")


class _GivenUp(Exception):
    """There is no use in going on."""


class _Ways:
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
        """Raises NoMigrationPath."""
        if start not in self._found:
            version = await self._store.version(start)
            assert version is not None, "versions go with their machine, and that has instances"
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


def _unpublished(machine: Machine, module: bytes) -> MigrationCode:
    async def load() -> bytes:
        return module

    # The same code again is the same migration, of this machine.
    return MigrationCode(f"dry_{machine.id}_{sha256(module).hexdigest()}", load)


def _stop(run: DryRun, why: str) -> None:
    run.state = DryRunState.STOPPED
    run.why = why

"""Dry runs: migrations tried out on the instances that there are. Nothing of it is written anywhere.

A dry run lives in memory. It goes on when nobody waits for its report any more, and its report is there for a while; the end of the server ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple
from weakref import WeakValueDictionary

from statekeep.application.dry_running import DryRun, DryRunner, DryRunState, GivenUp, Ways
from statekeep.application.ids import new_id
from statekeep.application.indexing import Indexing
from statekeep.application.machines import find_machine
from statekeep.application.migration_paths import MigrationPaths
from statekeep.application.selections import SelectionText, find_version, read_selection
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.bulk_upgrade import InstanceSelection
from statekeep.domain.errors import (
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
    DRY_RUN_TIME_MAX,
    DRY_RUN_WAIT,
    DRY_RUNS_KEPT,
    DRY_RUNS_KEPT_IN_ALL,
    DRY_RUNS_RUNNING_MAX,
    DRY_RUNS_UNFINISHED_IN_ALL_MAX,
    DRY_RUNS_UNFINISHED_MAX,
    MIB,
)
from statekeep.domain.machine import Machine, MachineVersion
from statekeep.domain.names import MachineName, OrganizationId, VersionId
from statekeep.ports.clock import Clock
from statekeep.ports.entropy import Entropy
from statekeep.ports.runtime import MigrationCode, Runtime
from statekeep.ports.store import Store

_log = logging.getLogger(__name__)


class DryRunRequest(NamedTuple):
    """What is tried on which instances: the published path to `target`, or `codes` one after the other."""

    target: VersionId
    selection: SelectionText
    codes: Sequence[str] = ()


class DryRuns:
    """Use cases around dry runs. Must be closed."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        paths: MigrationPaths,
        indexing: Indexing,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._paths = paths
        self._indexing = indexing
        self._clock = clock
        self._entropy = entropy
        self._runs: dict[str, DryRun] = {}
        """The oldest first."""
        self._turns: WeakValueDictionary[OrganizationId, asyncio.Lock] = WeakValueDictionary()
        """One at a time of each organization, so that the others get theirs."""
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
        be used, TooLarge, InvalidState where the organization has too many that are not over or an index is being filled, and Overloaded where all have.
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
        """Let there be one more: those that are over are forgotten. Raises InvalidState and Overloaded."""
        ours = [
            run for run in self._runs.values() if run.machine.organization_id == organization_id
        ]
        if _unfinished(ours) >= DRY_RUNS_UNFINISHED_MAX:
            raise InvalidState(f"{DRY_RUNS_UNFINISHED_MAX} dry runs are not over; end one of them")
        if _unfinished(self._runs.values()) >= DRY_RUNS_UNFINISHED_IN_ALL_MAX:
            raise Overloaded("too many dry runs wait for their turn", retry_after_seconds=30)
        if len(ours) >= DRY_RUNS_KEPT:
            self._forget_oldest(ours)
        if len(self._runs) >= DRY_RUNS_KEPT_IN_ALL:
            self._forget_oldest(self._runs.values())

    def _forget_oldest(self, runs: Iterable[DryRun]) -> None:
        oldest = next(run for run in runs if run.state is not DryRunState.RUNNING)
        del self._runs[oldest.id]

    async def _way(
        self,
        machine: Machine,
        target: MachineVersion,
        selection: InstanceSelection,
        codes: Sequence[str],
    ) -> Ways:
        if codes and selection.version is None:
            raise InvalidParameter(
                "say which version the code that you sent along leads away from",
                parameter="fromMachineVersionId",
            )
        if selection.version == target.id:
            raise InvalidParameter(
                "a migration leads from one version to another", parameter="toMachineVersionId"
            )
        ways = Ways(self._store, self._paths, target)
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

    async def _run(self, run: DryRun, ways: Ways) -> None:
        runner = DryRunner(self._store, self._runtime, self._indexing, self._clock, run, ways)
        turn = self._turns.setdefault(run.machine.organization_id, asyncio.Lock())
        try:
            async with turn, self._turnstile, asyncio.timeout(DRY_RUN_TIME_MAX.total_seconds()):
                await runner.walk()
            run.state = DryRunState.DONE
        except GivenUp as reason:
            run.stop(str(reason))
        except TimeoutError:
            run.stop("it took too long; try fewer instances at once")
        except asyncio.CancelledError:
            run.stop("it was ended")
            raise
        except StatekeepError as error:
            run.stop(error.message)
        except Exception:
            _log.exception("a dry run ended early")
            run.stop("something went wrong here; the server's log has it")


def _unfinished(runs: Iterable[DryRun]) -> int:
    return sum(run.state is DryRunState.RUNNING for run in runs)


def _unpublished(machine: Machine, module: bytes) -> MigrationCode:
    async def load() -> bytes:
        return module

    # The same code again is the same migration, of this machine.
    return MigrationCode(f"dry_{machine.id}_{sha256(module).hexdigest()}", load)

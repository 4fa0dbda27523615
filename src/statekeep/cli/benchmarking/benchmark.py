"""The course of a benchmark: a machine is made, loaded phase by phase, and cleared away again, whatever happens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from statekeep.cli.benchmarking.generating import generate
from statekeep.cli.benchmarking.ground import Ground, ground_on
from statekeep.cli.benchmarking.own_server import own_server
from statekeep.cli.benchmarking.phases import Phase
from statekeep.cli.benchmarking.plan import Load, Plan, Progress, instance_name
from statekeep.cli.benchmarking.report import PhaseResult, Report
from statekeep.cli.benchmarking.workload import Workload
from statekeep.cli.connection import Target
from statekeep.cli.output import CommandFailed
from statekeep.cli.progress import item_progress

_WARM_UP_SECONDS_MAX: Final = 2.0
_OVER_LIMIT: Final = "429"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to measure."""

    phases: Sequence[Phase]
    connections: int
    instances: int
    seconds: float
    """For each phase."""


class Benchmark:
    """One benchmark of one server. `report` has what was measured so far, whatever ends it."""

    def __init__(self, target: Target, wanted: Wanted, *, sync_ms: float | None = None) -> None:
        self.report = Report(
            url=target.url,
            version=_version_of(target),
            is_own=sync_ms is not None,
            sync_ms=sync_ms,
            cores=os.cpu_count(),
        )
        self._target = target
        self._wanted = wanted
        self._made = 0
        """Instances that there may be."""

    def run(self) -> None:
        """Raises KeyboardInterrupt where Ctrl-C ended it, once all is cleared away, and CommandFailed where it did not come about."""
        with ground_on(self._target) as ground:
            workload = Workload(
                self._target.url,
                ground.token,
                ground.machine,
                connections=self._wanted.connections,
                instances=self._wanted.instances,
            )
            try:
                ground.publish()
                self._prepare(workload)
                for phase in self._wanted.phases:
                    self._measure(phase, workload, ground)
                self.report.is_complete = True
            finally:
                # A server of our own goes with all that is in it.
                if not self.report.is_own:
                    self._clear(workload, ground)

    def _prepare(self, workload: Workload) -> None:
        """Make the instances, and have the server warm."""
        self._made = self._wanted.instances
        load = _carry_out(workload.preparation(), "Preparing")
        _go_on(load)
        if load.failures:
            raise CommandFailed(f"instances could not be made: {_told(load)}")
        seconds = min(_WARM_UP_SECONDS_MAX, self._wanted.seconds)
        _go_on(_carry_out(workload.warm_up(seconds), "Warming up"))

    def _measure(self, phase: Phase, workload: Workload, ground: Ground) -> None:
        plan = workload.phase(phase, self._wanted.seconds, self._made)
        before = ground.count(instance_name(0)) if phase.is_about_one else None
        load = _carry_out(plan, f"Measuring {phase}")
        if phase is Phase.CREATE:
            self._made += load.sent
        lost = None
        if before is not None:
            lost = max(0, load.answered - (ground.count(instance_name(0)) - before))
        self.report.phases.append(
            PhaseResult(phase, plan.connections, None if plan.is_once else plan.count, load, lost)
        )
        _go_on(load)

    def _clear(self, workload: Workload, ground: Ground) -> None:
        try:
            _go_on(_carry_out(workload.deletion(self._made), "Clearing away"))
            ground.clear()
        except KeyboardInterrupt:
            ground.warn_of_rest("Ctrl-C")
            raise


@contextmanager
def benchmark_of_own_server(wanted: Wanted) -> Iterator[Benchmark]:
    """With a server that is there for it alone."""
    with own_server() as server:
        yield Benchmark(server.target, wanted, sync_ms=server.sync_ms)


def _carry_out(plan: Plan, what: str) -> Load:
    with item_progress(what) as show:
        return generate(plan, _shown(plan, show))


def _shown(plan: Plan, show: Callable[[int, int | None, str], None]) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if plan.is_once:
            show(progress.answered, plan.count, "")
        else:
            rate = progress.answered / progress.seconds
            show(int(progress.seconds), int(plan.seconds), f"{rate:,.0f} a second")

    return on_progress


def _go_on(load: Load) -> None:
    if load.was_stopped:
        raise KeyboardInterrupt


def _told(load: Load) -> str:
    told = ", ".join(f"{why} ({count:,} times)" for why, count in load.failures.items())
    advice = "; the organization has a rate limit (--rate-limit of the server)"
    return told + (advice if _OVER_LIMIT in load.failures else "")


class _Description(msgspec.Struct):
    class Info(msgspec.Struct):
        version: str

    info: Info


def _version_of(target: Target) -> str | None:
    """As the description of its API has it. None where it has none, as State Backed's own."""
    try:
        answer = httpx.get(f"{target.url}/openapi.json", trust_env=not target.is_near)
        return msgspec.json.decode(answer.content, type=_Description).info.version
    except (httpx.HTTPError, msgspec.DecodeError):
        return None

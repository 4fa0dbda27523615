"""What came of a benchmark, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from statekeep.cli.benchmarking.phases import Phase
from statekeep.cli.benchmarking.plan import Load
from statekeep.cli.output import say, show, show_pages

_BUSY: Final = 0.9
"""The share of a core from which on the generator may be what is measured."""
_COLUMNS: Final = {
    "phase": "Phase",
    "connections": "Connections",
    "instances": "Instances",
    "rate": "Per second",
    "p50": "p50",
    "p99": "p99",
    "errors": "Errors",
    "lost": "Lost events",
}


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """One phase. `instances` are those that events went to; `lost` is how many events were answered and did not count, where all of them went to one."""

    phase: Phase
    connections: int
    instances: int | None
    load: Load
    lost: int | None

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return self.load.answered_in_time / self.load.seconds if self.load.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "phase": self.phase.value,
            "connections": self.connections,
            "instances": self.instances,
            "seconds": round(self.load.seconds, 3),
            "answered": self.load.answered,
            "perSecond": round(self.rate, 1),
            "p50Ms": self.load.latency_ms(0.5),
            "p99Ms": self.load.latency_ms(0.99),
            "errors": self.load.failures,
            "lostEvents": self.lost,
            "generatorCpuShare": round(self.load.cpu_share, 2),
        }

    def row(self) -> dict[str, Any]:
        """For people."""
        return {
            "phase": self.phase.value,
            "connections": f"{self.connections:,}",
            "instances": "" if self.instances is None else f"{self.instances:,}",
            "rate": f"{self.rate:,.0f}",
            "p50": _milliseconds(self.load.latency_ms(0.5)),
            "p99": _milliseconds(self.load.latency_ms(0.99)),
            "errors": ", ".join(f"{why}: {count:,}" for why, count in self.load.failures.items()),
            "lost": "" if not self.lost else f"{self.lost:,}",
        }


@dataclass(slots=True)
class Report:
    """A benchmark and the server that it was of. What nobody knows is None."""

    url: str
    version: str | None
    is_own: bool
    sync_ms: float | None
    cores: int | None
    phases: list[PhaseResult] = field(default_factory=list)
    is_complete: bool = False

    def show(self, *, as_table: bool) -> None:
        """On stdout."""
        if not as_table:
            show(self.to_json())
            return
        show_pages([[phase.row() for phase in self.phases]], _COLUMNS, "table")
        say()
        for line in self._facts():
            say(line)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "server": {
                "url": self.url,
                "version": self.version,
                "isOwn": self.is_own,
                "diskSyncMs": None if self.sync_ms is None else round(self.sync_ms, 4),
            },
            "cores": self.cores,
            "phases": [phase.to_json() for phase in self.phases],
            "isComplete": self.is_complete,
        }

    def problems(self) -> Iterator[str]:
        """What went wrong."""
        for phase in self.phases:
            if phase.lost:
                yield f"{phase.phase}: {phase.lost:,} events were answered and did not count"
            if phase.load.failures:
                count = sum(phase.load.failures.values())
                yield f"{phase.phase}: {count:,} requests failed"

    def doubts(self) -> Iterator[str]:
        """Why the server may be faster than the figures say."""
        for phase in self.phases:
            if phase.load.cpu_share > _BUSY:
                yield f"{phase.phase}: the load generator had no processor time left, so the server may do more"

    def _facts(self) -> Iterator[str]:
        version = "of unknown version" if self.version is None else self.version
        yield f"Server: {version} at {self.url}"
        if self.sync_ms is None:
            yield "Disk: not known; a server syncs what an event has written before it answers"
        else:
            yield f"Disk: {self.sync_ms:.3f} ms to sync a page, as the server does before it answers"
        where = "shared with the server" if self.is_own else "here, where the load comes from"
        yield f"Cores: {self.cores} {where}"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ms"

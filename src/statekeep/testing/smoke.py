"""Smoke tests of machine files, of which nobody has written a line: what throws, what cannot be reached, where nothing leads on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from statekeep.testing.cases import ExploreOptions, explore
from statekeep.testing.exploring import Complaint, Exploration, Failure, covering_ways, labels_to
from statekeep.testing.handles import FOR_AUTHORS
from statekeep.testing.reporting import MISSED_SHOWN_MAX, missed_lines, share

_INDENT: Final = "  "


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """What came of one file. `exploration` is None where it could not be loaded, which `error` tells."""

    file: Path
    exploration: Exploration | None
    error: str | None = None
    coverage_min: float = 0

    @property
    def has_passed(self) -> bool:
        """Did nothing throw, and was enough covered?"""
        found = self.exploration
        if found is None:
            return False
        is_covered = found.coverage.percent >= self.coverage_min
        return is_covered and not found.failures and not _thrown_by_actions(found)

    def to_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        found = self.exploration
        head = {"file": str(self.file), "passed": self.has_passed}
        if found is None:
            return {**head, "error": self.error}
        coverage = found.coverage
        return {
            **head,
            "situations": len(found.situations),
            "exhaustive": found.is_exhaustive,
            "refused": found.refused,
            "states": {
                "seen": coverage.states_seen,
                "all": len(coverage.chart.states),
                "missed": [state.name for state in coverage.missed_states],
            },
            "transitions": {
                "seen": coverage.arrows_seen,
                "all": len(coverage.chart.arrows),
                "missed": [str(arrow) for arrow in coverage.missed_arrows],
            },
            "failures": [_failure_json(each) for each in found.distinct_failures],
            "stderr": [
                {"path": labels_to(each.after), "text": each.text}
                for each in _distinct(found.complaints)
            ],
            "deadEnds": found.dead_ends,
            "paths": [[each.move.label for each in way] for way in covering_ways(found)],
        }

    def lines(self) -> list[str]:
        """The same for people: how it went, and what to look at."""
        found = self.exploration
        if found is None:
            return [f"{self.file}: failed", *_indented(self.error or "")]
        coverage = found.coverage
        states = share(coverage.states_seen, len(coverage.chart.states))
        arrows = share(coverage.arrows_seen, len(coverage.chart.arrows))
        return [
            f"{self.file}: {'passed' if self.has_passed else 'failed'}",
            f"  {len(found.situations)} situations, {len(covering_ways(found))} paths;"
            f" states {states}, transitions {arrows}",
            *self._remarks(found),
        ]

    def _remarks(self, found: Exploration) -> list[str]:
        remarks: list[str] = []
        for failure in found.distinct_failures:
            remarks += _indented(f"throws: {failure}")
        for complaint in _distinct(found.complaints):
            what = "throws, in an action" if complaint.is_failure else "writes to stderr"
            path = ", ".join(labels_to(complaint.after))
            remarks += _indented(f"{what}: {complaint.text.rstrip()}\nafter {path}")
        remarks += [f"  dead end: {state!r}" for state in found.dead_ends]
        missed = missed_lines(found.coverage)
        remarks += [f"  {line}" for line in missed[:MISSED_SHOWN_MAX]]
        if len(missed) > MISSED_SHOWN_MAX:
            remarks.append(f"  ... and {len(missed) - MISSED_SHOWN_MAX} more")
        remarks += _bounds_reached(found)
        if found.coverage.percent < self.coverage_min:
            remarks.append(
                f"  {found.coverage.percent:g}% are covered, less than {self.coverage_min:g}%"
            )
        return remarks


def smoke_test(file: Path, options: ExploreOptions, *, coverage_min: float = 0) -> SmokeTest:
    """Explore the machine in a file and perform what it does on the way. `coverage_min` is the percentage of states and of transitions that has to be seen."""
    performing: ExploreOptions = {**options, "perform": True}
    try:
        found = explore(file, **performing)
    except FOR_AUTHORS as error:
        return SmokeTest(file, None, str(error), coverage_min)
    return SmokeTest(file, found, coverage_min=coverage_min)


def _bounds_reached(found: Exploration) -> list[str]:
    if found.refused and not found.situations:
        return ["  allowWrite lets nobody create an instance"]
    if not found.is_exhaustive and not found.coverage.is_complete:
        return ["  not everything was tried: too many situations, or too many moves to get there"]
    return []


def _failure_json(failure: Failure) -> Mapping[str, Any]:
    stack = getattr(failure.error, "stack", None)
    return {
        "path": failure.labels,
        "error": failure.error.message,
        **({} if stack is None else {"stack": stack}),
    }


def _thrown_by_actions(found: Exploration) -> list[Complaint]:
    return [complaint for complaint in found.complaints if complaint.is_failure]


def _distinct(complaints: list[Complaint]) -> list[Complaint]:
    """Of those that say the same, the first, which has the shortest path."""
    found: dict[str, Complaint] = {}
    for complaint in complaints:
        found.setdefault(complaint.text, complaint)
    return list(found.values())


def _indented(text: str) -> list[str]:
    first, *rest = text.splitlines() or [""]
    return [f"{_INDENT}{first}", *[f"{_INDENT * 2}{line}" for line in rest]]

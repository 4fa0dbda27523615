"""The table of what was covered."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from statekeep.testing.chart import Coverage

MISSED_SHOWN_MAX: Final = 10
"""States and transitions of one machine that are named, unless somebody wants to see all."""


class CoverageReport:
    """What tests have seen of machine files."""

    def __init__(self) -> None:
        self._by_file: dict[str, dict[bytes, Coverage]] = {}

    def add(self, file: Path, coverage: Coverage) -> None:
        """Take this into account. A file that was changed meanwhile is another machine."""
        charts = self._by_file.setdefault(os.path.relpath(file), {})
        known = charts.setdefault(coverage.chart.outline, Coverage(coverage.chart))
        known.add(coverage)

    def to_json(self) -> list[dict[str, Any]]:
        """For another process."""
        return [{"file": file, **coverage.to_json()} for file, coverage in self._all()]

    def add_json(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Take what another process has seen into account."""
        for entry in entries:
            self.add(Path(entry["file"]), Coverage.from_json(entry))

    def __bool__(self) -> bool:
        return bool(self._by_file)

    def lines(self, *, show_all: bool = False) -> list[str]:
        """As a terminal shows it."""
        width = max([len("machine"), *[len(file) for file, _ in self._all()]])
        lines = [f"{'machine':{width}}  {'states':>14}  {'transitions':>14}"]
        for file, coverage in self._all():
            states = share(coverage.states_seen, len(coverage.chart.states))
            arrows = share(coverage.arrows_seen, len(coverage.chart.arrows))
            lines.append(f"{file:{width}}  {states:>14}  {arrows:>14}")
            missed = missed_lines(coverage)
            shown = missed if show_all else missed[:MISSED_SHOWN_MAX]
            lines += [f"  {line}" for line in shown]
            if len(shown) < len(missed):
                lines.append(f"  ... and {len(missed) - len(shown)} more")
        return lines

    def too_little(self, percent_min: float) -> list[str]:
        """A line for each file of which less was seen."""
        return [
            f"{file}: {coverage.percent:g}% are covered, less than {percent_min:g}%"
            for file, coverage in self._all()
            if coverage.percent < percent_min
        ]

    def _all(self) -> list[tuple[str, Coverage]]:
        return [
            (file, coverage)
            for file, charts in sorted(self._by_file.items())
            for coverage in charts.values()
        ]


def missed_lines(coverage: Coverage) -> list[str]:
    """What of a chart was not seen."""
    states = [f"never active: {state.name}" for state in coverage.missed_states]
    return [*states, *[f"never taken: {arrow}" for arrow in coverage.missed_arrows]]


def share(seen: int, all_: int) -> str:
    """Both, and the percentage, rounded down so that 100 means all."""
    return f"{seen}/{all_} {seen * 100 // all_ if all_ else 100:>4}%"

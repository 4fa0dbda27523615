"""Which selectors apply to which instance, at the moment (decision 0007).

The selectors of an instance are those of its own version, and for each index that its version does not select for, the one of the machine's current version.
A resident knows the latter from its claim; when they change while it is in memory, whoever fills the indexes says so here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from statekeep.application.index_selectors import IndexPlan
from statekeep.domain.index import NO_INDEX_ENTRIES, IndexEntries
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import VersionId
from statekeep.ports.snapshots import ReadContext

_PLANS_MAX: Final = 1_000
"""Versions whose selectors are kept compiled. Then they are all compiled again: microseconds each."""

EntriesOf = Callable[[bytes], IndexEntries]


class Indexing:
    """Finds the index entries of snapshots."""

    def __init__(self, read_context: ReadContext) -> None:
        self._read_context = read_context
        self._current: dict[int, Mapping[str, str]] = {}
        self._entries_of: dict[VersionId, EntriesOf | None] = {}

    def entries_of(
        self, version: MachineVersion, current_selectors: Mapping[str, str]
    ) -> EntriesOf | None:
        """From a snapshot of that version to its entries; None where it has none in any case. What comes of it raises TooLarge.

        `current_selectors` are those of the machine's current version, as far as the caller knows.
        """
        if version.id in self._entries_of:
            return self._entries_of[version.id]
        if len(self._entries_of) >= _PLANS_MAX:
            self._entries_of.clear()
        current = self._current.get(version.machine_id, current_selectors)
        plan = IndexPlan(version.index_selectors, current)
        entries_of = None if plan.is_empty else partial(self._find, plan)
        self._entries_of[version.id] = entries_of
        return entries_of

    def find(
        self, version: MachineVersion, current_selectors: Mapping[str, str], snapshot: bytes
    ) -> IndexEntries:
        """The entries of a snapshot of that version. Raises TooLarge."""
        entries_of = self.entries_of(version, current_selectors)
        return NO_INDEX_ENTRIES if entries_of is None else entries_of(snapshot)

    def use(self, machine_id: int, selectors: Mapping[str, str]) -> None:
        """From now on these are the selectors of the machine's current version."""
        self._current[machine_id] = selectors
        self._entries_of.clear()

    def _find(self, plan: IndexPlan, snapshot: bytes) -> IndexEntries:
        return plan.entries_of(self._read_context(snapshot))

"""Indexes of machines: which values an instance is found by, and what may be asked of them.

Values are compared by their Unicode code points, which is also the order of their UTF-8 bytes.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from statekeep.domain.names import InstanceId, InstanceName

IndexEntry = tuple[str, str]
"""An index and a value under which an instance is found there."""
IndexEntries = frozenset[IndexEntry]
"""All entries of one instance."""

NO_INDEX_ENTRIES: Final[IndexEntries] = frozenset()


class IndexChanges(NamedTuple):
    """By what the entries of an instance differ from those before. Not both are empty."""

    added: tuple[IndexEntry, ...]
    removed: tuple[IndexEntry, ...]


def index_changes(before: IndexEntries, after: IndexEntries) -> IndexChanges | None:
    """The way from one set of entries to another, in order; None where they are the same."""
    if before == after:
        return None
    return IndexChanges(tuple(sorted(after - before)), tuple(sorted(before - after)))


class Comparison(Enum):
    """How an entry's value is to compare with that of a query."""

    EQUAL = "eq"
    NOT_EQUAL = "ne"
    GREATER = "gt"
    GREATER_OR_EQUAL = "gte"
    LESS = "lt"
    LESS_OR_EQUAL = "lte"


class IndexFilter(NamedTuple):
    """Which entries are wanted."""

    comparison: Comparison
    value: str

    def admits(self, value: str) -> bool:
        """Is an entry with this value wanted?"""
        match self.comparison:
            case Comparison.EQUAL:
                return value == self.value
            case Comparison.NOT_EQUAL:
                return value != self.value
            case Comparison.GREATER:
                return value > self.value
            case Comparison.GREATER_OR_EQUAL:
                return value >= self.value
            case Comparison.LESS:
                return value < self.value
            case Comparison.LESS_OR_EQUAL:
                return value <= self.value


class IndexQuery(NamedTuple):
    """A list of entries of one index, by value and then by instance number, both descending where it is so."""

    machine_id: int
    index_name: str
    filter: IndexFilter | None
    is_descending: bool
    limit: int


class IndexMatch(NamedTuple):
    """An instance and the value under which it was found."""

    name: InstanceName
    value: str


class IndexFill(NamedTuple):
    """Entries of existing instances being brought up to other selectors, in the order of their numbers.

    `indexes` are those whose selectors changed; None for whatever the machine has. A later one of the same machine has a greater `generation` and takes the place of
    this one. Instances up to `position` are `done`; `last` is the last that is looked at, 0 until it is begun.
    """

    machine_id: int
    generation: int
    indexes: tuple[str, ...] | None
    position: InstanceId
    last: InstanceId
    done: int
    total: int

"""Portions of exports, alike in every store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from statekeep.domain.limits import EXPORT_PORTION_BYTES_MAX
from statekeep.domain.transfer import Record, size_of


def next_portion(records: Iterator[Record]) -> Sequence[Record]:
    """The next records, until they are enough for once; empty at the end."""
    portion: list[Record] = []
    size = 0
    for record in records:
        portion.append(record)
        size += size_of(record)
        if size >= EXPORT_PORTION_BYTES_MAX:
            break
    return portion

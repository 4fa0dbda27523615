"""Log entries: what author code printed and what went wrong in it.

What must stay true, because clients read on from the last timestamp that they have seen (SPEC 2):

- timestamps of an organization never go back in the order in which its entries become visible;
- two batches never share a millisecond, and what one batch has in one millisecond fits on a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from statekeep.domain.limits import (
    LOG_ENTRIES_PER_MILLISECOND_MAX,
    LOG_ENTRY_BYTES_MAX,
    LOG_ENTRY_OVERHEAD_BYTES,
)
from statekeep.domain.names import InstanceName, MachineName, OrganizationId, VersionId

_CUT = " ... (cut)"


class LogEntry(NamedTuple):
    """One piece of output. `ts_ms` is when it was written, in whole ms since the epoch; once stored, the timestamp that clients see.

    `instance_name` is None for what belongs to none: code that runs when the module is loaded.
    """

    ts_ms: int
    organization_id: OrganizationId
    machine_name: MachineName
    instance_name: InstanceName | None
    version_id: VersionId
    is_error: bool
    text: str
    size_bytes: int
    """What it counts for against the bounds of its organization."""


class LogSelection(NamedTuple):
    """Which entries are wanted: after one instant, up to another (ms since the epoch), and of what. None stands for any."""

    after_ms: int
    until_ms: int | None = None
    machine_name: MachineName | None = None
    instance_name: InstanceName | None = None
    version_id: VersionId | None = None


def size_of(text: str) -> int:
    """Bytes that an entry with this text counts for."""
    length = len(text) if text.isascii() else len(text.encode(errors="replace"))
    return length + LOG_ENTRY_OVERHEAD_BYTES


def cut(text: str) -> str:
    """The text, or as much of it as an entry may have."""
    if len(text) * 4 <= LOG_ENTRY_BYTES_MAX or size_of(text) - LOG_ENTRY_OVERHEAD_BYTES <= (
        LOG_ENTRY_BYTES_MAX
    ):
        return text
    kept = text.encode(errors="replace")[: LOG_ENTRY_BYTES_MAX - len(_CUT)]
    return kept.decode(errors="ignore") + _CUT


def timestamps(written: Iterable[int], newest_ms: int | None) -> list[int]:
    """Timestamps for a batch of one organization, in the order of the batch, where `newest_ms` is the last that was given out.

    Each is when the entry was written where that keeps the rules above, and as soon after it as they allow elsewhere.
    """
    given: list[int] = []
    latest = -1 if newest_ms is None else newest_ms + 1
    count = 0
    for ms in written:
        if ms > latest:
            latest, count = ms, 0
        elif count == LOG_ENTRIES_PER_MILLISECOND_MAX:
            latest, count = latest + 1, 0
        count += 1
        given.append(latest)
    return given


def whole_milliseconds(entries: Sequence[LogEntry], count_max: int) -> Sequence[LogEntry]:
    """Of entries in the order of their timestamps as many as fit, none of them part of a millisecond only.

    `entries` has one more than `count_max` where there are more.
    """
    if len(entries) <= count_max:
        return entries
    cut_ms = entries[count_max].ts_ms
    kept = [entry for entry in entries[:count_max] if entry.ts_ms != cut_ms]
    assert kept, "more entries in a millisecond than fit on a page"
    return kept


def excess(oldest: Iterable[tuple[int, int]], total: int, *, before_ms: int, total_max: int) -> int:
    """How many of the oldest entries have to go, each given by timestamp and size: those before `before_ms`, and those that
    have to make room until `total` bytes are `total_max`."""
    count = 0
    for ts_ms, size in oldest:
        if ts_ms >= before_ms and total <= total_max:
            break
        total -= size
        count += 1
    return count

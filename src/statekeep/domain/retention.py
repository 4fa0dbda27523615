"""How long machines keep what they have done, and what follows from it."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import NamedTuple

from statekeep.domain.limits import RETENTION_SLACK
from statekeep.domain.names import InstanceId, MachineName, OrganizationId


class JournalBounds(NamedTuple):
    """How much of each instance's journal is kept: what is within both bounds. The newest entry always is; without a bound all are."""

    max_age: timedelta | None = None
    max_entries: int | None = None

    @property
    def is_unbounded(self) -> bool:
        """Is everything kept for ever?"""
        return self.max_age is None and self.max_entries is None


class LogBounds(NamedTuple):
    """How long a machine's log entries are kept. Without a bound as long as the server keeps any."""

    max_age: timedelta | None = None


class Retention(NamedTuple):
    """What was chosen for a machine, kind by kind of what it leaves behind. None is what the server does by default."""

    journal: JournalBounds | None = None
    logs: LogBounds | None = None


class MachineLogAge(NamedTuple):
    """That the log entries of one machine are kept for a time of their own. `machine_id` is the store's number of it."""

    machine_id: int
    organization_id: OrganizationId
    machine_name: MachineName
    max_age: timedelta


class MachineRetention(NamedTuple):
    """What was chosen for one machine, by the store's number of it."""

    machine_id: int
    retention: Retention


class JournalExtent(NamedTuple):
    """What is there of an instance's journal.

    `oldest_ts`, in ms since the epoch, is when the oldest entry was written or, where nothing was cut yet, when the instance was made.
    """

    instance_id: InstanceId
    newest_revision: int
    oldest_revision: int
    oldest_ts: float


class JournalCut(NamedTuple):
    """Which entries have to go: those up to a revision, and those before a time (ms since the epoch)."""

    revision: int
    ts: float


def cut_due(bounds: JournalBounds, extent: JournalExtent, now_ms: float) -> JournalCut | None:
    """What has to go of a journal; None while that is too little to be worth the way there.

    A journal is read from its newest entry back, so that whoever cuts it passes by everything that stays. It is therefore let grow over its
    bounds by RETENTION_SLACK, and then cut back to them: a constant number of steps for each entry that goes, however long the journal.
    """
    if extent.oldest_revision >= extent.newest_revision:
        return None
    revision, ts, is_due = 0, -math.inf, False
    if bounds.max_entries is not None:
        revision = extent.newest_revision - bounds.max_entries
        excess = revision - extent.oldest_revision + 1
        is_due = excess > bounds.max_entries * RETENTION_SLACK
    if bounds.max_age is not None:
        age_ms = bounds.max_age.total_seconds() * 1000
        ts = now_ms - age_ms
        is_due = is_due or extent.oldest_ts < ts - age_ms * RETENTION_SLACK
    return JournalCut(revision, ts) if is_due else None

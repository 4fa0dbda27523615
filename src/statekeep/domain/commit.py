"""Everything that one transaction writes about one instance."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from statekeep.domain.event import Origin, Receipt
from statekeep.domain.index import IndexChanges
from statekeep.domain.instance import InstanceKey
from statekeep.domain.names import InstanceId, VersionId
from statekeep.domain.timer import NO_TIMER_CHANGES, TimerChanges


class JournalEntry(NamedTuple):
    """One recorded macrostep. `ts` is in ms since the epoch and grows strictly along the entries of an instance."""

    revision: int
    ts: float
    origin: Origin
    event: bytes
    snapshot: bytes


class KeyUse(NamedTuple):
    """An idempotency key and what it stands for. `answer` is the JSON of the first answer; None while the event has not settled."""

    key: str
    body_hash: bytes
    answer: bytes | None
    expires_at: float


class NewInstance(NamedTuple):
    """Present in the commit that creates an instance."""

    key: InstanceKey
    machine_id: int
    version_id: VersionId
    created_at: datetime


class Commit(NamedTuple):
    """The step from one revision of an instance to a later one, all or nothing.

    `entries` is not empty, in order, and its first revision is `base_revision + 1`. `due` replaces the list of children owed an answer.
    `next_timer_seq` is the number the next timer will get. `received` are messages of other instances that the entries apply: they are removed, and
    have to be there unless their sender was deleted. `upgraded_to` is the version that the instance has from these entries on, which is not desired any more then.
    """

    instance_id: InstanceId
    base_revision: int
    entries: tuple[JournalEntry, ...]
    due: tuple[str, ...] = ()
    timers: TimerChanges = NO_TIMER_CHANGES
    next_timer_seq: int = 0
    keys: tuple[KeyUse, ...] = ()
    new: NewInstance | None = None
    received: tuple[Receipt, ...] = ()
    indexed: IndexChanges | None = None
    upgraded_to: VersionId | None = None

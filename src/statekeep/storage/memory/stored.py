"""An instance in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from statekeep.domain.commit import JournalEntry, KeyUse, NewInstance
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.names import VersionId
from statekeep.domain.timer import Timer


@dataclass(slots=True)
class Stored:
    """All that is known of it."""

    created: NewInstance
    status: InstanceStatus = InstanceStatus.RUNNING
    journal: list[JournalEntry] = field(default_factory=list)
    is_cut: bool = False
    """Has the journal lost its beginning?"""
    due: tuple[str, ...] = ()
    timers: dict[int, Timer] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)
    """Of dead timers, by their numbers: which death of all it was."""
    next_timer_seq: int = 0
    keys: dict[str, KeyUse] = field(default_factory=dict)
    versions: list[tuple[int, VersionId]] = field(default_factory=list)
    """From which revision on it had which."""
    desired_version: VersionId | None = None

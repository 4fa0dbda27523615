"""What a dry run finds: counts, with a few instances as examples of each kind of finding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar, cast

from statekeep.domain.errors import StatekeepError, UpgradeFailed
from statekeep.domain.limits import (
    DRY_RUN_GROUPS_MAX,
    DRY_RUN_KIND_LENGTH_MAX,
    DRY_RUN_SAMPLES,
    RESULT_MESSAGE_LENGTH_MAX,
)
from statekeep.domain.migration import Losses, TimerMoves
from statekeep.domain.names import InstanceName, VersionId
from statekeep.ports.store import SelectedInstance

Kind = TypeVar("Kind")


class Group:
    """Instances that are alike in something."""

    __slots__ = ("count", "samples")

    def __init__(self) -> None:
        self.count = 0
        self.samples: list[InstanceName] = []


class Groups(Generic[Kind]):
    """Groups by kind, in the order in which they were met. What is past the bound of kinds, or has no name that could be told, is counted in `others`."""

    def __init__(self) -> None:
        self._groups: dict[Kind, Group] = {}
        self.others = 0

    def add(self, kind: Kind, name: InstanceName) -> None:
        """An instance of that kind."""
        group = self._groups.get(kind)
        if group is None:
            if len(self._groups) >= DRY_RUN_GROUPS_MAX or _length(kind) > DRY_RUN_KIND_LENGTH_MAX:
                self.others += 1
                return
            group = self._groups[kind] = Group()
        group.count += 1
        if len(group.samples) < DRY_RUN_SAMPLES and name not in group.samples:
            group.samples.append(name)

    def __iter__(self) -> Iterator[tuple[Kind, Group]]:
        return iter(self._groups.items())


def _length(kind: object) -> int:
    """Of all text in it."""
    return len(kind) if isinstance(kind, str) else sum(map(_length, cast("tuple[object]", kind)))


class Failure(NamedTuple):
    """Why instances do not fit."""

    reason: str
    message: str


class Unmapped(NamedTuple):
    """A state that the migrations lead to, from that version, and that the new version does not have."""

    path: tuple[str, ...]
    version: VersionId


class Report:
    """Findings so far. An instance has as many timers and children in it as it has."""

    def __init__(self) -> None:
        self.fit = 0
        self.failed = 0
        self.unchanged = 0
        """Those that are of the new version already."""
        self.failures: Groups[Failure] = Groups()
        self.unmapped: Groups[Unmapped] = Groups()
        self.timers_cancelled: Groups[str] = Groups()
        self.timers_renamed: Groups[tuple[str, str]] = Groups()
        self.timers_started: Groups[str] = Groups()
        self.children_lost: Groups[str] = Groups()
        self.history_lost: Groups[tuple[str, ...]] = Groups()

    @property
    def done(self) -> int:
        """Instances that were looked at."""
        return self.fit + self.failed + self.unchanged

    @property
    def others(self) -> int:
        """Findings of kinds past the bound."""
        groups: tuple[Groups[Any], ...] = (
            self.failures,
            self.unmapped,
            self.timers_cancelled,
            self.timers_renamed,
            self.timers_started,
            self.children_lost,
            self.history_lost,
        )
        return sum(kinds.others for kinds in groups)

    def add_fit(self, instance: SelectedInstance, moves: TimerMoves, lost: Losses) -> None:
        """It would be carried over."""
        self.fit += 1
        name = instance.name
        timers = {timer.seq: timer for timer in instance.timers if not timer.is_dead}
        for renamed in moves.renamed:
            if renamed.seq in timers:
                self.timers_renamed.add((timers[renamed.seq].send_id, renamed.send_id), name)
        for seq in moves.cancelled:
            if seq in timers:
                self.timers_cancelled.add(timers[seq].send_id, name)
        for started in moves.started:
            # What tells a parent of the end is no timer, though it goes the same way.
            if started.message is None:
                self.timers_started.add(started.send_id, name)
        for child in lost.children:
            self.children_lost.add(child, name)
        for path in lost.history:
            self.history_lost.add(path, name)

    def add_failure(self, instance: SelectedInstance, error: StatekeepError) -> None:
        """It would stay as it is."""
        self.failed += 1
        reason = error.code or "internal"
        if isinstance(error, UpgradeFailed):
            reason = error.reason
            if error.path is not None:
                self.unmapped.add(Unmapped(error.path, instance.version_id), instance.name)
        message = error.message[:RESULT_MESSAGE_LENGTH_MAX]
        self.failures.add(Failure(reason, message), instance.name)

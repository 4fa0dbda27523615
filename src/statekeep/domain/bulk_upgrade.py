"""Bulk upgrades: carrying many instances of a machine over to one version, as a job that outlives the server.

Which instances a job is about is settled first, in portions by their numbers, up to the newest that there was when it was made. From then on each of them has one result.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from statekeep.domain.index import IndexFilter
from statekeep.domain.names import BulkUpgradeId, InstanceId, InstanceName, VersionId


class JobStatus(Enum):
    """A job that is `running` or `paused` may still change instances; the others are over."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


UNFINISHED: Final = frozenset({JobStatus.RUNNING, JobStatus.PAUSED})


class InstanceOutcome(Enum):
    """What came of an instance so far."""

    PENDING = "pending"
    """It was not looked at yet."""
    WAITING = "waiting"
    """It had not settled, or was busy, and is looked at again."""
    UPGRADED = "upgraded"
    UNCHANGED = "unchanged"
    """It was of that version already, or is not of the version any more that the job is about."""
    FAILED = "failed"
    """It stays as it was."""


OPEN_OUTCOMES: Final = frozenset({InstanceOutcome.PENDING, InstanceOutcome.WAITING})


class IndexCondition(NamedTuple):
    """Has the instance an entry in an index, and one that the filter admits?"""

    index_name: str
    filter: IndexFilter | None


class InstanceSelection(NamedTuple):
    """Instances of a machine: those that fulfil all that is said."""

    machine_id: int
    version: VersionId | None = None
    condition: IndexCondition | None = None
    names: tuple[InstanceName, ...] | None = None


class BulkUpgrade(NamedTuple):
    """A job. Instances up to `position` have been selected, and those up to `last` will be. `reason` says why it paused itself."""

    id: BulkUpgradeId
    target: VersionId
    selection: InstanceSelection
    created_at: datetime
    status: JobStatus = JobStatus.RUNNING
    reason: str | None = None
    finished_at: datetime | None = None
    position: InstanceId = InstanceId(0)
    last: InstanceId = InstanceId(0)

    @property
    def is_selected(self) -> bool:
        """Is it known which instances it is about?"""
        return self.position >= self.last


class UpgradeTask(NamedTuple):
    """An instance that a job has still to do with. `version` is the one that it had when it was selected."""

    instance_id: InstanceId
    version: VersionId
    tries: int = 0


class UpgradeResult(NamedTuple):
    """What came of an instance: `reason` is for programs, `message` for people, both empty where nothing has to be said."""

    instance_id: InstanceId
    outcome: InstanceOutcome
    reason: str = ""
    message: str = ""
    tries: int = 0


class ListedResult(NamedTuple):
    """A result as lists show it."""

    name: InstanceName
    version: VersionId
    """That it had when it was selected."""
    outcome: InstanceOutcome
    reason: str
    message: str

"""What is written down when an organization or a machine is exported, in the order in which it stands there.

First the catalog: machines, each followed by its versions and its migrations, oldest first. Then the instances, each followed by its journal, oldest entry
first, and its timers. What an instance refers to has therefore been said before.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import NamedTuple, NewType

from statekeep.domain.commit import JournalEntry
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.machine import MachineVersion
from statekeep.domain.migration import Migration
from statekeep.domain.names import InstanceName, MachineName, OrganizationId, VersionId
from statekeep.domain.retention import Retention
from statekeep.domain.timer import Timer

ImportId = NewType("ImportId", str)
"""One import that is under way."""


class JournalPart(Enum):
    """How much of each journal is exported. One entry is needed: it holds the state."""

    ALL = "all"
    NEWEST = "newest"


class ExportSelection(NamedTuple):
    """What is exported. `machine` None stands for all of the organization."""

    organization_id: OrganizationId
    machine: MachineName | None
    journal: JournalPart


class MachineRecord(NamedTuple):
    """A machine without what belongs to it."""

    name: MachineName
    indexes: tuple[str, ...]
    created_at: datetime
    retention: Retention = Retention()


class VersionRecord(NamedTuple):
    """A version with its module."""

    version: MachineVersion
    code: bytes
    is_current: bool


class MigrationRecord(NamedTuple):
    """A migration with its module."""

    machine: MachineName
    migration: Migration
    code: bytes


class Span(NamedTuple):
    """From which revision on an instance had which version."""

    first_revision: int
    version_id: VersionId


class InstanceRecord(NamedTuple):
    """An instance without its journal and its timers. The last of `spans` is the version that it has."""

    machine: MachineName
    name: InstanceName
    status: InstanceStatus
    created_at: datetime
    spans: tuple[Span, ...]
    desired_version: VersionId | None
    revision: int
    due: tuple[str, ...]
    next_timer_seq: int


Record = MachineRecord | VersionRecord | MigrationRecord | InstanceRecord | JournalEntry | Timer


def size_of(record: Record) -> int:
    """About how many bytes of memory it takes, by what may be large in it."""
    match record:
        case JournalEntry():
            return len(record.event) + len(record.snapshot) + 256
        case Timer():
            return len(record.event) + 256
        case VersionRecord() | MigrationRecord():
            return len(record.code) + 256
        case _:
            return 512

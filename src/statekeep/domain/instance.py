"""Instances and what may be seen of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from statekeep.domain.index import NO_INDEX_ENTRIES, IndexEntries
from statekeep.domain.machine import MachineVersion, VersionInfo
from statekeep.domain.names import InstanceId, InstanceName, MachineName, OrganizationId
from statekeep.domain.timer import Timer


class InstanceStatus(Enum):
    """A paused instance takes no events."""

    RUNNING = "running"
    PAUSED = "paused"


class InstanceKey(NamedTuple):
    """How the world names an instance."""

    organization_id: OrganizationId
    machine_name: MachineName
    name: InstanceName


NO_SELECTORS: Mapping[str, str] = MappingProxyType({})


class ClaimedInstance(NamedTuple):
    """An instance as the store has it: everything needed to go on.

    `snapshot` belongs to `revision`; `ts` is when that was written, in ms since the epoch. `due` names the children that were owed an answer at that
    revision: whoever claims the instance without having them alive owes it their error events.
    `current_selectors` are the index selectors of the machine's current version, whichever the instance's own is.
    """

    id: InstanceId
    key: InstanceKey
    version: MachineVersion
    desired_version: VersionInfo | None
    status: InstanceStatus
    revision: int
    ts: float
    snapshot: bytes
    due: tuple[str, ...]
    timers: tuple[Timer, ...]
    next_timer_seq: int
    created_at: datetime
    index_entries: IndexEntries = NO_INDEX_ENTRIES
    current_selectors: Mapping[str, str] = NO_SELECTORS


class InstanceInfo(NamedTuple):
    """What lists show of an instance."""

    name: InstanceName
    created_at: datetime
    status: InstanceStatus
    version: VersionInfo
    desired_version: VersionInfo | None = None


class InstanceView(NamedTuple):
    """What an authorised caller may see. `view` is a JSON object without `ts`; encoded once, shared by all who may see it."""

    revision: int
    ts: float
    view: bytes

    def to_json(self) -> bytes:
        """The State of SPEC 2: the view with its `ts`."""
        return b'{"ts":%b,%b' % (repr(self.ts).encode(), self.view[1:])

    @classmethod
    def of_json(cls, revision: int, json: bytes) -> InstanceView:
        """Back from `to_json`."""
        ts, _, rest = json.removeprefix(b'{"ts":').partition(b",")
        return cls(revision, float(ts), b"{" + rest)

"""Machines, their versions, and what else an organization owns besides instances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from statekeep.domain.access import Role
from statekeep.domain.names import KeyId, MachineName, OrganizationId, VersionId


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """What lists show of a version."""

    id: VersionId
    created_at: datetime
    client_info: str | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A name with versions and indexes. `id` is the store's number of it."""

    id: int
    organization_id: OrganizationId
    name: MachineName
    indexes: tuple[str, ...]
    created_at: datetime
    current_version: VersionInfo | None


@dataclass(frozen=True, slots=True)
class MachineVersion:
    """Immutable code of a machine. `code_hash` is the SHA-256 of the module; the module itself is read when a host needs it."""

    id: VersionId
    machine_id: int
    organization_id: OrganizationId
    machine_name: MachineName
    created_at: datetime
    client_info: str | None
    index_selectors: dict[str, str]
    xstate_major: int
    code_hash: bytes


@dataclass(frozen=True, slots=True)
class Organization:
    """Owner of machines, keys and members."""

    id: OrganizationId
    name: str
    created_at: datetime
    allow_anonymous_access: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """An organization as one of its members sees it."""

    organization: Organization
    role: Role


@dataclass(frozen=True, slots=True)
class Usage:
    """How much there is of an organization's. `transitions` counts those of the instances that there are, kept or not."""

    machines: int
    versions: int
    instances: int
    transitions: int


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as lists show it: the secret is shown once, when the key is made."""

    id: KeyId
    organization_id: OrganizationId
    name: str
    scopes: frozenset[str]
    created_at: datetime

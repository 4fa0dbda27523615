"""Hosts apart: the same version once more, for what may take its process down and must not take the children of instances along."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import VersionId

_MARK: Final = "/rehearsal"
"""No id has a slash."""


def apart(version: MachineVersion) -> MachineVersion:
    """Stands in for the version where a host of its own is wanted."""
    return replace(version, id=VersionId(version.id + _MARK))


def original(version: MachineVersion) -> MachineVersion:
    """The version that it stands for, which may be itself."""
    if not version.id.endswith(_MARK):
        return version
    return replace(version, id=VersionId(version.id.removesuffix(_MARK)))

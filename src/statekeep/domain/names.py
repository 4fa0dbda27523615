"""Validated identifiers. A value of these types has passed its check, so nobody checks again."""

from __future__ import annotations

import re
from typing import Final, NewType

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import NAME_LENGTH_MAX

OrganizationId = NewType("OrganizationId", str)
UserId = NewType("UserId", str)
KeyId = NewType("KeyId", str)
VersionId = NewType("VersionId", str)
MigrationId = NewType("MigrationId", str)
BulkUpgradeId = NewType("BulkUpgradeId", str)
CodeId = VersionId | MigrationId
"""What code is uploaded for."""
IdentityProviderId = NewType("IdentityProviderId", str)
TokenProviderId = NewType("TokenProviderId", str)
ServiceName = NewType("ServiceName", str)
MachineName = NewType("MachineName", str)
InstanceName = NewType("InstanceName", str)
InstanceId = NewType("InstanceId", int)
"""The server's own number of an instance, unique for ever. Never shown."""

_MACHINE_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{NAME_LENGTH_MAX}}}", re.ASCII)
_PATH_SEGMENT: Final = re.compile(rf"[A-Za-z0-9_.:@|~+-]{{1,{NAME_LENGTH_MAX}}}", re.ASCII)


def parse_machine_name(text: str, *, parameter: str = "slug") -> MachineName:
    """Check the name of a machine (SPEC 1). Raises InvalidParameter naming `parameter`."""
    if _MACHINE_NAME.fullmatch(text) is None:
        raise InvalidParameter(
            f"a machine name has 1 to {NAME_LENGTH_MAX} characters from A-Z, a-z, 0-9, _ and -",
            parameter=parameter,
        )
    return MachineName(text)


def parse_instance_name(text: str, *, parameter: str = "slug") -> InstanceName:
    """Check the name of an instance (SPEC 1). Raises InvalidParameter naming `parameter`."""
    _require_path_segment(text, "an instance name", parameter)
    return InstanceName(text)


def parse_service_name(text: str, *, parameter: str = "service") -> ServiceName:
    """Check the name of a token provider. Raises InvalidParameter naming `parameter`."""
    # The official client puts it into paths as it is.
    _require_path_segment(text, "the name of a service", parameter)
    return ServiceName(text)


def _require_path_segment(text: str, what: str, parameter: str) -> None:
    if _PATH_SEGMENT.fullmatch(text) is None or text in {".", ".."}:
        raise InvalidParameter(
            f"{what} has 1 to {NAME_LENGTH_MAX} characters from A-Z, a-z, 0-9 and _ - . : @ | ~ +,"
            " and is neither . nor ..",
            parameter=parameter,
        )

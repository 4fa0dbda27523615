"""Validated identifiers. A value of these types has passed its check, so nobody checks again."""

from __future__ import annotations

import re
from typing import Final, NewType

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import EMAIL_LENGTH_MAX, NAME_LENGTH_MAX

OrganizationId = NewType("OrganizationId", str)
UserId = NewType("UserId", str)
EmailAddress = NewType("EmailAddress", str)
SessionId = NewType("SessionId", str)
InvitationId = NewType("InvitationId", str)
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

_EMAIL_ADDRESS: Final = re.compile(r"[^@\s\"(),:;<>\[\]\\]{1,64}@[\w.-]+", re.ASCII)
"""The addresses that people have. What RFC 5322 allows besides (comments, quotes, routes) is a way to fool whatever reads mail."""


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


def parse_email(text: str, *, parameter: str = "email") -> EmailAddress:
    """An e-mail address, in small letters: nobody means two people by them. Raises InvalidParameter naming `parameter`."""
    email = text.strip().lower()
    if (
        len(email) > EMAIL_LENGTH_MAX
        or not email.isascii()
        or not email.isprintable()
        or _EMAIL_ADDRESS.fullmatch(email) is None
    ):
        raise InvalidParameter(
            "an e-mail address has the form ada@example.com", parameter=parameter
        )
    return EmailAddress(email)


def _require_path_segment(text: str, what: str, parameter: str) -> None:
    if _PATH_SEGMENT.fullmatch(text) is None or text in {".", ".."}:
        raise InvalidParameter(
            f"{what} has 1 to {NAME_LENGTH_MAX} characters from A-Z, a-z, 0-9 and _ - . : @ | ~ +,"
            " and is neither . nor ..",
            parameter=parameter,
        )

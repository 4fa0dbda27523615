"""People: who may sign in, what they are members of, and how they come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from statekeep.domain import limits
from statekeep.domain.access import Role
from statekeep.domain.errors import InvalidState
from statekeep.domain.names import EmailAddress, InvitationId, OrganizationId, SessionId, UserId

INVITATION_CODE_PREFIX: Final = "sbinv"
"""What is before the `_` of a code. It stands at the root of the API, where nothing else begins like that."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can sign in, known by an e-mail address.

    `is_email_verified` says whether it is certain that the address is theirs: the operator said so, or they read what the server sent there.
    """

    id: UserId
    email: EmailAddress
    created_at: datetime
    is_email_verified: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """A user as the organization sees them."""

    user_id: UserId
    email: EmailAddress
    role: Role
    joined_at: datetime


class SessionKind(Enum):
    """Where a session is used, and so what opens it."""

    BROWSER = "browser"
    """Sent by a browser on its own, so it is good on the server's pages and nowhere else."""
    DEVICE = "device"
    """A bearer token that was got by device login (RFC 8628)."""
    SERVER = "server"
    """The bearer token in `credentials.json`."""


SESSIONS_MAX: Final[Mapping[SessionKind, int]] = MappingProxyType(
    {
        SessionKind.BROWSER: limits.BROWSER_SESSIONS_MAX,
        SessionKind.DEVICE: limits.DEVICE_SESSIONS_MAX,
        SessionKind.SERVER: limits.SERVER_SESSIONS_MAX,
    }
)
"""Sessions of one user. With one more of a kind the oldest of that kind ends."""


@dataclass(frozen=True, slots=True)
class Session:
    """A user who is signed in somewhere. It ends at `expires_at`, or as soon as the store does not have it any more."""

    id: SessionId
    user_id: UserId
    kind: SessionKind
    label: str
    created_at: datetime
    expires_at: datetime


class LinkUse(NamedTuple):
    """A link that is good once. Its use has to be remembered until it would have expired."""

    link_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """An offer to become a member, for whoever has that address.

    Whoever knows the code of one that `is_mailed` has read mail sent to that address: nobody else was ever shown it.
    """

    id: InvitationId
    organization_id: OrganizationId
    email: EmailAddress
    role: Role
    created_at: datetime
    expires_at: datetime
    is_mailed: bool


def require_another_admin(admins: int) -> None:
    """Raises InvalidState where one of `admins` admins of an organization cannot go or be something else."""
    if admins < 2:
        raise InvalidState("this is the organization's last admin: make another member admin first")


def require_room_for_member(count: int) -> None:
    """Raises InvalidState where an organization that has `count` members and invitations cannot have one more."""
    if count >= limits.MEMBERS_MAX:
        raise InvalidState(
            f"an organization has at most {limits.MEMBERS_MAX} members and pending invitations"
        )

"""Who is asking, and what they may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from statekeep.domain.names import OrganizationId, UserId

SCOPES: Final = frozenset(
    {
        "events.write",
        "events.read",
        "state.read",
        "instances.read",
        "instances.write",
        "instances.admin",
        "indexes.read",
        "machines.read",
        "machines.write",
        "machines.admin",
        "machine-versions.read",
        "machine-versions.write",
        "analytics.read",
        "org.read",
        "org.write",
        "org.keys.write",
        "org-members.write",
        "logs.read",
        "tokens.admin",
    }
)
"""All scopes (SPEC 3)."""

SCOPES_BY_USE: Final = {
    "production": frozenset({"events.write", "state.read", "instances.write", "indexes.read"}),
    "ci": frozenset(
        {"machines.read", "machines.write", "machine-versions.read", "machine-versions.write"}
    ),
}
"""What `use` stands for when a key is made (SPEC 3)."""

_ADMINISTRATIVE: Final = frozenset(
    {
        "instances.admin",
        "machines.admin",
        "tokens.admin",
        "org.write",
        "org.keys.write",
        "org-members.write",
    }
)


class Role(Enum):
    """What a member may do in an organization."""

    ADMIN = "admin"
    WRITE = "write"
    READ = "read"


SCOPES_BY_ROLE: Final = {
    Role.ADMIN: SCOPES,
    Role.WRITE: SCOPES - _ADMINISTRATIVE,
    Role.READ: frozenset(scope for scope in SCOPES if scope.endswith(".read")),
}
"""The mapping is our choice (SPEC 3): write has no administrative scope, read has the reads."""


@dataclass(frozen=True, slots=True)
class AuthContext:
    """A caller whose token was checked.

    `claims` is the JSON of what authorisers of machines get to see as `authContext`. `user_id` is None for a key. `organization_id` is None only for a
    member who has not said which organization is meant and belongs to none or to several.
    """

    organization_id: OrganizationId | None
    user_id: UserId | None
    scopes: frozenset[str]
    claims: bytes

"""Who is asking, and what they may ask for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

from statekeep.domain.errors import (
    MissingOrganization,
    MissingScope,
    MissingUser,
    SpecifyOrganization,
)
from statekeep.domain.names import OrganizationId, SessionId, UserId

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

ADMINISTRATIVE_SCOPES: Final = frozenset(
    {
        "instances.admin",
        "machines.admin",
        "tokens.admin",
        "org.write",
        "org.keys.write",
        "org-members.write",
    }
)
"""What changes an organization itself, or removes what is in it."""


class Role(Enum):
    """What a member may do in an organization."""

    ADMIN = "admin"
    WRITE = "write"
    READ = "read"


SCOPES_BY_ROLE: Final = {
    Role.ADMIN: SCOPES,
    Role.WRITE: SCOPES - ADMINISTRATIVE_SCOPES,
    Role.READ: frozenset(scope for scope in SCOPES if scope.endswith(".read")),
}
"""The mapping is our choice (SPEC 3): write has no administrative scope, read has the reads."""


@dataclass(frozen=True, slots=True)
class AuthContext:
    """A caller whose token was checked.

    `claims` is the JSON of what authorisers of machines get to see as `authContext`. `user_id` is None for a key. `organization_id` is None only for a
    member who has not said which organization is meant and belongs to none or to several; `is_member_of_several` tells which.
    Such a caller has no scopes. The caller is not to be believed any more from `expires_at_ms` on (ms since the epoch).
    `session_id` is None for a key.
    `anonymous_session` is the `sid` of a caller who proved nothing to get the token, and None for all others, whatever they claim.
    """

    organization_id: OrganizationId | None
    user_id: UserId | None
    scopes: frozenset[str]
    claims: bytes
    is_member_of_several: bool = False
    expires_at_ms: float = math.inf
    anonymous_session: str | None = None
    session_id: SessionId | None = None


def require_organization(caller: AuthContext) -> OrganizationId:
    """The organization in which the caller acts.

    Raises SpecifyOrganization where a member of several has to say which one, and MissingOrganization where there is none.
    """
    if caller.organization_id is not None:
        return caller.organization_id
    if caller.is_member_of_several:
        raise SpecifyOrganization(
            "you are a member of several organizations: name one in the header x-statebacked-org-id"
        )
    raise MissingOrganization("you are not a member of any organization")


def require_scope(caller: AuthContext, scope: str) -> OrganizationId:
    """The organization in which the caller holds `scope`.

    Raises MissingScope, or what `require_organization` raises: without an organization there are no scopes.
    """
    organization_id = require_organization(caller)
    if scope not in caller.scopes:
        raise MissingScope(f"this needs the scope {scope}")
    return organization_id


def require_user(caller: AuthContext) -> UserId:
    """The member behind the request. Raises MissingUser for a key."""
    if caller.user_id is None:
        raise MissingUser("this needs the session of a member; a key is nobody")
    return caller.user_id

"""Members of an organization: listed, given another role, removed."""

from __future__ import annotations

from typing import Final

from statekeep.application.authenticate import Authenticator
from statekeep.domain.access import AuthContext, Role, require_organization, require_scope
from statekeep.domain.errors import NotFound
from statekeep.domain.names import UserId
from statekeep.domain.people import Member
from statekeep.ports.pages import Page
from statekeep.ports.people import PeopleStore

MEMBERS_READ_SCOPE: Final = "org.read"
MEMBERS_SCOPE: Final = "org-members.write"


class Members:
    """What callers may do with the members of their organization."""

    def __init__(self, people: PeopleStore, authenticator: Authenticator) -> None:
        self._people = people
        self._authenticator = authenticator

    async def list(self, caller: AuthContext, cursor: str | None) -> Page[Member]:
        """Those who joined last first."""
        organization_id = require_scope(caller, MEMBERS_READ_SCOPE)
        return await self._people.list_members(organization_id, cursor=cursor)

    async def set_role(self, caller: AuthContext, user_id: UserId, role: Role) -> None:
        """From the next request on. Raises NotFound, and InvalidState where no admin would be left."""
        organization_id = require_scope(caller, MEMBERS_SCOPE)
        if not await self._people.set_role(organization_id, user_id, role):
            raise _no_member()
        self._authenticator.forget_user(user_id)

    async def remove(self, caller: AuthContext, user_id: UserId) -> None:
        """No request that comes after acts in the organization as this member. Keys that they made stay.

        Everybody may remove themselves. Raises NotFound, and InvalidState where no admin would be left.
        """
        is_leaving = caller.user_id == user_id
        organization_id = (
            require_organization(caller) if is_leaving else require_scope(caller, MEMBERS_SCOPE)
        )
        if not await self._people.remove_member(organization_id, user_id):
            raise _no_member()
        self._authenticator.forget_user(user_id)


def _no_member() -> NotFound:
    return NotFound("the organization has no such member")

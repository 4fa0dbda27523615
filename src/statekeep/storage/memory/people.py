"""Users, members, sessions and invitations in dictionaries."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from statekeep.domain.access import Role
from statekeep.domain.errors import AlreadyExists, NotFound
from statekeep.domain.machine import Membership, Organization
from statekeep.domain.names import EmailAddress, InvitationId, OrganizationId, SessionId, UserId
from statekeep.domain.people import (
    SESSIONS_MAX,
    Invitation,
    LinkUse,
    Member,
    Session,
    User,
    require_another_admin,
    require_room_for_member,
)
from statekeep.ports.pages import Page
from statekeep.ports.people import PeopleStore
from statekeep.storage.memory.lists import read_page


class _Joined(NamedTuple):
    number: int
    role: Role
    joined_at: datetime


class _Invited(NamedTuple):
    number: int
    invitation: Invitation
    code_hash: bytes


class MemoryPeople(PeopleStore):
    """Each dictionary keeps the order in which things were made."""

    _organizations: dict[OrganizationId, Organization]

    def __init__(self) -> None:
        super().__init__()
        self._people_numbers = itertools.count(1)
        self._users: dict[UserId, User] = {}
        self._members: dict[tuple[UserId, OrganizationId], _Joined] = {}
        self._sessions: dict[SessionId, tuple[int, Session]] = {}
        self._used_links: dict[str, datetime] = {}
        self._invitations: dict[InvitationId, _Invited] = {}

    async def create_user(self, user: User) -> None:
        if user.id in self._users:
            raise AlreadyExists("there is such a user")
        await self._require_free(user.email)
        self._users[user.id] = user

    async def user(self, user_id: UserId) -> User | None:
        return self._users.get(user_id)

    async def user_by_email(self, email: EmailAddress) -> User | None:
        return next((user for user in self._users.values() if user.email == email), None)

    async def first_user(self) -> User | None:
        return next(iter(self._users.values()), None)

    async def set_email(self, user_id: UserId, email: EmailAddress) -> None:
        user = self._users.get(user_id)
        if user is not None and user.email != email:
            await self._require_free(email)
            self._users[user_id] = replace(user, email=email)

    async def verify_email(self, user_id: UserId) -> Sequence[SessionId]:
        user = self._users.get(user_id)
        if user is None or user.is_email_verified:
            return []
        self._users[user_id] = replace(user, is_email_verified=True)
        ended = [id for id, (_, session) in self._sessions.items() if session.user_id == user_id]
        for session_id in ended:
            del self._sessions[session_id]
        return ended

    async def memberships(self, user_id: UserId) -> Sequence[Membership]:
        found = [
            Membership(organization, self._members[user_id, organization.id].role)
            for organization in self._organizations.values()
            if (user_id, organization.id) in self._members
        ]
        return sorted(found, key=lambda membership: membership.organization.created_at)

    async def role_of(self, user_id: UserId, organization_id: OrganizationId) -> Role | None:
        joined = self._members.get((user_id, organization_id))
        return joined and joined.role

    async def list_members(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[Member]:
        members = (
            (joined.number, Member(user_id, self._users[user_id].email, *joined[1:]))
            for (user_id, whose), joined in self._members.items()
            if whose == organization_id
        )
        return read_page(members, f"members of {organization_id}", cursor)

    async def set_role(self, organization_id: OrganizationId, user_id: UserId, role: Role) -> bool:
        joined = self._members.get((user_id, organization_id))
        if joined is None:
            return False
        if role is not Role.ADMIN:
            self._require_other_admin(organization_id, joined)
        self._members[user_id, organization_id] = joined._replace(role=role)
        return True

    async def remove_member(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        joined = self._members.get((user_id, organization_id))
        if joined is None:
            return False
        self._require_other_admin(organization_id, joined)
        del self._members[user_id, organization_id]
        return True

    async def create_session(
        self, session: Session, *, link: LinkUse | None = None
    ) -> Sequence[SessionId]:
        if link is not None and link.link_id in self._used_links:
            raise AlreadyExists("this link was used")
        if session.id in self._sessions:
            raise AlreadyExists("there is such a session")
        self._require_user(session.user_id)
        if link is not None:
            self._used_links[link.link_id] = link.expires_at
        self._sessions[session.id] = (next(self._people_numbers), session)
        alike = [
            id
            for id, (_, other) in self._sessions.items()
            if (other.user_id, other.kind) == (session.user_id, session.kind)
        ]
        ended = alike[: -SESSIONS_MAX[session.kind]]
        for session_id in ended:
            del self._sessions[session_id]
        return ended

    async def session(self, session_id: SessionId) -> Session | None:
        found = self._sessions.get(session_id)
        return found and found[1]

    async def list_sessions(self, user_id: UserId, *, cursor: str | None) -> Page[Session]:
        theirs = (one for one in self._sessions.values() if one[1].user_id == user_id)
        return read_page(theirs, f"sessions of {user_id}", cursor)

    async def end_session(self, user_id: UserId, session_id: SessionId) -> bool:
        found = self._sessions.get(session_id)
        if found is None or found[1].user_id != user_id:
            return False
        del self._sessions[session_id]
        return True

    async def put_invitation(self, invitation: Invitation, code_hash: bytes) -> None:
        organization_id = invitation.organization_id
        user = await self.user_by_email(invitation.email)
        if user is not None and (user.id, organization_id) in self._members:
            raise AlreadyExists("somebody with this address is a member already")
        if organization_id not in self._organizations:
            raise NotFound("there is no such organization")
        others = [
            id
            for id, (_, other, _) in self._invitations.items()
            if other.organization_id == organization_id and other.email != invitation.email
        ]
        members = sum(whose == organization_id for _, whose in self._members)
        require_room_for_member(members + len(others))
        self._invitations = {
            id: invited
            for id, invited in self._invitations.items()
            if id in others or invited.invitation.organization_id != organization_id
        }
        number = next(self._people_numbers)
        self._invitations[invitation.id] = _Invited(number, invitation, code_hash)

    async def invitation(self, code_hash: bytes) -> Invitation | None:
        for invited in self._invitations.values():
            if invited.code_hash == code_hash:
                return invited.invitation
        return None

    async def list_invitations(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[Invitation]:
        ours = (
            (number, invitation)
            for number, invitation, _ in self._invitations.values()
            if invitation.organization_id == organization_id
        )
        return read_page(ours, f"invitations of {organization_id}", cursor)

    async def delete_invitation(
        self, organization_id: OrganizationId, invitation_id: InvitationId
    ) -> bool:
        invited = self._invitations.get(invitation_id)
        if invited is None or invited.invitation.organization_id != organization_id:
            return False
        del self._invitations[invitation_id]
        return True

    async def accept_invitation(
        self, invitation_id: InvitationId, user: User, *, is_new: bool, now: datetime
    ) -> bool:
        invited = self._invitations.get(invitation_id)
        if invited is None:
            return False
        if is_new:
            await self.create_user(user)
        user_id = user.id
        self._require_user(user_id)
        del self._invitations[invitation_id]
        invitation = invited.invitation
        if (user_id, invitation.organization_id) not in self._members:
            self._join(invitation.organization_id, user_id, invitation.role, now)
        return True

    async def forget_expired_people(self, *, now: datetime) -> int:
        before = self._people_count()
        self._sessions = {id: one for id, one in self._sessions.items() if one[1].expires_at > now}
        self._used_links = {id: until for id, until in self._used_links.items() if until > now}
        self._invitations = {
            id: one for id, one in self._invitations.items() if one.invitation.expires_at > now
        }
        return before - self._people_count()

    def _people_count(self) -> int:
        return len(self._sessions) + len(self._used_links) + len(self._invitations)

    def _join(
        self, organization_id: OrganizationId, user_id: UserId, role: Role, now: datetime
    ) -> None:
        self._members[user_id, organization_id] = _Joined(next(self._people_numbers), role, now)

    def _require_user(self, user_id: UserId) -> None:
        if user_id not in self._users:
            raise NotFound("there is no such user")

    async def _require_free(self, email: EmailAddress) -> None:
        if await self.user_by_email(email) is not None:
            raise AlreadyExists("there is such a user")

    def _require_other_admin(self, organization_id: OrganizationId, joined: _Joined) -> None:
        if joined.role is Role.ADMIN:
            admins = (
                one.role is Role.ADMIN
                for (_, whose), one in self._members.items()
                if whose == organization_id
            )
            require_another_admin(sum(admins))

"""People and their sessions, as far as they are the store's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from statekeep.domain.access import Role
from statekeep.domain.machine import Membership
from statekeep.domain.names import EmailAddress, InvitationId, OrganizationId, SessionId, UserId
from statekeep.domain.people import Invitation, LinkUse, Member, Session, User
from statekeep.ports.pages import Page


class UserStore(Protocol):
    """Users, and the organizations they are members of."""

    async def create_user(self, user: User) -> None:
        """Raises AlreadyExists where the id or the address is taken."""
        ...

    async def user(self, user_id: UserId) -> User | None:
        """By id."""
        ...

    async def user_by_email(self, email: EmailAddress) -> User | None:
        """By address."""
        ...

    async def first_user(self) -> User | None:
        """The one who was made before all others."""
        ...

    async def set_email(self, user_id: UserId, email: EmailAddress) -> None:
        """Let the user have another address. Raises AlreadyExists where somebody else has it."""
        ...

    async def verify_email(self, user_id: UserId) -> Sequence[SessionId]:
        """Remember that the address is certain; where it was not until now, end the user's sessions. Returns those that ended.

        They may have been begun by somebody who only claimed the address.
        """
        ...

    async def memberships(self, user_id: UserId) -> Sequence[Membership]:
        """Oldest organization first."""
        ...

    async def role_of(self, user_id: UserId, organization_id: OrganizationId) -> Role | None:
        """The member's role, or None for a stranger."""
        ...

    async def list_members(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[Member]:
        """Those who joined last first."""
        ...

    async def set_role(self, organization_id: OrganizationId, user_id: UserId, role: Role) -> bool:
        """Whether there is such a member. Raises InvalidState where the organization would be without an admin."""
        ...

    async def remove_member(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        """Whether there was such a member; the user stays. Raises InvalidState where the organization would be without an admin."""
        ...


class SessionStore(Protocol):
    """Sessions. One that has expired may still be there for a while."""

    async def create_session(
        self, session: Session, *, link: LinkUse | None = None
    ) -> Sequence[SessionId]:
        """Begin a session, by a link where one is named. Returns those that ended for it (`domain.people.SESSIONS_MAX`).

        Of all who use one link exactly one begins a session; the others get AlreadyExists. Raises NotFound where there is no such user.
        """
        ...

    async def session(self, session_id: SessionId) -> Session | None:
        """One that has not ended."""
        ...

    async def list_sessions(self, user_id: UserId, *, cursor: str | None) -> Page[Session]:
        """Newest first."""
        ...

    async def end_session(self, user_id: UserId, session_id: SessionId) -> bool:
        """Whether the user had such a session."""
        ...


class InvitationStore(Protocol):
    """Invitations that were not accepted yet. One that has expired may still be there for a while."""

    async def put_invitation(self, invitation: Invitation, code_hash: bytes) -> None:
        """Add it, in place of one for the same address.

        Raises AlreadyExists where somebody with that address is a member, and InvalidState where the organization would have more than
        MEMBERS_MAX members and invitations.
        """
        ...

    async def invitation(self, code_hash: bytes) -> Invitation | None:
        """By the hash of its code."""
        ...

    async def list_invitations(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[Invitation]:
        """Newest first."""
        ...

    async def delete_invitation(
        self, organization_id: OrganizationId, invitation_id: InvitationId
    ) -> bool:
        """Whether there was one to delete."""
        ...

    async def accept_invitation(
        self, invitation_id: InvitationId, user: User, *, is_new: bool, now: datetime
    ) -> bool:
        """Make the user a member, and a user at all where they are new, and the invitation be used up, all at once.

        False, and nothing written, where it is not there any more. Who is a member already stays what they are. Raises AlreadyExists where somebody has the address
        of a new one.
        """
        ...


class PeopleStore(UserStore, SessionStore, InvitationStore, Protocol):
    """All of them."""

    async def forget_expired_people(self, *, now: datetime) -> int:
        """Remove sessions, uses of links and invitations that expired; returns how many."""
        ...

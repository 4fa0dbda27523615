"""Invitations: how somebody becomes a member.

What must stay true: an invitation is accepted once, by the person whose address it names. That it is theirs is known of whoever is signed in with it, and of whoever
has a code that the server mailed there. A code that was shown to the inviter proves no address: it can only make a new user, whose address counts as
claimed until it is verified, and whose sessions all end then.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from statekeep.application.authenticate import Authenticator
from statekeep.application.ids import new_id
from statekeep.application.members import MEMBERS_SCOPE
from statekeep.application.people_rates import PeopleRates
from statekeep.application.post import Post
from statekeep.application.sessions import BegunSession, Sessions
from statekeep.domain.access import AuthContext, Role, require_scope, require_user
from statekeep.domain.errors import InvalidState, NotFound
from statekeep.domain.limits import INVITATION_VALID_FOR
from statekeep.domain.machine import Organization
from statekeep.domain.names import InvitationId, UserId, parse_email
from statekeep.domain.people import INVITATION_CODE_PREFIX, Invitation, SessionKind, User
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.entropy import Entropy
from statekeep.ports.pages import Page
from statekeep.ports.store import Catalog

_CODE_BYTES: Final = 32


class SentInvitation(NamedTuple):
    """An invitation that was just made. `code` is for the inviter to pass on, and None where the server has mailed it."""

    invitation: Invitation
    code: str | None


class ShownInvitation(NamedTuple):
    """An invitation as whoever has its code sees it. `needs_sign_in` where the code alone lets nobody in."""

    invitation: Invitation
    organization: Organization
    needs_sign_in: bool


class Acceptance(NamedTuple):
    """What somebody has become a member of, and as what."""

    organization: Organization
    role: Role


class Invitations:
    """What callers may do with the invitations of their organization, and anybody with a code."""

    def __init__(
        self,
        catalog: Catalog,
        sessions: Sessions,
        authenticator: Authenticator,
        rates: PeopleRates,
        clock: Clock,
        entropy: Entropy,
        *,
        post: Post | None,
    ) -> None:
        self._catalog = catalog
        self._sessions = sessions
        self._authenticator = authenticator
        self._rates = rates
        self._clock = clock
        self._entropy = entropy
        self._post = post

    async def send(self, caller: AuthContext, email: str, role: Role) -> SentInvitation:
        """Invite somebody, by mail where the server can; an earlier invitation for that address is worth nothing any more.

        Raises AlreadyExists for a member, InvalidState where there are as many as there may be, and where the mail does not leave
        TooManyRequests or MailUnavailable; nobody is then invited.
        """
        organization_id = require_scope(caller, MEMBERS_SCOPE)
        now = datetime_of(self._clock.now_ms())
        invitation = Invitation(
            InvitationId(new_id("inv", self._entropy)),
            organization_id,
            parse_email(email),
            role,
            now,
            now + INVITATION_VALID_FOR,
            is_mailed=self._post is not None,
        )
        code = new_id(INVITATION_CODE_PREFIX, self._entropy, byte_count=_CODE_BYTES)
        await self._catalog.put_invitation(invitation, _hash(code))
        if self._post is None:
            return SentInvitation(invitation, code)
        await self._mail(self._post, invitation, code)
        return SentInvitation(invitation, None)

    async def _mail(self, post: Post, invitation: Invitation, code: str) -> None:
        organization = await self._organization_of(invitation)
        try:
            await post.send_invitation(invitation.email, organization.name, code)
        except BaseException:
            await self._catalog.delete_invitation(organization.id, invitation.id)
            raise

    async def list(self, caller: AuthContext, cursor: str | None) -> Page[Invitation]:
        """Those that are neither accepted nor withdrawn, newest first."""
        organization_id = require_scope(caller, MEMBERS_SCOPE)
        return await self._catalog.list_invitations(organization_id, cursor=cursor)

    async def withdraw(self, caller: AuthContext, invitation_id: InvitationId) -> None:
        """Its code is worth nothing from then on. Raises NotFound."""
        organization_id = require_scope(caller, MEMBERS_SCOPE)
        if not await self._catalog.delete_invitation(organization_id, invitation_id):
            raise NotFound("there is no such invitation")

    async def accept(self, caller: AuthContext, code: str) -> Acceptance:
        """Make the caller a member. Raises NotFound, also for an invitation of somebody else, and TooManyRequests."""
        user_id = require_user(caller)
        self._rates.admit_try(user_id)
        user = await self._catalog.user(user_id)
        invitation = await self._pending(code)
        if user is None or user.email != invitation.email:
            raise _no_invitation()
        self._rates.forgive_try(user_id)
        return await self._accept(invitation, user)

    async def look(self, code: str) -> ShownInvitation:
        """What the invitation offers, for whoever has the code. Raises NotFound and TooManyRequests."""
        self._rates.admit_link()
        invitation = await self._pending(code)
        self._rates.forgive_link()
        return ShownInvitation(
            invitation,
            await self._organization_of(invitation),
            await self._needs_sign_in(invitation),
        )

    async def join(self, code: str, label: str) -> BegunSession:
        """Accept without being signed in, and be signed in in a browser then.

        Raises NotFound and TooManyRequests, InvalidState where the code does not prove who this is, and AlreadyExists where somebody with this address came
        in between.
        """
        invitation = (await self.look(code)).invitation
        if await self._needs_sign_in(invitation):
            raise InvalidState("there is an account with this address: sign in first")
        found = await self._catalog.user_by_email(invitation.email)
        if found is not None:
            await self._sessions.verify_email(found.id)
        user = found or self._new_user(invitation)
        await self._accept(invitation, user, is_new=found is None)
        return await self._sessions.begin(user.id, SessionKind.BROWSER, label)

    async def _needs_sign_in(self, invitation: Invitation) -> bool:
        if invitation.is_mailed:
            return False
        return await self._catalog.user_by_email(invitation.email) is not None

    def _new_user(self, invitation: Invitation) -> User:
        now = datetime_of(self._clock.now_ms())
        user_id = UserId(new_id("usr", self._entropy))
        return User(user_id, invitation.email, now, is_email_verified=invitation.is_mailed)

    async def _accept(
        self, invitation: Invitation, user: User, *, is_new: bool = False
    ) -> Acceptance:
        now = datetime_of(self._clock.now_ms())
        if not await self._catalog.accept_invitation(invitation.id, user, is_new=is_new, now=now):
            raise _no_invitation()
        self._authenticator.forget_user(user.id)
        organization = await self._organization_of(invitation)
        role = await self._catalog.role_of(user.id, organization.id)
        return Acceptance(organization, role or invitation.role)

    async def _pending(self, code: str) -> Invitation:
        invitation = await self._catalog.invitation(_hash(code))
        if invitation is None or invitation.expires_at <= datetime_of(self._clock.now_ms()):
            raise _no_invitation()
        return invitation

    async def _organization_of(self, invitation: Invitation) -> Organization:
        organization = await self._catalog.organization(invitation.organization_id)
        assert organization is not None, "organizations stay"
        return organization


def _hash(code: str) -> bytes:
    # Found by its hash, a code is compared in no way whose time tells anything about it.
    return sha256(code.encode()).digest()


def _no_invitation() -> NotFound:
    return NotFound(
        "there is no such invitation: it was used or withdrawn, has expired, or is for another address"
    )

"""Sessions of people: begun when they sign in, listed for them, ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

from statekeep.application.authenticate import Authenticator
from statekeep.application.ids import new_id
from statekeep.domain import limits
from statekeep.domain.access import SCOPES_BY_ROLE, AuthContext, require_user
from statekeep.domain.errors import MissingOrganization, NotFound, Unauthenticated
from statekeep.domain.names import OrganizationId, SessionId, UserId
from statekeep.domain.people import LinkUse, Session, SessionKind, User
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.entropy import Entropy
from statekeep.ports.pages import Page
from statekeep.ports.people import PeopleStore
from statekeep.ports.tokens import Tokens

_VALID_FOR: Final[Mapping[SessionKind, timedelta]] = MappingProxyType(
    {
        SessionKind.BROWSER: limits.BROWSER_SESSION_VALID_FOR,
        SessionKind.DEVICE: limits.DEVICE_SESSION_VALID_FOR,
        SessionKind.SERVER: limits.SERVER_SESSION_VALID_FOR,
    }
)


class BegunSession(NamedTuple):
    """A session that was just begun. Its token is not kept anywhere."""

    session: Session
    token: str


class SignedIn(NamedTuple):
    """Somebody, and the session by which that is known."""

    user: User
    session: Session


class Sessions:
    """What people may do with their sessions. A key is nobody: it gets MissingUser."""

    def __init__(
        self,
        people: PeopleStore,
        tokens: Tokens,
        authenticator: Authenticator,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._people = people
        self._tokens = tokens
        self._authenticator = authenticator
        self._clock = clock
        self._entropy = entropy

    async def begin(
        self, user_id: UserId, kind: SessionKind, label: str, *, link: LinkUse | None = None
    ) -> BegunSession:
        """Sign the user in, by a link where one is named. Raises AlreadyExists where that was used before.

        The user's oldest sessions of this kind end where there are more than `domain.people.SESSIONS_MAX`.
        """
        now = datetime_of(self._clock.now_ms())
        session = Session(
            SessionId(new_id("ses", self._entropy)),
            user_id,
            kind,
            label,
            now,
            now + _VALID_FOR[kind],
        )
        for ended in await self._people.create_session(session, link=link):
            self._authenticator.forget_session(ended)
        return BegunSession(session, self._tokens.issue_session(session))

    async def verify_email(self, user_id: UserId) -> None:
        """Remember that the address is the user's; where that was not known until now, all their sessions end."""
        for ended in await self._people.verify_email(user_id):
            self._authenticator.forget_session(ended)

    async def who(self, caller: AuthContext) -> SignedIn:
        """The caller, and the session that the request came with."""
        user = await self._people.user(require_user(caller))
        assert caller.session_id is not None, "whoever is a user has a session"
        session = await self._people.session(caller.session_id)
        if user is None or session is None:
            raise NotFound("the session has ended")
        return SignedIn(user, session)

    async def in_browser(self, token: str) -> SignedIn:
        """Who is signed in in the browser that has this token. Raises Unauthenticated."""
        claims = self._tokens.verify_session(token, now=self._clock.now_ms() / 1000)
        session = await self._people.session(claims.session_id)
        user = await self._people.user(claims.user_id)
        if session is None or user is None or session.kind is not SessionKind.BROWSER:
            raise Unauthenticated("the session has ended: sign in again")
        return SignedIn(user, session)

    async def caller(
        self, who: SignedIn, organization_id: OrganizationId | None = None
    ) -> AuthContext:
        """Somebody in a browser as a caller, in an organization or in none. Raises MissingOrganization where it is not theirs."""
        scopes: frozenset[str] = frozenset()
        if organization_id is not None:
            role = await self._people.role_of(who.user.id, organization_id)
            if role is None:
                raise MissingOrganization("you are not a member of this organization")
            scopes = SCOPES_BY_ROLE[role]
        # Nothing that a browser does with its session is shown to machines.
        return AuthContext(organization_id, who.user.id, scopes, b"{}", session_id=who.session.id)

    async def list(self, caller: AuthContext, cursor: str | None) -> Page[Session]:
        """The caller's own, newest first."""
        return await self._people.list_sessions(require_user(caller), cursor=cursor)

    async def end(self, caller: AuthContext, session_id: SessionId) -> None:
        """No request that comes after is let in with it. Raises NotFound where it is not the caller's."""
        if not await self._people.end_session(require_user(caller), session_id):
            raise NotFound("there is no such session")
        self._authenticator.forget_session(session_id)

    async def end_current(self, caller: AuthContext) -> None:
        """Sign out: end the session that the request came with."""
        require_user(caller)
        assert caller.session_id is not None, "whoever is a user has a session"
        await self.end(caller, caller.session_id)

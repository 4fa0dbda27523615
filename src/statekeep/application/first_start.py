"""The first start: somebody to be and something to own, so that a new server can be used without asking anyone.

Every start does this. Each step looks whether it was taken before, so a start that was killed half-way is completed by the next.
"""

from __future__ import annotations

from typing import Final

from statekeep.application.ids import new_id
from statekeep.application.organizations import found_organization
from statekeep.application.sessions import Sessions
from statekeep.domain import limits
from statekeep.domain.errors import Unauthenticated
from statekeep.domain.machine import Organization
from statekeep.domain.names import EmailAddress, OrganizationId, UserId
from statekeep.domain.people import SessionKind, User
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.credentials import Credentials, CredentialsStore
from statekeep.ports.entropy import Entropy
from statekeep.ports.store import Catalog
from statekeep.ports.tokens import Tokens

OWNER_EMAIL: Final = EmailAddress("admin@localhost")
"""Until somebody says who it is."""
ORGANIZATION_NAME: Final = "default"
CREDENTIALS_LABEL: Final = "credentials.json"
"""What the owner's session is called that is in there."""

_RENEWED_BEFORE_S: Final = limits.SERVER_SESSION_RENEWED_BEFORE.total_seconds()


class FirstStart:
    """Provides the owner, an organization of theirs, and credentials for both. The owner is the first user there ever was."""

    def __init__(
        self,
        catalog: Catalog,
        tokens: Tokens,
        sessions: Sessions,
        credentials: CredentialsStore,
        clock: Clock,
        entropy: Entropy,
        *,
        owner_email: EmailAddress | None = None,
    ) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._sessions = sessions
        self._credentials = credentials
        self._clock = clock
        self._entropy = entropy
        self._owner_email = owner_email

    async def complete(self, api_url: str) -> Credentials:
        """Make what is missing; the credentials returned are stored and good for `api_url`.

        A stored token is kept while it is the owner's, has a month left and `api_url` is the same. Raises AlreadyExists where somebody else
        has the address that the owner is to have.
        """
        user_id = await self._owner()
        organization_id = await self._organization_of(user_id)
        stored = self._credentials.read()
        if stored is not None and await self._is_good(stored, user_id, organization_id, api_url):
            return stored
        begun = await self._sessions.begin(user_id, SessionKind.SERVER, CREDENTIALS_LABEL)
        credentials = Credentials(api_url, organization_id, begun.token)
        self._credentials.write(credentials)
        return credentials

    async def _owner(self) -> UserId:
        found = await self._catalog.first_user()
        if found is not None:
            if self._owner_email is not None:
                await self._catalog.set_email(found.id, self._owner_email)
            return found.id
        owner = User(
            UserId(new_id("usr", self._entropy)),
            self._owner_email or OWNER_EMAIL,
            datetime_of(self._clock.now_ms()),
        )
        await self._catalog.create_user(owner)
        return owner.id

    async def _organization_of(self, user_id: UserId) -> OrganizationId:
        memberships = await self._catalog.memberships(user_id)
        if memberships:
            return memberships[0].organization.id
        organization = Organization(
            OrganizationId(new_id("org", self._entropy)),
            ORGANIZATION_NAME,
            datetime_of(self._clock.now_ms()),
            allow_anonymous_access=True,
        )
        await found_organization(self._catalog, organization, user_id, self._tokens, self._entropy)
        return organization.id

    async def _is_good(
        self, stored: Credentials, user_id: UserId, organization_id: OrganizationId, api_url: str
    ) -> bool:
        if (stored.api_url, stored.organization_id) != (api_url, organization_id):
            return False
        now = self._now_s()
        try:
            claims = self._tokens.verify_session(stored.token, now=now)
        except Unauthenticated:
            return False
        if claims.user_id != user_id or claims.expires_at - now < _RENEWED_BEFORE_S:
            return False
        return await self._catalog.session(claims.session_id) is not None

    def _now_s(self) -> float:
        return self._clock.now_ms() / 1000

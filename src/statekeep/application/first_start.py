"""The first start: somebody to be and something to own, so that a new server can be used without asking anyone.

Every start does this. Each step looks whether it was taken before, so a start that was killed half-way is completed by the next.
"""

from __future__ import annotations

from typing import Final

from statekeep.application.ids import new_id
from statekeep.application.organizations import found_organization
from statekeep.domain import limits
from statekeep.domain.errors import Unauthenticated
from statekeep.domain.machine import Organization, User
from statekeep.domain.names import OrganizationId, UserId
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.credentials import Credentials, CredentialsStore
from statekeep.ports.entropy import Entropy
from statekeep.ports.store import Catalog
from statekeep.ports.tokens import Tokens

ADMIN_NAME: Final = "admin"
ORGANIZATION_NAME: Final = "default"

_VALID_FOR_S: Final = int(limits.SESSION_TOKEN_VALID_FOR.total_seconds())
_RENEWED_BEFORE_S: Final = limits.SESSION_TOKEN_RENEWED_BEFORE.total_seconds()


class FirstStart:
    """Provides the user `admin`, an organization of theirs, and credentials for both."""

    def __init__(
        self,
        catalog: Catalog,
        tokens: Tokens,
        credentials: CredentialsStore,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._credentials = credentials
        self._clock = clock
        self._entropy = entropy

    async def complete(self, api_url: str) -> Credentials:
        """Make what is missing; the credentials returned are stored and good for `api_url`.

        A stored token is kept while it is the admin's, has a month left and `api_url` is the same.
        """
        user_id = await self._admin()
        organization_id = await self._organization_of(user_id)
        stored = self._credentials.read()
        if stored is not None and self._is_good(stored, user_id, organization_id, api_url):
            return stored
        token = self._tokens.issue_session(
            user_id, now=self._now_s(), valid_for_seconds=_VALID_FOR_S
        )
        credentials = Credentials(api_url, organization_id, token)
        self._credentials.write(credentials)
        return credentials

    async def _admin(self) -> UserId:
        found = await self._catalog.user_by_name(ADMIN_NAME)
        if found is not None:
            return found.id
        user_id = UserId(new_id("usr", self._entropy))
        await self._catalog.create_user(
            User(user_id, ADMIN_NAME, datetime_of(self._clock.now_ms()))
        )
        return user_id

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

    def _is_good(
        self, stored: Credentials, user_id: UserId, organization_id: OrganizationId, api_url: str
    ) -> bool:
        if (stored.api_url, stored.organization_id) != (api_url, organization_id):
            return False
        now = self._now_s()
        try:
            session = self._tokens.verify_session(stored.token, now=now)
        except Unauthenticated:
            return False
        lasts = session.expires_at is None or session.expires_at - now >= _RENEWED_BEFORE_S
        return session.user_id == user_id and lasts

    def _now_s(self) -> float:
        return self._clock.now_ms() / 1000

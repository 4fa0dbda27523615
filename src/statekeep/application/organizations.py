"""Organizations: made by members, listed for them."""

from __future__ import annotations

from collections.abc import Sequence

from statekeep.application.anonymous import new_anonymous_access
from statekeep.application.authenticate import Authenticator
from statekeep.application.ids import new_id
from statekeep.application.labels import parse_label
from statekeep.domain.access import AuthContext, require_user
from statekeep.domain.machine import Membership, Organization
from statekeep.domain.names import OrganizationId, UserId
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.entropy import Entropy
from statekeep.ports.store import Catalog
from statekeep.ports.tokens import Tokens


class Organizations:
    """What members may do with organizations. A key is no member: it gets MissingUser."""

    def __init__(
        self,
        catalog: Catalog,
        tokens: Tokens,
        authenticator: Authenticator,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._authenticator = authenticator
        self._clock = clock
        self._entropy = entropy

    async def create(
        self, caller: AuthContext, name: str, *, allow_anonymous_access: bool
    ) -> OrganizationId:
        """An organization whose only member, and admin, is the caller.

        With anonymous access it has from the start what lets anonymous callers in.
        """
        user_id = require_user(caller)
        organization = Organization(
            OrganizationId(new_id("org", self._entropy)),
            parse_label(name),
            datetime_of(self._clock.now_ms()),
            allow_anonymous_access,
        )
        await found_organization(self._catalog, organization, user_id, self._tokens, self._entropy)
        # Who had one organization and named none was taken to mean that one.
        self._authenticator.forget_user(user_id)
        return organization.id

    async def list(self, caller: AuthContext) -> Sequence[Membership]:
        """All organizations of the caller with the caller's role, oldest first."""
        return await self._catalog.memberships(require_user(caller))


async def found_organization(
    catalog: Catalog, organization: Organization, admin: UserId, tokens: Tokens, entropy: Entropy
) -> None:
    """Write the organization with its first member and, where it wants that, anonymous access."""
    anonymous = None
    if organization.allow_anonymous_access:
        anonymous = new_anonymous_access(organization.id, organization.created_at, tokens, entropy)
    await catalog.create_organization(organization, admin, anonymous)

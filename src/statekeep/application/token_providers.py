"""Token providers of an organization: configured, listed, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statekeep.application.authenticate import Authenticator
from statekeep.application.claims_mapping import require_mapping
from statekeep.application.identity_providers import TOKENS_SCOPE
from statekeep.application.ids import new_id
from statekeep.domain.access import ADMINISTRATIVE_SCOPES, AuthContext, require_scope
from statekeep.domain.errors import InvalidParameter, MissingScope, NotFound
from statekeep.domain.names import (
    KeyId,
    OrganizationId,
    ServiceName,
    TokenProviderId,
    parse_service_name,
)
from statekeep.domain.token_exchange import TokenProvider
from statekeep.ports.entropy import Entropy
from statekeep.ports.pages import Page
from statekeep.ports.store import Catalog


class TokenProviders:
    """What callers may do with the token providers of their organization."""

    def __init__(self, catalog: Catalog, authenticator: Authenticator, entropy: Entropy) -> None:
        self._catalog = catalog
        self._authenticator = authenticator
        self._entropy = entropy

    async def put(
        self, caller: AuthContext, service: str, key_id: str, mapping: Mapping[str, Any]
    ) -> None:
        """From now on tokens for `service` are signed with that key and made by that mapping; those made before go on as they are.

        Raises InvalidParameter, MissingScope where the key has an administrative scope that the caller lacks, and InvalidState where the
        organization has as many providers as it may.
        """
        organization_id = require_scope(caller, TOKENS_SCOPE)
        name = parse_service_name(service)
        require_mapping(mapping)
        key = await self._require_key(caller, organization_id, KeyId(key_id))
        await self._catalog.put_token_provider(
            TokenProvider(
                TokenProviderId(new_id("tkp", self._entropy)),
                organization_id,
                name,
                key,
                dict(mapping),
            )
        )

    async def list(self, caller: AuthContext, cursor: str | None) -> Page[TokenProvider]:
        """Newest first."""
        organization_id = require_scope(caller, TOKENS_SCOPE)
        return await self._catalog.list_token_providers(organization_id, cursor=cursor)

    async def delete(self, caller: AuthContext, service: str) -> None:
        """No token is made by it any more, and none that was works any more. Raises NotFound."""
        organization_id = require_scope(caller, TOKENS_SCOPE)
        deleted = await self._catalog.delete_token_provider(organization_id, ServiceName(service))
        if deleted is None:
            raise NotFound("there is no token provider for this service")
        self._authenticator.forget_provider(deleted)

    async def _require_key(
        self, caller: AuthContext, organization_id: OrganizationId, key_id: KeyId
    ) -> KeyId:
        found = await self._catalog.key(key_id)
        if found is None or found[0].organization_id != organization_id:
            raise InvalidParameter("there is no such key", parameter="keyId")
        # End users that administer: only somebody who could do the same may decide that.
        beyond = sorted((found[0].scopes & ADMINISTRATIVE_SCOPES) - caller.scopes)
        if beyond:
            raise MissingScope(f"the key has the scope {beyond[0]}, which this needs too")
        return key_id

"""Identity providers and token providers in dictionaries."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from statekeep.domain.errors import NotFound
from statekeep.domain.machine import Organization
from statekeep.domain.names import (
    IdentityProviderId,
    OrganizationId,
    ServiceName,
    TokenProviderId,
)
from statekeep.domain.token_exchange import (
    ExchangePath,
    IdentityProvider,
    TokenProvider,
    require_room_for_identity_provider,
    require_room_for_token_provider,
)
from statekeep.ports.pages import Page
from statekeep.ports.store import ProviderCatalog
from statekeep.storage.memory.lists import read_page

_Pair = tuple[OrganizationId, str | None, str | None]


class MemoryProviders(ProviderCatalog):
    """Each provider is kept with its number, by which lists are ordered."""

    def __init__(self) -> None:
        super().__init__()
        self._organizations: dict[OrganizationId, Organization] = {}
        self._provider_numbers = itertools.count(1)
        self._identity_providers: dict[_Pair, tuple[int, IdentityProvider]] = {}
        self._token_providers: dict[
            tuple[OrganizationId, ServiceName], tuple[int, TokenProvider]
        ] = {}

    async def put_identity_provider(self, provider: IdentityProvider) -> IdentityProviderId | None:
        self._require_organization(provider.organization_id)
        pair = (provider.organization_id, provider.audience, provider.issuer)
        found = self._identity_providers.get(pair)
        if found is None:
            ours = (one[0] == provider.organization_id for one in self._identity_providers)
            require_room_for_identity_provider(sum(ours))
        number = next(self._provider_numbers) if found is None else found[0]
        self._identity_providers[pair] = (number, provider)
        return found and found[1].id

    async def identity_provider(
        self, organization_id: OrganizationId, audience: str | None, issuer: str | None
    ) -> IdentityProvider | None:
        found = self._identity_providers.get((organization_id, audience, issuer))
        return found and found[1]

    async def identity_providers_for(
        self, organization_id: OrganizationId, audiences: Sequence[str], issuer: str | None
    ) -> Sequence[IdentityProvider]:
        return [
            provider
            for _, provider in self._identity_providers.values()
            if provider.organization_id == organization_id
            and (provider.audience is None or provider.audience in audiences)
            and (provider.issuer is None or provider.issuer == issuer)
        ]

    async def list_identity_providers(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[IdentityProvider]:
        ours = (
            numbered
            for numbered in self._identity_providers.values()
            if numbered[1].organization_id == organization_id
        )
        return read_page(ours, f"identity providers of {organization_id}", cursor)

    async def delete_identity_provider(
        self, organization_id: OrganizationId, audience: str | None, issuer: str | None
    ) -> IdentityProviderId | None:
        found = self._identity_providers.pop((organization_id, audience, issuer), None)
        return found and found[1].id

    async def put_token_provider(self, provider: TokenProvider) -> None:
        self._require_organization(provider.organization_id)
        name = (provider.organization_id, provider.service)
        found = self._token_providers.get(name)
        if found is None:
            ours = (one[0] == provider.organization_id for one in self._token_providers)
            require_room_for_token_provider(sum(ours))
            self._token_providers[name] = (next(self._provider_numbers), provider)
        else:
            self._token_providers[name] = (found[0], replace(provider, id=found[1].id))

    async def token_provider(
        self, organization_id: OrganizationId, service: ServiceName
    ) -> TokenProvider | None:
        found = self._token_providers.get((organization_id, service))
        return found and found[1]

    async def list_token_providers(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[TokenProvider]:
        ours = (
            numbered
            for numbered in self._token_providers.values()
            if numbered[1].organization_id == organization_id
        )
        return read_page(ours, f"token providers of {organization_id}", cursor)

    async def delete_token_provider(
        self, organization_id: OrganizationId, service: ServiceName
    ) -> TokenProviderId | None:
        found = self._token_providers.pop((organization_id, service), None)
        return found and found[1].id

    async def service_of_exchange(
        self, organization_id: OrganizationId, path: ExchangePath
    ) -> ServiceName | None:
        ours = [(p.organization_id, p.id) for _, p in self._identity_providers.values()]
        if (organization_id, path.identity_provider_id) not in ours:
            return None
        for _, provider in self._token_providers.values():
            if (provider.organization_id, provider.id) == (organization_id, path.token_provider_id):
                return provider.service
        return None

    def _require_organization(self, organization_id: OrganizationId) -> None:
        if organization_id not in self._organizations:
            raise NotFound("there is no such organization")

"""How many providers an organization may have, and what becomes of two who configure one at once: through the use cases, on every store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from statekeep.application.authenticate import Authenticator
from statekeep.application.identity_providers import IdentityProviders, ProviderSettings
from statekeep.application.token_providers import TokenProviders
from statekeep.domain import limits
from statekeep.domain.access import SCOPES, AuthContext
from statekeep.domain.errors import InvalidState, NotFound
from statekeep.domain.token_exchange import AnonymousAccess
from statekeep.tokens.fetching import PublicFetcher
from statekeep.tokens.jwt import JwtTokens
from statekeep.tokens.key_sets import KeySets
from statekeep.tokens.server_key import ServerKey
from statekeep.tokens.subject_tokens import JwtSubjectTokens
from tests.support.builders import (
    a_key,
    a_token_provider,
    a_user,
    an_identity_provider,
    an_organization,
    found_organization,
)
from tests.support.clock import FakeClock
from tests.support.entropy import SeededEntropy
from tests.support.issuers import SECRET, b64url

KEY, OTHER_KEY = b64url(SECRET), b64url(SECRET[::-1])
ISSUER = "https://login.example.com/"


class Office:
    """The use cases on a store, for the admin of one organization."""

    def __init__(self, store, organization_id) -> None:
        clock, entropy = FakeClock(), SeededEntropy()
        tokens = JwtTokens(ServerKey(bytes(32)), entropy, public_url="http://statekeep.test")
        fetcher = PublicFetcher(allow_private_network=False)
        subjects = JwtSubjectTokens(
            KeySets(fetcher, clock), allow_http_jwks=False, allow_private_network=False
        )
        authenticator = Authenticator(store, tokens, clock)
        self.identity_providers = IdentityProviders(store, tokens, subjects, authenticator, entropy)
        self.token_providers = TokenProviders(store, authenticator, entropy)
        self.admin = AuthContext(organization_id, None, SCOPES, b"{}")

    async def trust(self, audience: str, key: str = KEY) -> None:
        settings = ProviderSettings(audience, ISSUER, key, None, ["HS256"], {})
        await self.identity_providers.put(self.admin, settings)

    async def distrust(self, audience: str) -> None:
        await self.identity_providers.delete(self.admin, audience, ISSUER)

    async def serve(self, service: str, **mapping: Any) -> None:
        await self.token_providers.put(self.admin, service, "sbk_ci", mapping)


@pytest.fixture
async def ours(store):
    organization_id = await found_organization(store)
    await store.create_key(a_key(organization_id), b"sealed")
    return organization_id


@pytest.fixture
def office(store, ours) -> Office:
    return Office(store, ours)


async def test_identity_providers_are_bounded(store, ours, office):
    """The one too many changes nothing; those that are there can be changed, and one that goes makes room."""
    for number in range(limits.IDENTITY_PROVIDERS_MAX):
        await office.trust(f"app {number}")
    with pytest.raises(InvalidState, match=f"{limits.IDENTITY_PROVIDERS_MAX} .*delete"):
        await office.trust("one more")
    assert await store.identity_provider(ours, "one more", ISSUER) is None
    await office.trust("app 0", OTHER_KEY)
    await office.distrust("app 1")
    await office.trust("one more")


async def test_token_providers_are_bounded(store, ours, office):
    """In the same way."""
    for number in range(limits.TOKEN_PROVIDERS_MAX):
        await office.serve(f"app-{number}")
    with pytest.raises(InvalidState, match=f"{limits.TOKEN_PROVIDERS_MAX} .*delete"):
        await office.serve("one-more")
    assert await store.token_provider(ours, "one-more") is None
    await office.serve("app-0", changed=True)
    assert (await store.token_provider(ours, "app-0")).mapping == {"changed": True}
    await office.token_providers.delete(office.admin, "app-1")
    await office.serve("one-more")


async def test_organizations_do_not_take_room_from_each_other(store, office, monkeypatch):
    """Each has its own bound, with the anonymous ones among them; a new organization finds room for those."""
    monkeypatch.setattr(limits, "IDENTITY_PROVIDERS_MAX", 1)
    monkeypatch.setattr(limits, "TOKEN_PROVIDERS_MAX", 1)
    await office.trust("app")
    await office.serve("app")
    rival = an_organization("rival")
    access = AnonymousAccess(
        a_key(rival.id, "anonymous"),
        b"sealed",
        an_identity_provider(rival.id, id="idp_rival"),
        a_token_provider(rival.id, id="tkp_rival", key="sbk_anonymous"),
    )
    user = a_user("eve")
    await store.create_user(user)
    await store.create_organization(rival, user.id, access)
    office.admin = AuthContext(rival.id, None, SCOPES, b"{}")
    with pytest.raises(InvalidState):
        await office.trust("app")


async def test_many_at_once_stay_within_the_bound(store, ours, office, monkeypatch):
    """Whoever comes in between is counted."""
    monkeypatch.setattr(limits, "IDENTITY_PROVIDERS_MAX", 3)
    puts = [office.trust(f"app {number}") for number in range(9)]
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(isinstance(result, InvalidState) for result in results) == 6
    assert len((await store.list_identity_providers(ours, cursor=None)).items) == 3


@pytest.mark.parametrize("revocation", ["deleted", "changed"])
async def test_what_was_revoked_meanwhile_is_not_put_back(
    store, ours, office, monkeypatch, revocation
):
    """Somebody changes the mapping while another one revokes: the tokens there were do not come back with the old id."""
    await office.trust("app")
    revoked = (await store.identity_provider(ours, "app", ISSUER)).id
    looked, may_go_on = asyncio.Event(), asyncio.Event()
    look = type(store).identity_provider

    async def slowly(*arguments):
        found = await look(store, *arguments)
        if not looked.is_set():
            looked.set()
            await may_go_on.wait()
        return found

    monkeypatch.setattr(store, "identity_provider", slowly)
    first = asyncio.create_task(office.trust("app"))
    await looked.wait()
    revoke = office.distrust("app") if revocation == "deleted" else office.trust("app", OTHER_KEY)
    second = asyncio.create_task(revoke)
    # Time enough for a revocation that waits for nobody.
    await asyncio.wait({second}, timeout=0.2)
    may_go_on.set()
    await asyncio.gather(first, second)
    present = await look(store, ours, "app", ISSUER)
    assert present is None or present.id != revoked


async def test_what_failed_does_not_block_what_comes_after(office):
    """Whoever configures next finds nobody in the way."""
    with pytest.raises(NotFound):
        await office.distrust("app")
    await office.trust("app")

"""What the store promises about identity providers, token providers and anonymous access."""

from __future__ import annotations

from dataclasses import replace

import pytest

from statekeep.domain import limits
from statekeep.domain.errors import AlreadyExists, NotFound
from statekeep.domain.limits import PAGE_SIZE
from statekeep.domain.names import (
    IdentityProviderId,
    KeyId,
    OrganizationId,
    ServiceName,
    TokenProviderId,
)
from statekeep.domain.token_exchange import AnonymousAccess, ExchangePath
from tests.support.builders import (
    a_key,
    a_token_provider,
    a_user,
    an_identity_provider,
    an_organization,
    found_organization,
)

AUDIENCE, ISSUER = "https://app.example.com", "https://login.example.com/"
APP = ServiceName("app")


@pytest.fixture
async def ours(store) -> OrganizationId:
    return await found_organization(store)


@pytest.fixture
async def theirs(store) -> OrganizationId:
    return await found_organization(store, "rival")


async def all_items(read):
    """Every item of a list."""
    items, page = [], await read(None)
    while page.cursor is not None:
        items += page.items
        page = await read(page.cursor)
    return [*items, *page.items]


class TestIdentityProviders:
    async def test_a_provider_is_found_by_its_pair(self, store, ours, theirs):
        """By exactly that pair, in its organization only, as it was put."""
        provider = an_identity_provider(ours)
        assert await store.put_identity_provider(provider) is None
        assert await store.identity_provider(ours, AUDIENCE, ISSUER) == provider
        assert await store.identity_provider(ours, AUDIENCE, None) is None
        assert await store.identity_provider(ours, None, ISSUER) is None
        assert await store.identity_provider(theirs, AUDIENCE, ISSUER) is None

    async def test_a_provider_needs_its_organization(self, store):
        """There is nobody else whom it could serve."""
        with pytest.raises(NotFound):
            await store.put_identity_provider(an_identity_provider(OrganizationId("org_none")))

    @pytest.mark.parametrize("pair", [(AUDIENCE, ISSUER), (AUDIENCE, None), (None, ISSUER)])
    async def test_the_same_pair_replaces(self, store, ours, pair):
        """Everything but its place in the list; whoever replaces learns the id that is gone."""
        first = an_identity_provider(ours, *pair, id="idp_1")
        await store.put_identity_provider(first)
        await store.put_identity_provider(an_identity_provider(ours, "other", None, id="idp_2"))
        second = replace(
            first,
            id=IdentityProviderId("idp_3"),
            algorithms=("RS256",),
            jwks_url="https://login.example.com/keys",
            sealed_key=None,
            mapping={},
        )
        assert await store.put_identity_provider(second) == "idp_1"
        assert await store.identity_provider(ours, *pair) == second
        listed = (await store.list_identity_providers(ours, cursor=None)).items
        assert [provider.id for provider in listed] == ["idp_2", "idp_3"]

    @pytest.mark.parametrize(
        ("audiences", "issuer", "expected"),
        [
            ([AUDIENCE], ISSUER, {"both", "audience", "issuer"}),
            (["x", AUDIENCE], ISSUER, {"both", "audience", "issuer"}),
            ([AUDIENCE], "x", {"audience"}),
            ([AUDIENCE], None, {"audience"}),
            ([], ISSUER, {"issuer"}),
            (["x"], ISSUER, {"issuer"}),
            ([AUDIENCE, "second"], None, {"audience", "second"}),
            ([AUDIENCE.upper()], None, set()),
            ([], None, set()),
            ([""], "", set()),
        ],
    )
    async def test_what_is_left_open_matches_anything(
        self, store, ours, theirs, audiences, issuer, expected
    ):
        """And what is not left open only itself. Other organizations' providers are never found."""
        for organization_id, prefix in ((ours, ""), (theirs, "their ")):
            for name, pair in (
                ("both", (AUDIENCE, ISSUER)),
                ("audience", (AUDIENCE, None)),
                ("issuer", (None, ISSUER)),
                ("second", ("second", None)),
            ):
                provider = an_identity_provider(organization_id, *pair, id=prefix + name)
                await store.put_identity_provider(provider)
        found = await store.identity_providers_for(ours, audiences, issuer)
        assert {provider.id for provider in found} == expected

    async def test_a_deleted_provider_is_gone(self, store, ours, theirs):
        """Others cannot delete it; who does learns its id."""
        await store.put_identity_provider(an_identity_provider(ours))
        assert await store.delete_identity_provider(theirs, AUDIENCE, ISSUER) is None
        assert await store.delete_identity_provider(ours, AUDIENCE, None) is None
        assert await store.delete_identity_provider(ours, AUDIENCE, ISSUER) == "idp_1"
        assert await store.delete_identity_provider(ours, AUDIENCE, ISSUER) is None
        assert await store.identity_provider(ours, AUDIENCE, ISSUER) is None

    async def test_providers_come_newest_first_in_pages(self, store, ours, theirs, monkeypatch):
        """Those of one organization only."""
        monkeypatch.setattr(limits, "IDENTITY_PROVIDERS_MAX", 10 * PAGE_SIZE)
        providers = [
            an_identity_provider(ours, f"a{number}", id=f"idp_{number}")
            for number in range(PAGE_SIZE + 5)
        ]
        for provider in providers:
            await store.put_identity_provider(provider)
        await store.put_identity_provider(an_identity_provider(theirs, id="theirs"))
        listed = await all_items(lambda c: store.list_identity_providers(ours, cursor=c))
        assert listed == providers[::-1]


class TestTokenProviders:
    async def test_a_provider_is_found_by_its_service(self, store, ours, theirs):
        """In its organization only."""
        await store.put_token_provider(a_token_provider(ours))
        assert await store.token_provider(ours, APP) == a_token_provider(ours)
        assert await store.token_provider(theirs, APP) is None
        assert await store.token_provider(ours, ServiceName("other")) is None
        with pytest.raises(NotFound):
            await store.put_token_provider(a_token_provider(OrganizationId("org_none"), id="tkp_2"))

    async def test_the_same_service_changes(self, store, ours):
        """Its key and its mapping; id and place in the list stay."""
        await store.put_token_provider(a_token_provider(ours))
        await store.put_token_provider(a_token_provider(ours, "other", id="tkp_2"))
        changed = replace(a_token_provider(ours, id="tkp_3", key="sbk_new"), mapping={"a": 1})
        await store.put_token_provider(changed)
        kept = replace(changed, id=TokenProviderId("tkp_1"))
        assert await store.token_provider(ours, APP) == kept
        listed = (await store.list_token_providers(ours, cursor=None)).items
        assert listed == [a_token_provider(ours, "other", id="tkp_2"), kept]

    async def test_a_deleted_provider_is_gone(self, store, ours, theirs):
        """Others cannot delete it; who does learns its id."""
        await store.put_token_provider(a_token_provider(ours))
        assert await store.delete_token_provider(theirs, APP) is None
        assert await store.delete_token_provider(ours, APP) == "tkp_1"
        assert await store.delete_token_provider(ours, APP) is None
        assert await store.token_provider(ours, APP) is None

    async def test_providers_come_newest_first_in_pages(self, store, ours, theirs, monkeypatch):
        """Those of one organization only."""
        monkeypatch.setattr(limits, "TOKEN_PROVIDERS_MAX", 10 * PAGE_SIZE)
        providers = [
            a_token_provider(ours, f"s{number}", id=f"tkp_{number}")
            for number in range(PAGE_SIZE + 5)
        ]
        for provider in providers:
            await store.put_token_provider(provider)
        await store.put_token_provider(a_token_provider(theirs, id="theirs"))
        listed = await all_items(lambda c: store.list_token_providers(ours, cursor=c))
        assert listed == providers[::-1]


async def test_an_exchange_is_good_while_both_providers_are(store, ours, theirs):
    """In the organization of both."""
    path = ExchangePath(IdentityProviderId("idp_1"), TokenProviderId("tkp_1"))
    await store.put_identity_provider(an_identity_provider(ours))
    assert await store.service_of_exchange(ours, path) is None
    await store.put_token_provider(a_token_provider(ours))
    assert await store.service_of_exchange(ours, path) == "app"
    assert await store.service_of_exchange(theirs, path) is None
    for wrong in (
        path._replace(identity_provider_id=IdentityProviderId("idp_2")),
        path._replace(token_provider_id=TokenProviderId("tkp_2")),
    ):
        assert await store.service_of_exchange(ours, wrong) is None
    await store.delete_identity_provider(ours, AUDIENCE, ISSUER)
    assert await store.service_of_exchange(ours, path) is None


async def test_anonymous_access_comes_with_the_organization(store):
    """Key and providers are there as soon as it is."""
    await store.create_user(a_user("ada"))
    organization = an_organization()
    anonymous = AnonymousAccess(
        a_key(organization.id),
        b"\0sealed",
        an_identity_provider(organization.id),
        a_token_provider(organization.id),
    )
    await store.create_organization(organization, a_user("ada").id, anonymous)
    assert await store.key(anonymous.key.id) == (anonymous.key, b"\0sealed")
    assert await store.identity_provider(organization.id, AUDIENCE, ISSUER) is not None
    assert await store.token_provider(organization.id, APP) == anonymous.token_provider


async def test_without_the_organization_there_is_no_anonymous_access(store, ours):
    """All of it is written or none: here the organization's id is taken."""
    await store.create_user(a_user("eve"))
    anonymous = AnonymousAccess(
        a_key(ours, "new"), b"", an_identity_provider(ours), a_token_provider(ours)
    )
    with pytest.raises(AlreadyExists):
        await store.create_organization(an_organization(), a_user("eve").id, anonymous)
    assert await store.key(KeyId("sbk_new")) is None
    assert await store.token_provider(ours, APP) is None

"""Making, listing and ending API keys."""

from __future__ import annotations

import re

import pytest

from statekeep.domain import limits
from statekeep.domain.access import SCOPES_BY_USE, AuthContext
from statekeep.domain.errors import (
    InvalidParameter,
    MissingScope,
    NotFound,
    SpecifyOrganization,
    Unauthenticated,
)
from statekeep.domain.names import KeyId, OrganizationId
from tests.support.forgery import key_token
from tests.support.people import People, as_key, as_member


@pytest.fixture
def people():
    return People()


@pytest.fixture
async def admin(people):
    """A member who may make keys."""
    user_id = await people.new_user()
    return as_member(await people.new_organization(user_id), user_id)


async def test_a_new_key_signs_tokens(people, admin):
    """At once, with its scopes, in its organization."""
    made = await people.keys.create(admin, "ci", "ci", None)
    header = f"Bearer {key_token(made.id, made.secret)}".encode()
    caller = await people.authenticator.authenticate(header, None, None)
    assert caller.organization_id == admin.organization_id
    assert caller.scopes == SCOPES_BY_USE["ci"]


async def test_ids_and_secrets_look_as_they_should(people, admin):
    """16 random bytes for the id, 32 for the secret, and none twice."""
    made = [await people.keys.create(admin, "x", "ci", None) for _ in range(3)]
    assert all(re.fullmatch(r"sbk_[\w-]{22}", key.id, re.ASCII) for key in made)
    assert all(re.fullmatch(r"sbsec_[\w-]{43}", key.secret, re.ASCII) for key in made)
    assert len({key.id for key in made} | {key.secret for key in made}) == 6


async def test_secrets_are_stored_sealed(people, admin):
    """Whoever reads the database has no key."""
    made = await people.keys.create(admin, "x", "ci", None)
    stored = await people.store.key(made.id)
    assert made.secret.encode() not in stored[1]
    assert people.tokens.unseal(stored[1]) == made.secret


@pytest.mark.parametrize(
    ("use", "scopes", "expected"),
    [
        ("production", None, SCOPES_BY_USE["production"]),
        ("ci", [], SCOPES_BY_USE["ci"]),
        (None, ["logs.read"], {"logs.read"}),
        ("production", ["logs.read", "state.read", "logs.read"], {"logs.read", "state.read"}),
        ("nonsense", ["logs.read"], {"logs.read"}),
    ],
)
async def test_scopes_win_over_use(people, admin, use, scopes, expected):
    """The official command line sends both."""
    made = await people.keys.create(admin, "x", use, scopes)
    (key,) = (await people.keys.list(admin, None)).items
    assert (key.id, key.scopes) == (made.id, expected)


@pytest.mark.parametrize(
    ("use", "scopes", "parameter"),
    [
        (None, None, "use"),
        (None, [], "use"),
        ("Production", None, "use"),
        ("", None, "use"),
        (None, ["state.reed"], "scopes"),
        ("ci", ["state.read", ""], "scopes"),
    ],
)
async def test_a_key_needs_scopes_that_exist(people, admin, use, scopes, parameter):
    """A typo makes no key that can less than was meant."""
    with pytest.raises(InvalidParameter) as raised:
        await people.keys.create(admin, "x", use, scopes)
    assert raised.value.parameter == parameter
    assert not (await people.keys.list(admin, None)).items


@pytest.mark.parametrize("name", ["", "  ", "x" * (limits.LABEL_LENGTH_MAX + 1), "a\nb", "a\0"])
async def test_a_key_needs_a_name(people, admin, name):
    """By which people know it."""
    with pytest.raises(InvalidParameter) as raised:
        await people.keys.create(admin, name, "ci", None)
    assert raised.value.parameter == "name"


async def test_names_need_not_differ(people, admin):
    """Ids do. Spaces around a name are nobody's intention."""
    for name in ("Zoë's laptop ", "Zoë's laptop"):
        await people.keys.create(admin, name, "ci", None)
    names = [key.name for key in (await people.keys.list(admin, None)).items]
    assert names == ["Zoë's laptop"] * 2


async def test_a_deleted_key_is_gone_at_once(people, admin):
    """Also for those whose token was seen a moment ago."""
    made = await people.keys.create(admin, "x", "ci", None)
    header = f"Bearer {key_token(made.id, made.secret)}".encode()
    await people.authenticator.authenticate(header, None, None)
    await people.keys.delete(admin, made.id)
    assert people.authenticator.cached(header, None, None) is None
    with pytest.raises(Unauthenticated):
        await people.authenticator.authenticate(header, None, None)
    assert not (await people.keys.list(admin, None)).items
    with pytest.raises(NotFound):
        await people.keys.delete(admin, made.id)


async def test_keys_of_others_do_not_exist(people, admin):
    """Neither to see nor to delete."""
    bob = await people.new_user("bob")
    stranger = as_member(await people.new_organization(bob), bob)
    made = await people.keys.create(admin, "x", "ci", None)
    assert not (await people.keys.list(stranger, None)).items
    with pytest.raises(NotFound):
        await people.keys.delete(stranger, made.id)
    assert len((await people.keys.list(admin, None)).items) == 1


async def test_keys_are_made_by_those_who_may(people):
    """A key itself may, with the scope."""
    powerless = as_key(OrganizationId("org_x"), "state.read", "org.write")
    for attempt in (
        people.keys.create(powerless, "x", "ci", None),
        people.keys.list(powerless, None),
        people.keys.delete(powerless, KeyId("sbk_x")),
    ):
        with pytest.raises(MissingScope):
            await attempt


async def test_a_member_of_several_has_to_choose(people):
    """Before keys can be anybody's."""
    ada = await people.new_user()
    undecided = AuthContext(None, ada, frozenset(), b"{}", is_member_of_several=True)
    with pytest.raises(SpecifyOrganization):
        await people.keys.list(undecided, None)

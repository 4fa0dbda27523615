"""Making and listing organizations."""

from __future__ import annotations

import re

import pytest

from statekeep.domain.access import Role
from statekeep.domain.errors import InvalidParameter, MissingUser
from statekeep.domain.names import OrganizationId
from tests.support.people import People, as_key, as_member


@pytest.fixture
def people():
    return People()


async def test_who_makes_an_organization_is_its_admin(people):
    """And needs no organization for it."""
    ada = as_member(None, await people.new_user())
    organization_id = await people.organizations.create(ada, "acme", allow_anonymous_access=False)
    assert re.fullmatch(r"org_[\w-]{22}", organization_id, re.ASCII)
    (membership,) = await people.organizations.list(ada)
    assert membership.role is Role.ADMIN
    organization = membership.organization
    assert (organization.id, organization.name) == (organization_id, "acme")
    assert not organization.allow_anonymous_access


async def test_whether_anybody_may_come_is_remembered(people):
    """For each organization."""
    ada = as_member(None, await people.new_user())
    await people.organizations.create(ada, "open", allow_anonymous_access=True)
    (membership,) = await people.organizations.list(ada)
    assert membership.organization.allow_anonymous_access


async def test_everybody_sees_their_own(people):
    """Oldest first, whichever one the caller is acting in."""
    ada, bob = await people.new_user("ada"), await people.new_user("bob")
    first = await people.new_organization(ada)
    await people.new_organization(bob)
    second = await people.new_organization(ada)
    listed = await people.organizations.list(as_member(second, ada))
    assert [membership.organization.id for membership in listed] == [first, second]


async def test_a_key_is_no_member(people):
    """However much it may do."""
    key = as_key(OrganizationId("org_x"), "org.write", "org.read")
    with pytest.raises(MissingUser):
        await people.organizations.list(key)
    with pytest.raises(MissingUser):
        await people.organizations.create(key, "x", allow_anonymous_access=True)


async def test_an_organization_needs_a_name(people):
    """By which people know it."""
    ada = as_member(None, await people.new_user())
    with pytest.raises(InvalidParameter) as raised:
        await people.organizations.create(ada, " ", allow_anonymous_access=True)
    assert raised.value.parameter == "name"


async def test_a_second_organization_ends_what_went_without_saying(people):
    """Requests that named none meant the only one; now they have to choose, also with a token seen before."""
    user_id = await people.new_user()
    first = await people.new_organization(user_id)
    session = await people.session_of(user_id)
    caller = await people.authenticator.authenticate(session, None, None)
    assert caller.organization_id == first
    await people.organizations.create(caller, "another", allow_anonymous_access=True)
    assert people.authenticator.cached(session, None, None) is None
    caller = await people.authenticator.authenticate(session, None, None)
    assert caller.organization_id is None
    assert caller.is_member_of_several

"""Scopes, roles, and what a caller lacks."""

from __future__ import annotations

import pytest

from statekeep.domain.access import (
    SCOPES,
    SCOPES_BY_ROLE,
    SCOPES_BY_USE,
    AuthContext,
    Role,
    require_organization,
    require_scope,
    require_user,
)
from statekeep.domain.errors import (
    MissingOrganization,
    MissingScope,
    MissingUser,
    SpecifyOrganization,
)
from statekeep.domain.names import OrganizationId, UserId

ACME = OrganizationId("org_acme")
ADA = UserId("usr_ada")
KEY = AuthContext(ACME, None, frozenset({"state.read"}), b"{}")
OF_NONE = AuthContext(None, ADA, frozenset(), b"{}")
OF_SEVERAL = AuthContext(None, ADA, frozenset(), b"{}", is_member_of_several=True)


def test_a_scope_that_is_held_gives_the_organization():
    """In which it is held."""
    assert require_scope(KEY, "state.read") == ACME


def test_a_scope_that_is_not_held_is_missing():
    """The message names it."""
    with pytest.raises(MissingScope, match=r"events\.write"):
        require_scope(KEY, "events.write")


def test_without_an_organization_that_is_what_is_missing():
    """Not the scope: nobody has scopes outside of organizations. Who has several must choose, who has none cannot."""
    for require in (require_organization, lambda caller: require_scope(caller, "state.read")):
        with pytest.raises(SpecifyOrganization):
            require(OF_SEVERAL)
        with pytest.raises(MissingOrganization):
            require(OF_NONE)
    assert require_organization(KEY) == ACME


def test_a_key_is_no_user():
    """A member is one, also outside of organizations."""
    assert require_user(OF_NONE) == ADA
    with pytest.raises(MissingUser):
        require_user(KEY)


def test_no_role_has_more_than_a_higher_one():
    """Read is part of write, write of admin, and admin is everything."""
    read, write, admin = (SCOPES_BY_ROLE[role] for role in (Role.READ, Role.WRITE, Role.ADMIN))
    assert read < write < admin == SCOPES


def test_only_admins_administer():
    """Nor does any use of keys."""
    for scopes in (SCOPES_BY_ROLE[Role.WRITE], *SCOPES_BY_USE.values()):
        assert not any(scope.endswith(".admin") for scope in scopes)
        assert not scopes & {"org.write", "org.keys.write", "org-members.write"}


def test_uses_are_made_of_scopes():
    """None is misspelled."""
    assert all(scopes < SCOPES for scopes in SCOPES_BY_USE.values())

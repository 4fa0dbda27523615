"""What the store promises about users, members, sessions and invitations."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from statekeep.domain import limits
from statekeep.domain.access import Role
from statekeep.domain.errors import AlreadyExists, InvalidState, NotFound
from statekeep.domain.limits import PAGE_SIZE
from statekeep.domain.names import EmailAddress, InvitationId, SessionId, UserId
from statekeep.domain.people import LinkUse, Member, SessionKind
from tests.support.builders import (
    NOW,
    a_session,
    a_user,
    an_invitation,
    an_organization,
    found_organization,
)

LATER = NOW + timedelta(days=1)
HASH = b"h" * 32


async def all_items(read):
    """Every item of a list."""
    items, page = [], await read(None)
    while page.cursor is not None:
        items += page.items
        page = await read(page.cursor)
    return [*items, *page.items]


@pytest.fixture
async def ada(store):
    ada = a_user("ada")
    await store.create_user(ada)
    return ada


@pytest.fixture
async def acme(store):
    """Its admin is somebody else than ada."""
    return await found_organization(store)


@pytest.fixture
def join(store, acme):
    """Makes a user a member, by an invitation."""

    async def join(user, role=Role.READ):
        invitation = an_invitation(acme, user.email, role=role)
        await store.put_invitation(invitation, HASH)
        assert await store.accept_invitation(invitation.id, user, is_new=False, now=LATER)

    return join


class TestUsers:
    async def test_a_user_is_found_by_id_and_address(self, store, ada):
        """Exactly as written."""
        assert await store.user(ada.id) == ada
        assert await store.user_by_email(ada.email) == ada
        assert await store.user(UserId("usr_none")) is None
        assert await store.user_by_email(EmailAddress("ada@example.org")) is None

    @pytest.mark.parametrize(
        "change", [{"email": EmailAddress("eve@example.com")}, {"id": UserId("usr_eve")}]
    )
    async def test_addresses_and_ids_are_taken_once(self, store, ada, change):
        """Whichever of the two is the same."""
        with pytest.raises(AlreadyExists):
            await store.create_user(replace(ada, **change))
        assert await store.user_by_email(EmailAddress("eve@example.com")) is None

    async def test_the_first_user_stays_the_first(self, store):
        """However many come, and whatever their addresses."""
        assert await store.first_user() is None
        for name in ("zoe", "ada", "eve"):
            await store.create_user(a_user(name))
        assert await store.first_user() == a_user("zoe")

    async def test_an_address_can_change(self, store, ada):
        """To one that nobody has, or to the same."""
        other = EmailAddress("ada@example.org")
        await store.set_email(ada.id, other)
        await store.set_email(ada.id, other)
        assert await store.user_by_email(other) == replace(ada, email=other)
        assert await store.user_by_email(ada.email) is None
        await store.create_user(a_user("eve"))
        with pytest.raises(AlreadyExists):
            await store.set_email(ada.id, a_user("eve").email)
        assert await store.user_by_email(other) is not None

    async def test_who_only_claimed_an_address_is_out_when_it_is_verified(self, store):
        """Once: sessions that begin afterwards are of the one whose address it is."""
        claimed = replace(a_user("ada"), is_email_verified=False)
        eve = a_user("eve")
        await store.create_user(claimed)
        await store.create_user(eve)
        before = [a_session(claimed, "laptop"), a_session(claimed, "phone")]
        for session in (*before, a_session(eve, "other")):
            await store.create_session(session)
        assert await store.user(claimed.id) == claimed
        ended = await store.verify_email(claimed.id)
        assert sorted(ended) == sorted(session.id for session in before)
        assert (await store.list_sessions(claimed.id, cursor=None)).items == []
        assert (await store.user(claimed.id)).is_email_verified
        await store.create_session(a_session(claimed, "new"))
        assert await store.verify_email(claimed.id) == []
        assert await store.session(SessionId("ses_new")) is not None
        assert await store.session(SessionId("ses_other")) is not None
        assert await store.verify_email(UserId("usr_none")) == []


class TestMembers:
    async def test_members_come_newest_first(self, store, acme, join):
        """With their addresses of today, and those of the organization only."""
        await found_organization(store, "rival")
        for name in ("ada", "eve"):
            await store.create_user(a_user(name))
            await join(a_user(name))
        admin = a_user("admin of acme")
        moved = EmailAddress("eve@example.org")
        await store.set_email(a_user("eve").id, moved)
        assert (await store.list_members(acme, cursor=None)).items == [
            Member(a_user("eve").id, moved, Role.READ, LATER),
            Member(a_user("ada").id, a_user("ada").email, Role.READ, LATER),
            Member(admin.id, admin.email, Role.ADMIN, NOW),
        ]

    async def test_members_come_in_pages(self, store, acme, join):
        """Each is on exactly one."""
        names = [f"user-{number}" for number in range(PAGE_SIZE)]
        for name in names:
            await store.create_user(a_user(name))
            await join(a_user(name))
        first = await store.list_members(acme, cursor=None)
        assert len(first.items) == PAGE_SIZE
        listed = await all_items(lambda cursor: store.list_members(acme, cursor=cursor))
        assert len({member.user_id for member in listed}) == len(listed) == PAGE_SIZE + 1

    async def test_a_role_can_change(self, store, acme, ada, join):
        """That of a member."""
        await join(ada)
        assert await store.set_role(acme, ada.id, Role.WRITE) is True
        assert await store.role_of(ada.id, acme) is Role.WRITE
        assert await store.set_role(acme, UserId("usr_none"), Role.ADMIN) is False
        rival = await found_organization(store, "rival")
        assert await store.set_role(rival, ada.id, Role.ADMIN) is False
        assert await store.role_of(ada.id, rival) is None

    async def test_a_removed_member_is_a_stranger(self, store, acme, ada, join):
        """Who can be invited again; the user stays."""
        await join(ada)
        assert await store.remove_member(acme, ada.id) is True
        assert await store.role_of(ada.id, acme) is None
        assert await store.memberships(ada.id) == []
        assert await store.remove_member(acme, ada.id) is False
        assert await store.user(ada.id) == ada
        await join(ada)

    async def test_an_organization_is_never_without_an_admin(self, store, acme, ada, join):
        """The last one can neither go nor become less; one of two can, and not both at the same time."""
        admin = a_user("admin of acme").id
        for change in (
            lambda: store.remove_member(acme, admin),
            lambda: store.set_role(acme, admin, Role.READ),
        ):
            with pytest.raises(InvalidState, match="last admin"):
                await change()
        assert await store.set_role(acme, admin, Role.ADMIN) is True
        await join(ada, Role.ADMIN)
        results = await asyncio.gather(
            store.remove_member(acme, admin),
            store.set_role(acme, ada.id, Role.WRITE),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [bool, InvalidState]
        assert await store.role_of(ada.id, acme) is Role.ADMIN


class TestSessions:
    async def test_a_session_is_found_until_it_ends(self, store, ada):
        """Ended by its user only."""
        session = a_session(ada)
        assert await store.create_session(session) == []
        assert await store.session(session.id) == session
        assert await store.end_session(UserId("usr_eve"), session.id) is False
        assert await store.session(session.id) == session
        assert await store.end_session(ada.id, session.id) is True
        assert await store.session(session.id) is None
        assert await store.end_session(ada.id, session.id) is False

    async def test_a_session_needs_a_user(self, store):
        """And a link is not used up by one that has none."""
        link = LinkUse("link", LATER)
        with pytest.raises(NotFound):
            await store.create_session(a_session(a_user("ada")), link=link)
        await store.create_user(a_user("ada"))
        await store.create_session(a_session(a_user("ada")), link=link)

    async def test_sessions_come_newest_first(self, store, ada):
        """Those of the user only."""
        await store.create_user(a_user("eve"))
        for user, name in ((ada, "a"), (a_user("eve"), "b"), (ada, "c")):
            await store.create_session(a_session(user, name))
        listed = await store.list_sessions(ada.id, cursor=None)
        assert listed.items == [a_session(ada, "c"), a_session(ada, "a")]

    @pytest.mark.parametrize("kind", SessionKind)
    async def test_one_session_too_many_ends_the_oldest_of_its_kind(
        self, store, ada, kind, monkeypatch
    ):
        """Of that user, and no other."""
        monkeypatch.setattr("statekeep.domain.people.SESSIONS_MAX", dict.fromkeys(SessionKind, 2))
        for adapter in ("memory", "sqlite"):
            monkeypatch.setattr(
                f"statekeep.storage.{adapter}.people.SESSIONS_MAX", dict.fromkeys(SessionKind, 2)
            )
        await store.create_user(a_user("eve"))
        others = [a_session(a_user("eve"), "eve", kind=kind)]
        others += [a_session(ada, other.value, kind=other) for other in SessionKind]
        for session in others:
            await store.create_session(session)
        assert await store.create_session(a_session(ada, "second", kind=kind)) == []
        assert await store.create_session(a_session(ada, "third", kind=kind)) == [
            f"ses_{kind.value}"
        ]
        for session in others:
            found = await store.session(session.id)
            assert found == (None if session.id == f"ses_{kind.value}" else session)

    async def test_a_link_begins_one_session(self, store, ada):
        """Of all who use it at the same time."""
        link = LinkUse("link", LATER)
        sessions = [a_session(ada, name) for name in ("a", "b", "c")]
        results = await asyncio.gather(
            *(store.create_session(session, link=link) for session in sessions),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [list, AlreadyExists, AlreadyExists]
        assert (await store.list_sessions(ada.id, cursor=None)).items == sessions[:1]


class TestInvitations:
    async def test_an_invitation_is_found_by_the_hash_of_its_code(self, store, acme):
        """By nothing else."""
        invitation = an_invitation(acme)
        await store.put_invitation(invitation, HASH)
        assert await store.invitation(HASH) == invitation
        assert await store.invitation(b"x" * 32) is None

    async def test_a_new_invitation_takes_the_place_of_the_old(self, store, acme):
        """For the same address of the same organization."""
        rival = await found_organization(store, "rival")
        other = an_invitation(rival, id="inv_rival")
        await store.put_invitation(other, b"r" * 32)
        await store.put_invitation(an_invitation(acme), HASH)
        newer = replace(an_invitation(acme, id="inv_2"), role=Role.ADMIN)
        await store.put_invitation(newer, b"2" * 32)
        assert await store.invitation(HASH) is None
        assert (await store.list_invitations(acme, cursor=None)).items == [newer]
        assert (await store.list_invitations(rival, cursor=None)).items == [other]

    async def test_a_member_is_not_invited(self, store, acme, ada, join):
        """Nor does an older invitation go for that."""
        await join(ada)
        with pytest.raises(AlreadyExists):
            await store.put_invitation(an_invitation(acme, ada.email), HASH)

    async def test_who_accepts_becomes_a_member(self, store, acme, ada):
        """Once, with the role of the invitation."""
        invitation = an_invitation(acme, ada.email, role=Role.WRITE)
        await store.put_invitation(invitation, HASH)
        results = await asyncio.gather(
            *(
                store.accept_invitation(invitation.id, ada, is_new=False, now=LATER)
                for _ in range(3)
            )
        )
        assert results == [True, False, False]
        assert await store.role_of(ada.id, acme) is Role.WRITE
        assert await store.invitation(HASH) is None

    async def test_who_is_new_becomes_a_user_with_it(self, store, acme):
        """Or neither: not without the invitation, and not with the address of somebody else."""
        bob = replace(a_user("bob"), is_email_verified=False)
        invitation = an_invitation(acme, bob.email)
        accept = store.accept_invitation
        assert await accept(invitation.id, bob, is_new=True, now=LATER) is False
        assert await store.user(bob.id) is None
        await store.put_invitation(invitation, HASH)
        other = replace(a_user("eve"), email=bob.email)
        await store.create_user(other)
        with pytest.raises(AlreadyExists):
            await accept(invitation.id, bob, is_new=True, now=LATER)
        assert await store.invitation(HASH) == invitation
        await store.set_email(other.id, a_user("eve").email)
        assert await accept(invitation.id, bob, is_new=True, now=LATER) is True
        assert await store.user(bob.id) == bob
        assert await store.role_of(bob.id, acme) is Role.READ

    async def test_accepting_changes_no_role(self, store, acme, ada, join):
        """Of somebody who became a member in between; the invitation is used up all the same."""
        invitation = an_invitation(acme, id="inv_older", role=Role.ADMIN)
        await store.put_invitation(invitation, b"o" * 32)
        await join(ada)
        invitation_id = invitation.id
        assert await store.accept_invitation(invitation_id, ada, is_new=False, now=LATER) is True
        assert await store.role_of(ada.id, acme) is Role.READ
        assert (await store.list_invitations(acme, cursor=None)).items == []

    async def test_a_withdrawn_invitation_is_worth_nothing(self, store, acme, ada):
        """Others cannot withdraw it."""
        invitation = an_invitation(acme, ada.email)
        await store.put_invitation(invitation, HASH)
        rival = await found_organization(store, "rival")
        assert await store.delete_invitation(rival, invitation.id) is False
        assert await store.delete_invitation(acme, invitation.id) is True
        assert await store.delete_invitation(acme, invitation.id) is False
        assert await store.accept_invitation(invitation.id, ada, is_new=False, now=LATER) is False
        assert await store.role_of(ada.id, acme) is None

    async def test_an_organization_has_so_many_members_and_invitations(
        self, store, acme, ada, join, monkeypatch
    ):
        """Together. Inviting somebody again takes no further place."""
        monkeypatch.setattr(limits, "MEMBERS_MAX", 3)
        await join(ada)
        await store.put_invitation(an_invitation(acme), HASH)
        await store.put_invitation(an_invitation(acme, id="inv_again"), HASH)
        one_more = an_invitation(acme, EmailAddress("zoe@example.com"), id="inv_3")
        with pytest.raises(InvalidState):
            await store.put_invitation(one_more, b"3" * 32)
        assert await store.invitation(b"3" * 32) is None
        await store.delete_invitation(acme, InvitationId("inv_again"))
        await store.put_invitation(one_more, b"3" * 32)

    async def test_an_invitation_needs_an_organization(self, store):
        """It would lead nowhere."""
        with pytest.raises(NotFound):
            await store.put_invitation(an_invitation(an_organization().id), HASH)
        assert await store.invitation(HASH) is None


async def test_what_has_expired_is_forgotten(store, acme, ada):
    """Sessions, uses of links and invitations; at the instant of their end and not before."""
    ends = a_session(ada).expires_at
    link = LinkUse("link", ends)
    await store.create_session(a_session(ada), link=link)
    await store.put_invitation(replace(an_invitation(acme), expires_at=ends), HASH)
    assert await store.forget_expired_people(now=ends - timedelta(microseconds=1)) == 0
    assert await store.session(a_session(ada).id) is not None
    with pytest.raises(AlreadyExists):
        await store.create_session(a_session(ada, "b"), link=link)
    assert await store.forget_expired_people(now=ends) == 3
    assert await store.session(a_session(ada).id) is None
    assert await store.invitation(HASH) is None
    await store.create_session(a_session(ada, "b"), link=link)

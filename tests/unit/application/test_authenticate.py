"""Who is asking: tokens, organizations, claims, and what is remembered of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from statekeep.domain import limits
from statekeep.domain.access import SCOPES, SCOPES_BY_ROLE, Role
from statekeep.domain.errors import (
    InvalidParameter,
    MissingOrganization,
    MissingScope,
    StatekeepError,
    Unauthenticated,
)
from statekeep.domain.machine import Key, Membership
from statekeep.domain.names import KeyId, OrganizationId, UserId
from statekeep.domain.people import SessionKind
from statekeep.storage.memory.store import MemoryStore
from tests.support.forgery import forge, key_token
from tests.support.people import SECRET, People

SKEW_S = limits.CLOCK_SKEW.total_seconds()


@pytest.fixture
def people():
    return People()


@pytest.fixture
async def acme(people):
    """An organization with its admin and a key that can do a little."""
    return await Acme.of(people)


class Acme:
    id: OrganizationId
    admin: UserId
    key_id: KeyId

    @classmethod
    async def of(cls, people: People) -> Acme:
        acme = cls()
        acme.admin = await people.new_user()
        acme.id = await people.new_organization(acme.admin)
        acme.key_id = await people.new_key(acme.id, frozenset({"state.read"}))
        return acme


async def check(people, authorization, organization=None, act=None):
    return await people.authenticator.authenticate(authorization, organization, act)


async def test_a_key_speaks_for_its_organization(people, acme):
    """With the key's scopes and the claims of the end user."""
    caller = await check(people, people.signed_with(acme.key_id, act={"sub": "zoë"}))
    assert (caller.organization_id, caller.user_id) == (acme.id, None)
    assert caller.scopes == {"state.read"}
    assert json.loads(caller.claims) == {"sub": "zoë"}


async def test_a_member_speaks_for_the_only_organization(people, acme):
    """With the scopes of the role, as herself."""
    caller = await check(people, await people.session_of(acme.admin))
    assert (caller.organization_id, caller.user_id) == (acme.id, acme.admin)
    assert caller.scopes == SCOPES
    assert json.loads(caller.claims) == {"sub": acme.admin}


async def test_a_member_of_several_chooses(people, acme):
    """Named ones count; without a name there is no organization yet, and no error yet either."""
    other = await people.new_organization(acme.admin)
    session = await people.session_of(acme.admin)
    for organization_id in (acme.id, other):
        caller = await check(people, session, organization_id.encode())
        assert caller.organization_id == organization_id
    caller = await check(people, session)
    assert (caller.organization_id, caller.scopes) == (None, frozenset())
    assert caller.is_member_of_several


async def test_a_member_of_none_is_still_somebody(people):
    """Who can make a first organization."""
    user_id = await people.new_user()
    caller = await check(people, await people.session_of(user_id))
    assert (caller.user_id, caller.organization_id) == (user_id, None)
    assert not caller.is_member_of_several


async def test_an_organization_of_others_is_missing(people, acme):
    """Whether it exists or not, for members and keys alike."""
    others = await people.new_organization(await people.new_user("bob"))
    for authorization in (await people.session_of(acme.admin), people.signed_with(acme.key_id)):
        for organization in (others.encode(), b"org_none", "org_é".encode()):
            with pytest.raises(MissingOrganization):
                await check(people, authorization, organization)


async def test_a_key_may_name_its_own_organization(people, acme):
    """The official client sends it along where it was configured. An empty header says nothing."""
    for organization in (acme.id.encode(), b""):
        caller = await check(people, people.signed_with(acme.key_id), organization)
        assert caller.organization_id == acme.id


class Demoting(MemoryStore):
    """Everybody has one role everywhere."""

    role = Role.READ

    async def memberships(self, user_id: UserId) -> Sequence[Membership]:
        real = await super().memberships(user_id)
        return [Membership(membership.organization, self.role) for membership in real]


@pytest.mark.parametrize("role", Role)
async def test_a_role_decides_the_scopes(role):
    """And whether a member may act for somebody else: only who could make a key may."""
    store = Demoting()
    store.role = role
    people = People(store=store)
    acme = await Acme.of(people)
    session = await people.session_of(acme.admin)
    assert (await check(people, session)).scopes == SCOPES_BY_ROLE[role]
    if role is Role.ADMIN:
        assert (await check(people, session, None, b"{}")).claims == b"{}"
    else:
        with pytest.raises(MissingScope, match=r"org\.keys\.write"):
            await check(people, session, None, b"{}")


async def test_an_admin_may_act_for_anybody(people, acme):
    """The claims are then exactly those of the header."""
    caller = await check(
        people, await people.session_of(acme.admin), None, '{"role":"é"}'.encode("latin-1")
    )
    assert json.loads(caller.claims) == {"role": "é"}
    assert caller.user_id == acme.admin


async def test_a_key_may_act_where_it_may_make_keys(people, acme):
    """Where not, the whole request is refused rather than done as somebody else than was meant."""
    with pytest.raises(MissingScope):
        await check(people, people.signed_with(acme.key_id), None, b"{}")
    mighty = await people.new_key(acme.id, frozenset({"org.keys.write"}))
    caller = await check(people, people.signed_with(mighty), None, b'{"sub":"bob"}')
    assert json.loads(caller.claims) == {"sub": "bob"}


@pytest.mark.parametrize("act", [b"[]", b"{", b"[object Object]"])
async def test_claims_that_are_no_object_are_a_mistake(people, acme, act):
    """Of the caller, who is told which header it is."""
    with pytest.raises(InvalidParameter) as raised:
        await check(people, await people.session_of(acme.admin), None, act)
    assert raised.value.parameter == "x-statebacked-act"


async def test_an_empty_act_says_nothing(people, acme):
    """As if the header were not there."""
    caller = await check(people, people.signed_with(acme.key_id), None, b"")
    assert json.loads(caller.claims) == {"sub": "ada"}


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b" Bearer ", b"Bearer  "])
async def test_the_scheme_is_read_in_any_case(people, acme, scheme):
    """With any number of spaces."""
    token = (await people.session_of(acme.admin)).removeprefix(b"Bearer ")
    assert (await check(people, scheme + b" " + token)).user_id == acme.admin


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic YTpi",
        b"x",
        b"Bearer \xff\xfe",
        b"Bearer a.b.c",
        b"Bearer eyJhbGciOiJIUzI1NiJ9",
    ],
)
async def test_without_a_token_nobody_asks(people, authorization):
    """Whatever stands in its place."""
    with pytest.raises(Unauthenticated):
        await check(people, authorization)


async def test_a_forged_key_token_is_refused(people, acme):
    """Signed with another secret, naming no key or one that never was."""
    good = {"aud": "https://api.statebacked.dev/", "act": {"sub": "ada"}}
    forged = [
        key_token(acme.key_id, SECRET + "x"),
        key_token("sbk_none", SECRET),
        forge({"alg": "HS256"}, good, SECRET),
        forge({"alg": "HS256", "kid": ""}, good, SECRET),
        forge({"alg": "none", "kid": acme.key_id}, good, SECRET),
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            await check(people, f"Bearer {token}".encode())


async def test_a_session_cannot_be_signed_with_a_key(people, acme):
    """Whoever has a key is no member."""
    token = forge({"alg": "HS256"}, {"aud": "session", "sub": acme.admin, "exp": 4e9}, SECRET)
    with pytest.raises(Unauthenticated):
        await check(people, f"Bearer {token}".encode())


async def test_what_was_checked_is_remembered(people, acme):
    """By all three headers: another organization or other claims are another question."""
    session, key = await people.session_of(acme.admin), people.signed_with(acme.key_id)
    cached = people.authenticator.cached
    assert cached(session, None, None) is None
    caller = await check(people, session)
    assert cached(session, None, None) is caller
    assert cached(key, None, None) is None
    assert cached(session, acme.id.encode(), None) is None
    assert cached(session, None, b"{}") is None
    acting = await check(people, session, None, b"{}")
    assert cached(session, None, b"{}") is acting
    assert cached(session, None, None) is caller


async def test_what_was_refused_is_not_remembered(people, acme):
    """Neither as good nor as bad."""
    forged = f"Bearer {key_token(acme.key_id, SECRET + 'x')}".encode()
    for headers in ((forged, None, None), (people.signed_with(acme.key_id), None, b"{}")):
        with pytest.raises(StatekeepError):
            await check(people, *headers)
        assert people.authenticator.cached(*headers) is None
    assert people.authenticator.cached(None, None, None) is None


async def test_memory_ends_with_the_token(people, acme):
    """At the same moment as a full check would refuse it."""
    headers = await people.session_of(acme.admin)
    await check(people, headers)
    lasts = limits.DEVICE_SESSION_VALID_FOR.total_seconds()
    people.clock.advance(seconds=lasts + SKEW_S - 0.001)
    assert people.authenticator.cached(headers, None, None) is not None
    people.clock.advance(seconds=0.001)
    assert people.authenticator.cached(headers, None, None) is None
    with pytest.raises(Unauthenticated, match="expired"):
        await check(people, headers)


async def test_a_token_may_end_beyond_all_numbers(people, acme):
    """JSON has integers that no float can hold: such a token is good for as long as there are dates."""
    headers = people.signed_with(acme.key_id, exp=10**400)
    await check(people, headers)
    assert people.authenticator.cached(headers, None, None) is not None


async def test_a_deleted_key_stops_working_at_once(people, acme):
    """All its tokens do, and no other key's."""
    other = await people.new_key(acme.id)
    mine = [people.signed_with(acme.key_id, act={"n": n}) for n in range(3)]
    theirs = people.signed_with(other)
    for headers in (*mine, theirs):
        await check(people, headers)
    await people.store.delete_key(acme.id, acme.key_id)
    people.authenticator.forget_key(acme.key_id)
    for headers in mine:
        assert people.authenticator.cached(headers, None, None) is None
        with pytest.raises(Unauthenticated, match="no such key"):
            await check(people, headers)
    assert people.authenticator.cached(theirs, None, None) is not None


class Slow(MemoryStore):
    """Answers about keys when a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def key(self, key_id: KeyId) -> tuple[Key, bytes] | None:
        found = await super().key(key_id)
        self.asked.set()
        await self.may_answer.wait()
        return found


async def test_a_check_under_way_does_not_bring_a_deleted_key_back():
    """It read the key before the end; what it found is not remembered after."""
    store = Slow()
    people = People(store=store)
    acme = await Acme.of(people)
    headers = people.signed_with(acme.key_id)
    checking = asyncio.create_task(check(people, headers))
    await store.asked.wait()
    await people.store.delete_key(acme.id, acme.key_id)
    people.authenticator.forget_key(acme.key_id)
    store.may_answer.set()
    await checking
    assert people.authenticator.cached(headers, None, None) is None
    with pytest.raises(Unauthenticated):
        await check(people, headers)


async def test_a_forgotten_member_is_asked_for_again(people, acme):
    """As after a change of organizations."""
    session = await people.session_of(acme.admin)
    await check(people, session)
    people.authenticator.forget_user(acme.admin)
    assert people.authenticator.cached(session, None, None) is None
    assert (await check(people, session)).organization_id == acme.id


async def test_a_session_that_was_ended_stops_working_at_once(people, acme):
    """Though its token says otherwise; the member's other sessions go on."""
    session, other = [await people.session_of(acme.admin) for _ in range(2)]
    callers = [await check(people, one) for one in (session, other)]
    await people.sessions.end_current(callers[0])
    assert people.authenticator.cached(session, None, None) is None
    with pytest.raises(Unauthenticated, match="ended"):
        await check(people, session)
    assert people.authenticator.cached(other, None, None) is callers[1]


async def test_a_browsers_session_opens_no_api(people, acme):
    """It is sent along with every request to the server's pages, whoever had the idea."""
    session = await people.session_of(acme.admin, kind=SessionKind.BROWSER)
    with pytest.raises(Unauthenticated):
        await check(people, session)


async def test_memory_is_bounded(monkeypatch):
    """And what is in use stays in it, however many others come by."""
    monkeypatch.setattr(limits, "CACHED_TOKENS_MAX", 10)
    people = People()
    acme = await Acme.of(people)
    regular = people.signed_with(acme.key_id)
    await check(people, regular)
    visitors = [people.signed_with(acme.key_id, act={"n": n}) for n in range(100)]
    for visitor in visitors:
        await check(people, visitor)
        assert people.authenticator.cached(regular, None, None) is not None
    known = [v for v in visitors if people.authenticator.cached(v, None, None) is not None]
    assert 4 <= len(known) < 10
    assert visitors[-1] in known


async def test_memory_is_bounded_in_bytes_too(monkeypatch):
    """One token can be sent in as many ways as spaces fit into a header, by anybody who has one."""
    monkeypatch.setattr(limits, "CACHED_TOKENS_BYTES_MAX", 200_000)
    people = People()
    acme = await Acme.of(people)
    token = people.signed_with(acme.key_id)
    padded = [token + b" " * (10_000 + n) for n in range(100)]
    for header in padded:
        await check(people, header)
        assert people.authenticator.cached(header, None, None) is not None
    known = [h for h in padded if people.authenticator.cached(h, None, None) is not None]
    assert sum(map(len, known)) <= 200_000


async def test_what_was_not_used_for_long_is_forgotten_too(monkeypatch):
    """A deleted key has no token left in any corner of the memory."""
    monkeypatch.setattr(limits, "CACHED_TOKENS_MAX", 10)
    people = People()
    acme = await Acme.of(people)
    tokens = [people.signed_with(acme.key_id, act={"n": n}) for n in range(8)]
    for token in tokens:
        await check(people, token)
    people.authenticator.forget_key(acme.key_id)
    assert not any(people.authenticator.cached(token, None, None) for token in tokens)

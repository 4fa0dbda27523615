"""Device login (RFC 8628), step by step."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from statekeep.application.device_logins import DeviceLogins
from statekeep.application.people_rates import PeopleRates
from statekeep.domain import limits
from statekeep.domain.errors import (
    AccessDenied,
    AuthorizationPending,
    DeviceCodeExpired,
    InvalidExchange,
    NotFound,
    SlowDown,
    TooManyRequests,
)
from statekeep.domain.people import SessionKind
from tests.support.people import People

INTERVAL_S = limits.DEVICE_POLL_INTERVAL.total_seconds()
VALID_FOR_S = limits.DEVICE_LOGIN_VALID_FOR.total_seconds()


@pytest.fixture
def people():
    return People()


@pytest.fixture
async def ada(people):
    return await people.store.user(await people.new_user())


@pytest.fixture
def logins(people):
    def now():
        return people.clock.now_s

    return DeviceLogins(people.sessions, PeopleRates(now), people.entropy, now)


@pytest.fixture
def poll(people, logins):
    """Polls after the interval, as a device does."""

    async def poll(begun, *, after=INTERVAL_S):
        people.clock.advance(seconds=after)
        return await logins.poll(begun.device_code)

    return poll


async def test_a_device_is_let_in(people, logins, poll, ada):
    """As whoever typed its code, once."""
    begun = logins.begin("statekeep-cli", "laptop")
    with pytest.raises(AuthorizationPending):
        await poll(begun)
    shown = logins.look(ada.id, begun.user_code)
    assert (shown.user_code, shown.label) == (begun.user_code, "statekeep-cli on laptop")
    logins.decide(ada, begun.user_code, is_allowed=True)
    user, (session, token) = await poll(begun)
    assert user == ada
    assert (session.kind, session.label) == (SessionKind.DEVICE, "statekeep-cli on laptop")
    header = f"Bearer {token}".encode()
    caller = await people.authenticator.authenticate(header, None, None)
    assert caller.user_id == ada.id
    with pytest.raises(DeviceCodeExpired):
        await poll(begun)
    assert len((await people.store.list_sessions(ada.id, cursor=None)).items) == 1


async def test_a_device_is_turned_down(logins, poll, ada, people):
    """Then it is over."""
    begun = logins.begin("statekeep-cli", None)
    logins.decide(ada, begun.user_code, is_allowed=False)
    with pytest.raises(AccessDenied):
        await poll(begun)
    with pytest.raises(DeviceCodeExpired):
        await poll(begun)
    assert (await people.store.list_sessions(ada.id, cursor=None)).items == []


async def test_a_login_expires(logins, poll, ada):
    """For the device and for whoever types the code."""
    begun = logins.begin("statekeep-cli", None)
    with pytest.raises(AuthorizationPending):
        await poll(begun, after=VALID_FOR_S - 0.001)
    logins.look(ada.id, begun.user_code)
    with pytest.raises(DeviceCodeExpired):
        await poll(begun, after=0.001)
    with pytest.raises(NotFound):
        logins.look(ada.id, begun.user_code)
    with pytest.raises(NotFound):
        logins.decide(ada, begun.user_code, is_allowed=True)


async def test_an_impatient_device_has_to_wait_longer(logins, poll, ada):
    """By five seconds more each time, for good, also when it has been let in meanwhile (RFC 8628, 3.5)."""
    begun = logins.begin("statekeep-cli", None)
    for after in (INTERVAL_S - 0.1, INTERVAL_S + 4.9):
        with pytest.raises(SlowDown):
            await poll(begun, after=after)
    logins.decide(ada, begun.user_code, is_allowed=True)
    with pytest.raises(SlowDown):
        await poll(begun, after=INTERVAL_S + 9.9)
    await poll(begun, after=INTERVAL_S + 15)


async def test_a_code_is_read_however_it_is_typed(logins, ada):
    """With the hyphen or without, in small letters, with spaces."""
    begun = logins.begin("statekeep-cli", None)
    code = begun.user_code
    for typed in (code, code.lower(), code.replace("-", ""), f"  {code[:2]} {code[2:]} "):
        assert logins.look(ada.id, typed).user_code == code


async def test_a_code_is_decided_about_once(logins, ada):
    """Whoever comes second finds nothing."""
    begun = logins.begin("statekeep-cli", None)
    logins.decide(ada, begun.user_code, is_allowed=False)
    with pytest.raises(NotFound):
        logins.decide(ada, begun.user_code, is_allowed=True)


async def test_codes_cannot_be_tried_without_end(people, logins, ada):
    """Ten wrong ones in a row, then one a minute; right ones do not count, and others are not held up."""
    begun = logins.begin("statekeep-cli", None)
    for _ in range(20):
        logins.look(ada.id, begun.user_code)
    for _ in range(10):
        with pytest.raises(NotFound):
            logins.look(ada.id, "BBBB-BBBB")
    with pytest.raises(TooManyRequests):
        logins.look(ada.id, begun.user_code)
    logins.look(await people.new_user("bob"), begun.user_code)
    people.clock.advance(seconds=60)
    logins.look(ada.id, begun.user_code)


def test_codes_are_letters_all_alike_likely(people):
    """No vowels, and nobody's guess is better than chance."""
    now = iter(range(10_000_000))
    logins = DeviceLogins(
        people.sessions, PeopleRates(lambda: next(now)), people.entropy, lambda: next(now)
    )
    codes = [logins.begin("x", None).user_code for _ in range(2_000)]
    assert all(
        re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", c) for c in codes
    )
    assert len(set(codes)) == len(codes)
    counts = Counter("".join(codes).replace("-", ""))
    assert len(counts) == 20
    assert max(counts.values()) < 1.2 * min(counts.values())


def test_so_many_logins_begin(logins):
    """Of all strangers together."""
    for _ in range(limits.DEVICE_LOGINS_RATE.burst):
        logins.begin("statekeep-cli", None)
    with pytest.raises(TooManyRequests):
        logins.begin("statekeep-cli", None)


async def test_memory_is_bounded(people, ada, monkeypatch):
    """The oldest goes, and what has expired goes first."""
    monkeypatch.setattr(limits, "DEVICE_LOGINS_MAX", 3)
    now = 0.0
    logins = DeviceLogins(people.sessions, PeopleRates(lambda: now), people.entropy, lambda: now)
    begun = [logins.begin("x", None) for _ in range(4)]
    with pytest.raises(NotFound):
        logins.look(ada.id, begun[0].user_code)
    with pytest.raises(DeviceCodeExpired):
        await logins.poll(begun[0].device_code)
    for login in begun[1:]:
        logins.look(ada.id, login.user_code)
    now = VALID_FOR_S
    logins.begin("x", None)
    assert (len(logins._by_device), len(logins._by_code)) == (1, 1)


@pytest.mark.parametrize(
    ("client", "device"),
    [("", None), ("x" * 101, None), ("a\nb", None), ("x", ""), ("x", "\x1b[2J")],
)
def test_names_have_to_be_fit_to_be_shown(logins, client, device):
    """They are on a page, beside a button."""
    with pytest.raises(InvalidExchange):
        logins.begin(client, device)


async def test_device_codes_of_nobody_are_expired(logins):
    """A restart forgets logins, and a device is to begin anew."""
    with pytest.raises(DeviceCodeExpired):
        await logins.poll("dev_none")

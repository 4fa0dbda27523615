"""When key sets are fetched, and how long they are believed."""

from __future__ import annotations

import asyncio

import pytest

from statekeep.domain import limits
from statekeep.domain.errors import IssuerUnavailable
from statekeep.tokens.fetching import FetchFailed
from statekeep.tokens.key_sets import Keys, KeySets
from tests.support.clock import FakeClock
from tests.support.issuers import Issuer, key_set
from tests.support.world import until

URL = "https://login.example.com/jwks.json"
OLD, NEW = Issuer("ES256", "old"), Issuer("ES256", "new")
FRESH_S = limits.JWKS_FRESH_FOR.total_seconds()
KEPT_S = limits.JWKS_KEPT_FOR.total_seconds()
REFRESHED_S = limits.JWKS_REFRESHED_AFTER.total_seconds()
RETRIED_S = limits.JWKS_RETRIED_AFTER.total_seconds()


class Publisher:
    """Answers with the set of the moment, when it may; None is no answer (tokens.key_sets.Fetcher)."""

    def __init__(self) -> None:
        self.body: bytes | None = key_set(OLD)
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def get(self, url: str, *, bytes_max: int, timeout_seconds: float) -> bytes:
        self.asked.append(url)
        await self.may_answer.wait()
        if self.body is None:
            raise FetchFailed("down")
        return self.body


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def publisher():
    return Publisher()


@pytest.fixture
async def key_sets(publisher, clock):
    key_sets = KeySets(publisher, clock)
    yield key_sets
    await key_sets.close()


async def find(key_sets: KeySets, name: str, url: str = URL) -> list[str | None]:
    def choose(keys: Keys) -> Keys:
        return [key for key in keys if key.key_id == name]

    return [key.key_id for key in await key_sets.find(url, choose)]


async def test_a_set_is_fetched_once(key_sets, publisher, clock):
    """While it is fresh."""
    for _ in range(3):
        assert await find(key_sets, "old") == ["old"]
        clock.advance(seconds=FRESH_S / 4)
    assert publisher.asked == [URL]
    clock.advance(seconds=FRESH_S)
    assert await find(key_sets, "old") == ["old"]
    assert len(publisher.asked) == 2


async def test_a_new_key_is_found_when_it_is_used(key_sets, publisher, clock):
    """Without waiting for the set to grow old."""
    await find(key_sets, "old")
    publisher.body = key_set(OLD, NEW)
    clock.advance(seconds=REFRESHED_S)
    assert await find(key_sets, "new") == ["new"]


async def test_a_withdrawn_key_is_found_no_more(key_sets, publisher, clock):
    """As soon as the set is fetched again, and that is when it is not fresh any more."""
    await find(key_sets, "old")
    publisher.body = key_set(NEW)
    clock.advance(seconds=FRESH_S)
    assert await find(key_sets, "old") == []


async def test_made_up_names_do_not_make_us_fetch(key_sets, publisher, clock):
    """More than once in a while, however many come."""
    await find(key_sets, "old")
    for number in range(50):
        assert await find(key_sets, f"made up {number}") == []
    assert len(publisher.asked) == 1
    clock.advance(seconds=REFRESHED_S)
    for number in range(50):
        assert await find(key_sets, f"made up {number}") == []
    assert len(publisher.asked) == 2


async def test_what_cannot_be_fetched_is_kept_for_a_while(key_sets, publisher, clock):
    """An outage of the issuer locks nobody out at once, but not for ever is believed what nobody confirms."""
    await find(key_sets, "old")
    publisher.body = None
    clock.advance(seconds=KEPT_S - 1)
    assert await find(key_sets, "old") == ["old"]
    with pytest.raises(IssuerUnavailable):
        await find(key_sets, "new")
    clock.advance(seconds=1)
    with pytest.raises(IssuerUnavailable):
        await find(key_sets, "old")


async def test_a_failure_is_not_repeated_at_once(key_sets, publisher, clock):
    """Whoever asks meanwhile hears when to come back, and nothing of the reason."""
    publisher.body = None
    for _ in range(5):
        with pytest.raises(IssuerUnavailable) as raised:
            await find(key_sets, "old")
        assert raised.value.retry_after_seconds == RETRIED_S
        assert "down" not in raised.value.message
    assert len(publisher.asked) == 1
    clock.advance(seconds=RETRIED_S)
    publisher.body = key_set(OLD)
    assert await find(key_sets, "old") == ["old"]


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"keys":7}'])
async def test_what_is_no_set_is_a_failure(key_sets, publisher, clock, body):
    """It does not replace a good one."""
    await find(key_sets, "old")
    publisher.body = body
    clock.advance(seconds=FRESH_S)
    assert await find(key_sets, "old") == ["old"]


async def test_one_fetch_serves_all(key_sets, publisher):
    """Who comes while it is under way waits for the same one; who goes does not end it for the others."""
    publisher.may_answer.clear()
    waiting = [asyncio.create_task(find(key_sets, "old")) for _ in range(10)]
    await until(lambda: publisher.asked)
    waiting.pop(0).cancel()
    await asyncio.sleep(0)
    publisher.may_answer.set()
    assert await asyncio.gather(*waiting) == [["old"]] * 9
    assert len(publisher.asked) == 1


async def test_urls_do_not_wait_for_each_other(key_sets, publisher):
    """Up to a bound, beyond which they wait, and in the end are refused."""
    publisher.may_answer.clear()
    count = limits.JWKS_FETCHES_MAX + 1
    waiting = [asyncio.create_task(find(key_sets, "old", f"{URL}?{n}")) for n in range(count)]
    await until(lambda: len(publisher.asked) == count - 1)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(publisher.asked) == count - 1
    publisher.may_answer.set()
    assert await asyncio.gather(*waiting) == [["old"]] * count


async def test_the_sets_that_are_kept_are_bounded(key_sets, publisher, monkeypatch):
    """What was not used for longest goes."""
    monkeypatch.setattr(limits, "JWKS_CACHED_MAX", 2)
    for name in ("a", "b", "a", "c", "a", "b"):
        await find(key_sets, "old", f"{URL}?{name}")
    assert [url[-1] for url in publisher.asked] == ["a", "b", "c", "b"]


async def test_a_set_that_is_being_fetched_is_not_forgotten(key_sets, publisher, monkeypatch):
    """However many others come by: it would be fetched once more, and by as many tasks as there are tokens."""
    monkeypatch.setattr(limits, "JWKS_CACHED_MAX", 1)
    publisher.may_answer.clear()
    urls = [URL, URL + "?2", URL + "?3"]
    tasks = [asyncio.create_task(find(key_sets, "old", url)) for url in urls * 3]
    await until(lambda: len(publisher.asked) >= len(urls))
    await asyncio.sleep(0)
    publisher.may_answer.set()
    assert await asyncio.gather(*tasks) == [["old"]] * 9
    assert sorted(publisher.asked) == sorted(urls)


async def test_a_clock_that_was_set_back_stops_nothing(key_sets, publisher, clock):
    """The past then lies in the future, and would for years."""
    await find(key_sets, "old")
    clock.advance(seconds=-(10**8))
    assert await find(key_sets, "old") == ["old"]
    assert len(publisher.asked) == 2


async def test_closing_ends_what_is_under_way(publisher, clock):
    """Nobody is left waiting."""
    key_sets = KeySets(publisher, clock)
    publisher.may_answer.clear()
    waiting = asyncio.create_task(find(key_sets, "old"))
    await until(lambda: publisher.asked)
    await key_sets.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting

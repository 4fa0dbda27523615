from __future__ import annotations

import pytest

from statekeep.application.rate_limits import Buckets, RateLimits, unlimited
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import TooManyRequests
from statekeep.domain.names import OrganizationId
from statekeep.domain.rates import Rate
from tests.support.clock import FakeClock

ORGANIZATION = OrganizationId("org_a")
KEY = AuthContext(ORGANIZATION, None, frozenset(), b"{}")
OTHER_KEY = AuthContext(OrganizationId("org_b"), None, frozenset(), b"{}")


def anonymous(session: str, organization: str = ORGANIZATION) -> AuthContext:
    return AuthContext(
        OrganizationId(organization), None, frozenset(), b"{}", anonymous_session=session
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def admitted(limits: RateLimits, caller: AuthContext, tries: int = 1_000) -> int:
    """How many requests in a row pass."""
    for count in range(tries):
        try:
            limits.admit(caller)
        except TooManyRequests:
            return count
    return tries


def test_a_burst_passes_and_then_the_rate_counts(clock: FakeClock) -> None:
    """What was refused costs nothing: whoever waits as long as they were told gets in."""
    limits = RateLimits(lambda: clock.now_s, organization=Rate(3, 7))
    assert admitted(limits, KEY) == 7
    clock.advance(seconds=1)
    assert admitted(limits, KEY) == 3
    clock.advance(seconds=3600)
    assert admitted(limits, KEY) == 7


def test_a_steady_caller_below_the_rate_is_never_refused(clock: FakeClock) -> None:
    """However long it goes on, and with a burst of one."""
    limits = RateLimits(lambda: clock.now_s, organization=Rate(3, 1))
    for _ in range(10_000):
        limits.admit(KEY)
        clock.advance(seconds=1 / 3)


def test_the_refusal_says_when_to_come_back(clock: FakeClock) -> None:
    """In whole seconds, and then there is room."""
    limits = RateLimits(lambda: clock.now_s, organization=Rate(0.1, 1))
    limits.admit(KEY)
    with pytest.raises(TooManyRequests) as refused:
        limits.admit(KEY)
    assert 1 <= refused.value.retry_after_seconds <= 10
    clock.advance(seconds=refused.value.retry_after_seconds)
    limits.admit(KEY)


def test_organizations_do_not_feel_each_other(clock: FakeClock) -> None:
    """Each has a bucket of its own, for keys, members and anonymous callers together."""
    limits = RateLimits(lambda: clock.now_s, organization=Rate(1, 3))
    limits.admit(anonymous("a"))
    assert admitted(limits, KEY) == 2
    assert admitted(limits, OTHER_KEY) == 3


def test_anonymous_sessions_do_not_feel_each_other(clock: FakeClock) -> None:
    """And a caller with a key feels none of them."""
    limits = RateLimits(lambda: clock.now_s, anonymous_session=Rate(1, 3))
    assert admitted(limits, anonymous("a")) == 3
    assert admitted(limits, anonymous("b")) == 3
    assert admitted(limits, anonymous("a", "org_b")) == 3
    assert admitted(limits, KEY) == 1_000


def test_made_up_sessions_share_one_rate(clock: FakeClock) -> None:
    """A new name for each request gains nothing."""
    limits = RateLimits(lambda: clock.now_s, anonymous_session=Rate(1, 3), anonymous=Rate(1, 20))
    assert sum(admitted(limits, anonymous(str(number))) for number in range(100)) == 20
    assert admitted(limits, anonymous("a", "org_b")) == 3
    assert admitted(limits, KEY) == 1_000


def test_a_session_over_its_rate_takes_nothing_from_the_others(clock: FakeClock) -> None:
    """Refused requests are not counted for all."""
    limits = RateLimits(lambda: clock.now_s, anonymous_session=Rate(1, 3), anonymous=Rate(1, 5))
    for _ in range(100):
        admitted(limits, anonymous("a"))
    assert admitted(limits, anonymous("b")) == 2


def test_what_is_given_back_can_be_used(clock: FakeClock) -> None:
    """Of each bucket that it was taken from."""
    one = Rate(1, 1)
    limits = RateLimits(lambda: clock.now_s, organization=one, anonymous_session=one, anonymous=one)
    for _ in range(3):
        limits.admit(anonymous("a"))
        limits.give_back(anonymous("a"))
    assert admitted(limits, anonymous("a")) == 1


def test_exchanges_are_counted_apart(clock: FakeClock) -> None:
    """By organization."""
    limits = RateLimits(lambda: clock.now_s, token_exchange=Rate(1, 2))
    limits.admit_exchange(ORGANIZATION)
    limits.admit_exchange(ORGANIZATION)
    with pytest.raises(TooManyRequests):
        limits.admit_exchange(ORGANIZATION)
    limits.admit_exchange(OrganizationId("org_b"))
    assert admitted(limits, KEY) == 1_000


def test_without_rates_everything_passes() -> None:
    """For everybody."""
    limits = unlimited()
    limits.admit_exchange(ORGANIZATION)
    for caller in (KEY, anonymous("a"), AuthContext(None, None, frozenset(), b"{}")):
        assert admitted(limits, caller) == 1_000
        limits.give_back(caller)


def test_a_member_without_an_organization_is_not_counted(clock: FakeClock) -> None:
    """There is nothing to count it for."""
    limits = RateLimits(lambda: clock.now_s, organization=Rate(1, 1))
    assert admitted(limits, AuthContext(None, None, frozenset(), b"{}")) == 1_000


def test_memory_is_bounded_and_who_keeps_asking_is_kept_in_mind() -> None:
    """Any number of other callers does not get an abuser a fresh bucket."""
    buckets = Buckets(Rate(1, 2), "somebody", size=100)
    buckets.take(0, now=0)
    buckets.take(0, now=0)
    for other in range(1, 10_000):
        buckets.take(other, now=0)
        with pytest.raises(TooManyRequests):
            buckets.take(0, now=0)
    assert len(buckets) <= 100


def test_a_forgotten_caller_is_the_one_that_was_away_longest() -> None:
    """It takes as many others as are kept in mind."""
    buckets = Buckets(Rate(1, 1), "somebody", size=100)
    buckets.take(0, now=0)
    for other in range(1, 50):
        buckets.take(other, now=0)
    with pytest.raises(TooManyRequests):
        buckets.take(0, now=0)
    for other in range(100, 300):
        buckets.take(other, now=0)
    buckets.take(0, now=0)

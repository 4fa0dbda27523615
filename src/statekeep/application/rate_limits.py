"""How often callers may ask: token buckets, checked before anything is done (docs/security.md, "Abuse").

A bucket is one number: when it will be full again. So a full bucket and one that was never used are the same, and a bucket that is
forgotten once it is full loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from statekeep.domain.access import AuthContext
from statekeep.domain.errors import TooManyRequests
from statekeep.domain.limits import RATE_BUCKETS_MAX
from statekeep.domain.names import OrganizationId
from statekeep.domain.rates import Rate
from statekeep.ports.metrics import Metrics

_ALL_ANONYMOUS: Final = "anonymous callers of this organization"


class RateLimits:
    """The rates of a server. None stands for no limit, and then nothing is counted.

    `now` is in seconds and never goes back. `organization` counts every request in an organization, `anonymous_session` those of one anonymous
    session, `anonymous` those of all anonymous callers of an organization, `token_exchange` the exchanges for one,
    `http_api` the requests to the HTTP endpoints of one.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        organization: Rate | None = None,
        anonymous_session: Rate | None = None,
        anonymous: Rate | None = None,
        token_exchange: Rate | None = None,
        http_api: Rate | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._now = now
        self._metrics = metrics or Metrics()
        self._organization = _buckets(organization, "callers of this organization")
        self._anonymous_session = _buckets(anonymous_session, "this anonymous session")
        self._anonymous = _buckets(anonymous, _ALL_ANONYMOUS)
        self._token_exchange = _buckets(token_exchange, "token exchanges for this organization")
        self._http_api = _buckets(http_api, "callers of this organization's endpoints")

    def admit(self, caller: AuthContext) -> None:
        """Count one request of `caller`: what `caller_of` of the HTTP API does for each request, and a WebSocket for each subscription.

        Raises TooManyRequests where it is one too many. A member who acts in no organization is not counted.
        """
        if caller.anonymous_session is not None:
            # The narrow bucket first: a session that is over its own rate takes nothing from the others.
            self._take(self._anonymous_session, caller, caller.anonymous_session)
            self._take(self._anonymous, caller)
        if self._organization is not None:
            self._take(self._organization, caller)

    def give_back(self, caller: AuthContext) -> None:
        """Undo `admit` for a request that will be counted again."""
        if caller.anonymous_session is not None:
            _return(self._anonymous_session, caller, caller.anonymous_session)
            _return(self._anonymous, caller)
        _return(self._organization, caller)

    def admit_exchange(self, organization_id: OrganizationId) -> None:
        """Count one exchange of a token. Raises TooManyRequests."""
        if self._token_exchange is not None:
            self._take_from(self._token_exchange, hash(organization_id))

    def admit_http(self, organization_id: OrganizationId) -> None:
        """Count one request to an organization's HTTP endpoints, which is one of the organization's too. Raises TooManyRequests."""
        for buckets in (self._http_api, self._organization):
            if buckets is not None:
                buckets.take(hash((organization_id, "")), self._now())

    def _take(self, buckets: Buckets | None, caller: AuthContext, session: str = "") -> None:
        if buckets is not None and caller.organization_id is not None:
            self._take_from(buckets, hash((caller.organization_id, session)))

    def _take_from(self, buckets: Buckets, name: int) -> None:
        try:
            buckets.take(name, self._now())
        except TooManyRequests:
            self._metrics.requests_limited += 1
            raise


class Buckets:
    """Buckets of one rate for whoever `whose` says, by the hash of a name: names are as long as callers like, and hashes are not.

    Of at most `size`, the ones used lately. Two generations: when the younger is full the older is dropped, and whoever is used moves to the
    younger. So a caller that keeps asking is never forgotten, and one that is has let as many others go before.
    """

    def __init__(self, rate: Rate, whose: str, *, size: int = RATE_BUCKETS_MAX) -> None:
        self._rate = rate
        self._whose = whose
        self._interval = 1 / rate.per_second
        # Half an interval more than the burst but one, so that rounding costs nobody a request.
        self._depth = (rate.burst - 0.5) * self._interval
        self._generation_size = max(1, size // 2)
        self._young: dict[int, float] = {}
        self._old: dict[int, float] = {}

    def take(self, name: int, now: float) -> None:
        """Take one out. Raises TooManyRequests where the bucket is empty; then nothing is taken."""
        full_at = self._young.get(name)
        if full_at is None:
            full_at = self._recall(name)
        if full_at < now:
            full_at = now
        elif full_at - now > self._depth:
            raise self._too_many(full_at - now - self._depth)
        self._young[name] = full_at + self._interval

    def give_back(self, name: int) -> None:
        """Put one back in."""
        if name in self._young:
            self._young[name] -= self._interval

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _recall(self, name: int) -> float:
        if len(self._young) >= self._generation_size:
            self._old, self._young = self._young, {}
        full_at = self._young[name] = self._old.pop(name, -math.inf)
        return full_at

    def _too_many(self, wait_seconds: float) -> TooManyRequests:
        # A bucket is never empty for longer than an interval, so this is seldom more than a second.
        retry_after = max(1, math.ceil(wait_seconds))
        return TooManyRequests(
            f"too many requests: {self._whose} may send {self._rate.per_second:g} a second and {self._rate.burst}"
            f" at once; come back in {retry_after} s",
            retry_after_seconds=retry_after,
        )


def unlimited() -> RateLimits:
    """No limits."""
    return RateLimits(lambda: 0.0)


def _buckets(rate: Rate | None, whose: str) -> Buckets | None:
    return None if rate is None else Buckets(rate, whose)


def _return(buckets: Buckets | None, caller: AuthContext, session: str = "") -> None:
    if buckets is not None:
        buckets.give_back(hash((caller.organization_id, session)))

"""Published key sets of identity providers (RFC 7517, 5), fetched when they are needed and kept for a while.

What must stay true: a set is fetched by one task at a time, and not more often than the limits say, whatever tokens come in; nothing is
believed that was fetched too long ago; what is kept is bounded.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol
from urllib.parse import urlsplit

import structlog

from statekeep.domain import limits
from statekeep.domain.errors import IssuerUnavailable
from statekeep.ports.clock import Clock
from statekeep.tokens.fetching import FetchFailed
from statekeep.tokens.verification_keys import VerificationKey, published_keys

_log = structlog.get_logger(__name__)


def _ms(duration: timedelta) -> float:
    return duration.total_seconds() * 1000


_FRESH_MS: Final = _ms(limits.JWKS_FRESH_FOR)
_KEPT_MS: Final = _ms(limits.JWKS_KEPT_FOR)
_REFRESHED_MS: Final = _ms(limits.JWKS_REFRESHED_AFTER)
_TIMEOUT_S: Final = limits.JWKS_TIMEOUT.total_seconds()
_RETRIED_MS: Final = _ms(limits.JWKS_RETRIED_AFTER)

Keys = Sequence[VerificationKey]


class Fetcher(Protocol):
    """What fetches."""

    async def get(self, url: str, *, bytes_max: int, timeout_seconds: float) -> bytes:
        """The body of the answer. Raises FetchFailed."""
        ...


@dataclass(slots=True)
class _Published:
    """What is known of one URL. Times are ms since the epoch."""

    keys: Keys = ()
    fetched_at: float = -_KEPT_MS
    asked_at: float = -_KEPT_MS
    pause_ms: float = 0.0
    fetching: asyncio.Task[None] | None = None


class KeySets:
    """Keys by the URL of their set."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._published: OrderedDict[str, _Published] = OrderedDict()
        self._places = asyncio.Semaphore(limits.JWKS_FETCHES_MAX)
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, url: str, choose: Callable[[Keys], Keys]) -> Keys:
        """What `choose` takes of the set at `url`. Where it takes nothing, the set may have changed and is fetched again, if not just done.

        Raises IssuerUnavailable where there is no set that may still be believed, or where the set that lacks the key is the best to be had.
        """
        published = self._of(url)
        if not self._is_younger(published, _FRESH_MS):
            await self._refresh(url, published)
        if not self._is_younger(published, _KEPT_MS):
            raise _unavailable()
        chosen = choose(published.keys)
        if not chosen and await self._refresh(url, published):
            chosen = choose(published.keys)
        if not chosen and not self._is_younger(published, _FRESH_MS):
            raise _unavailable()
        return chosen

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _of(self, url: str) -> _Published:
        published = self._published.setdefault(url, _Published())
        self._published.move_to_end(url)
        if len(self._published) > limits.JWKS_CACHED_MAX:
            self._forget_oldest(but=url)
        return published

    def _forget_oldest(self, *, but: str) -> None:
        # What is being fetched stays, or else somebody would fetch it again. That takes ten seconds, and then there is room.
        idle = (u for u, known in self._published.items() if known.fetching is None and u != but)
        oldest = next(idle, None)
        if oldest is not None:
            del self._published[oldest]

    async def _refresh(self, url: str, published: _Published) -> bool:
        """Whether a fetch ended just now, well or not; false where it is too soon for one."""
        if published.fetching is None:
            # A clock that was set back makes the past lie in the future.
            if 0 <= self._clock.now_ms() - published.asked_at < published.pause_ms:
                return False
            published.asked_at = self._clock.now_ms()
            published.fetching = asyncio.create_task(self._fetch(url, published))
            self._tasks.add(published.fetching)
            published.fetching.add_done_callback(self._tasks.discard)
        # Whoever waits may hang up; the others still wait for the same fetch.
        await asyncio.shield(published.fetching)
        return True

    async def _fetch(self, url: str, published: _Published) -> None:
        try:
            published.keys = published_keys(await self._body(url))
            published.fetched_at = self._clock.now_ms()
            published.pause_ms = _REFRESHED_MS
        except (FetchFailed, ValueError) as error:
            published.pause_ms = _RETRIED_MS
            _log.warning("key_set_not_fetched", host=urlsplit(url).hostname, reason=str(error))
        finally:
            published.fetching = None

    async def _body(self, url: str) -> bytes:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._places.acquire()
        except TimeoutError as error:
            raise FetchFailed("too many other sets are being fetched") from error
        try:
            return await self._fetcher.get(
                url, bytes_max=limits.JWKS_BYTES_MAX, timeout_seconds=_TIMEOUT_S
            )
        finally:
            self._places.release()

    def _is_younger(self, published: _Published, age_ms: float) -> bool:
        return 0 <= self._clock.now_ms() - published.fetched_at < age_ms


def _unavailable() -> IssuerUnavailable:
    return IssuerUnavailable(
        "the keys of the identity provider cannot be fetched at the moment",
        retry_after_seconds=int(limits.JWKS_RETRIED_AFTER.total_seconds()),
    )

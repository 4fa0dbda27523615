"""Where a client has its token from, and when it needs another one.

A token is kept until shortly before it ends, and given up when the server refuses it. There is one renewal at a time, whoever asks.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

from statekeep.client.clock import now_seconds
from statekeep.client.errors import ApiError, ConnectionFailedError, ServerError
from statekeep.client.models import ExchangedToken
from statekeep.client.signing import expiry_of, sign
from statekeep.client.steps import Call, Request, Steps, ask

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
AUDIENCE_BASE: Final = "https://tokens.statebacked.dev"
"""Every server takes it for its own, whatever its URL."""
RENEWED_BEFORE_SECONDS: Final = 60
"""How long before its end a token is renewed; where it is good for less than five times that, at a fifth of its life before the end."""
ANONYMOUS_SERVICE: Final = "anonymous-statebacked-dev"
ANONYMOUS_SECONDS: Final = 24 * 3600
"""How long the token is good for that an anonymous caller signs for itself and exchanges at once."""

TokenFunction: TypeAlias = Callable[[], str] | Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class TokenExchange:
    """Exchange the token of an identity provider for one of the server (RFC 8693), whenever one is needed.

    A function is asked for the identity provider's token each time; one that returns an awaitable needs an AsyncClient.
    """

    org_id: str
    token_provider_service: str
    identity_provider_token: str | TokenFunction = field(repr=False)


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Be nobody in particular: machines see `{sid, did, auth: "anonymous"}`. The organization has to allow it.

    Whoever knows a session's id can say it is theirs, so it had better be long and random, as the default is. The device is the
    session unless it is named.
    """

    org_id: str
    session_id: str = field(default_factory=partial(secrets.token_urlsafe, 16))
    device_id: str | None = None


TokenConfig: TypeAlias = str | TokenFunction | TokenExchange | Anonymous


@dataclass(frozen=True, slots=True)
class _Held:
    text: str
    renewed_at: float
    ends_at: float


class TokenSource:
    """The token of a client, as its configuration says. None is nobody. `now` tells seconds since the epoch."""

    def __init__(
        self, config: TokenConfig | None, *, now: Callable[[], float] = now_seconds
    ) -> None:
        self._config = config
        self._now = now
        self._held: _Held | None = None

    def current(self) -> Steps[str | None]:
        """A token that is good for a while. To be taken exclusively."""
        if self._config is None or isinstance(self._config, str):
            return self._config
        held, now = self._held, self._now()
        if held is not None and now < held.renewed_at:
            return held.text
        try:
            self._held = yield from self._obtain(now)
        except (ConnectionFailedError, ServerError):
            # What is still good is better than nothing: the renewal is tried again with the next request.
            if held is None or now >= held.ends_at:
                raise
            return held.text
        return self._held.text

    def give_up(self, token: str | None) -> bool:
        """The server refused `token`. Whether there may be another one."""
        if self._config is None or isinstance(self._config, str):
            return False
        # Somebody else may have renewed it meanwhile.
        if self._held is not None and self._held.text == token:
            self._held = None
        return True

    def _obtain(self, now: float) -> Steps[_Held]:
        assert self._config is not None
        assert not isinstance(self._config, str)
        if isinstance(self._config, TokenExchange):
            subject_token = yield from _text(self._config.identity_provider_token)
            service = self._config.token_provider_service
            return (yield from _exchanged(self._config.org_id, service, subject_token, now))
        if isinstance(self._config, Anonymous):
            subject_token = _anonymous_token(self._config, now)
            return (
                yield from _exchanged(self._config.org_id, ANONYMOUS_SERVICE, subject_token, now)
            )
        text = yield from _text(self._config)
        return _held(text, now, expiry_of(text))


def exchange(org_id: str, service: str, token: str) -> Steps[ExchangedToken]:
    """Exchange a token of an identity provider. Raises TokenExchangeError where it is not taken."""
    form = {
        "grant_type": GRANT_TYPE,
        "audience": f"{AUDIENCE_BASE}/{org_id}/{service}",
        "subject_token": token,
    }
    # To make another token does no harm.
    request = Request("POST", "/tokens", form=form, is_authorized=False, is_repeatable=True)
    return (yield from ask(request, ExchangedToken))


def _exchanged(org_id: str, service: str, subject_token: str, now: float) -> Steps[_Held]:
    exchanged = yield from exchange(org_id, service, subject_token)
    return _held(exchanged.access_token, now, now + exchanged.expires_in)


def _held(text: str, now: float, ends_at: float | None) -> _Held:
    if ends_at is None:
        return _Held(text, float("inf"), float("inf"))
    return _Held(text, ends_at - min(RENEWED_BEFORE_SECONDS, (ends_at - now) / 5), ends_at)


def _text(token: str | TokenFunction) -> Steps[str]:
    if isinstance(token, str):
        return token
    try:
        text: Any = yield Call(token)
    except ApiError as error:
        # It has no frames of the function any more (Course.told_of_errors).
        error.add_note("The function that was asked for a token raised it.")
        raise
    if not isinstance(text, str):
        raise TypeError(
            f"the token function returned {type(text).__name__}, no str: one that has to be awaited needs an AsyncClient"
        )
    return text


def _anonymous_token(anonymous: Anonymous, now: float) -> str:
    scope = f"https://{anonymous.org_id}.anonymous.auth.statebacked.dev"
    claims = {
        "aud": scope,
        "iss": scope,
        "iat": int(now),
        "exp": int(now) + ANONYMOUS_SECONDS,
        "sid": anonymous.session_id,
        "did": anonymous.device_id or anonymous.session_id,
    }
    return sign(claims, anonymous.org_id)

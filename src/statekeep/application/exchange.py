"""Token exchange: a token of an identity provider for one of ours (SPEC 3, RFC 8693).

What must stay true: strangers get the same answer whether an organization, a provider or a service exists or not. Only whoever brings a
token that is rightly signed for the organization learns what else is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

import structlog

from statekeep.application.anonymous import anonymous_claims, is_anonymous
from statekeep.application.claims_mapping import apply_mapping, require_claims
from statekeep.application.identity_providers import trust_of
from statekeep.domain import limits
from statekeep.domain.errors import InvalidExchange, InvalidTarget, StatekeepError
from statekeep.domain.machine import Key
from statekeep.domain.names import OrganizationId, ServiceName
from statekeep.domain.token_exchange import (
    ANONYMOUS_SERVICE,
    ExchangePath,
    IdentityProvider,
    TokenProvider,
    most_specific,
)
from statekeep.ports.clock import Clock
from statekeep.ports.metrics import Metrics
from statekeep.ports.store import Catalog
from statekeep.ports.subject_tokens import SubjectTokens, Untrusted
from statekeep.ports.tokens import Tokens

_log = structlog.get_logger(__name__)

_ORGANIZATION_ID: Final = re.compile(r"org_[\w-]{1,40}", re.ASCII)
_UNTRUSTED: Final = (
    "no identity provider of the organization accepts this subject_token: its aud and iss, its algorithm, its key and its"
    " signature have to be as configured there"
)


class ExchangedToken(NamedTuple):
    """One of our tokens, and for how long it is good from now on."""

    token: str
    expires_in_seconds: int


class TokenExchange:
    """Gives tokens to end users whom somebody else vouches for."""

    def __init__(
        self,
        catalog: Catalog,
        tokens: Tokens,
        subjects: SubjectTokens,
        clock: Clock,
        *,
        valid_for: timedelta,
        metrics: Metrics | None = None,
    ) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._subjects = subjects
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._valid_for_s = max(1, int(valid_for.total_seconds()))

    async def exchange(
        self, organization_id: OrganizationId, service: ServiceName, subject_token: str
    ) -> ExchangedToken:
        """A token of the organization's `service` for whom `subject_token` is about.

        Raises InvalidExchange where the token is not believed or its claims are too large, InvalidTarget where there is no such service
        for it, and IssuerUnavailable where the keys to check it with cannot be had.
        """
        try:
            exchanged = await self._exchange(organization_id, service, subject_token)
        except StatekeepError:
            self._metrics.exchanges_refused += 1
            raise
        self._metrics.tokens_exchanged += 1
        return exchanged

    async def _exchange(
        self, organization_id: OrganizationId, service: ServiceName, subject_token: str
    ) -> ExchangedToken:
        issuer, claims = await self._verified(organization_id, subject_token)
        if is_anonymous(issuer):
            claims = anonymous_claims(claims)
            # Other services may add claims of their own, which nobody without a name shall have.
            if service != ANONYMOUS_SERVICE:
                raise _no_service()
        provider, key, secret = await self._service(organization_id, service)
        act = apply_mapping(provider.mapping, apply_mapping(issuer.mapping, claims))
        return self._issue(key, secret, act, ExchangePath(issuer.id, provider.id))

    async def _verified(
        self, organization_id: OrganizationId, token: str
    ) -> tuple[IdentityProvider, dict[str, Any]]:
        unverified = self._subjects.peek(token)
        candidates = await self._catalog.identity_providers_for(
            organization_id, unverified.audiences, unverified.issuer
        )
        provider = most_specific(candidates, unverified.audiences)
        if provider is None:
            raise _untrusted(organization_id, "no provider has its aud and iss")
        try:
            claims = await self._subjects.verify(
                token, trust_of(provider, self._tokens), now=self._now_s()
            )
        except Untrusted as error:
            raise _untrusted(organization_id, str(error)) from error
        require_claims(claims, size_max=limits.SUBJECT_TOKEN_BYTES_MAX)
        return provider, claims

    async def _service(
        self, organization_id: OrganizationId, service: ServiceName
    ) -> tuple[TokenProvider, Key, str]:
        provider = await self._catalog.token_provider(organization_id, service)
        found = None if provider is None else await self._catalog.key(provider.key_id)
        if provider is None or found is None:
            raise _no_service()
        key, sealed_secret = found
        return provider, key, self._tokens.unseal(sealed_secret)

    def _issue(
        self, key: Key, secret: str, act: Mapping[str, Any], path: ExchangePath
    ) -> ExchangedToken:
        token = self._tokens.issue_exchanged(
            key.id, secret, act, path, now=self._now_s(), valid_for_seconds=self._valid_for_s
        )
        if len(token) > limits.TOKEN_BYTES_MAX:
            raise InvalidExchange("the claims are too large for a token")
        return ExchangedToken(token, self._valid_for_s)

    def _now_s(self) -> float:
        return self._clock.now_ms() / 1000


def _untrusted(organization_id: OrganizationId, why: str) -> InvalidExchange:
    # Strangers may put anything there: pages of text, or a token.
    is_id = _ORGANIZATION_ID.fullmatch(organization_id) is not None
    _log.info(
        "token_exchange_refused",
        organization=organization_id if is_id else "not the id of one",
        reason=why,
    )
    return InvalidExchange(_UNTRUSTED)


def _no_service() -> InvalidTarget:
    return InvalidTarget(
        "audience names no service of the organization that gives tokens for this subject_token"
    )

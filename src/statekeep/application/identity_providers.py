"""Identity providers of an organization: configured, listed, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from statekeep.application.anonymous import anonymous_key
from statekeep.application.authenticate import Authenticator
from statekeep.application.claims_mapping import require_mapping
from statekeep.application.ids import new_id
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import InvalidParameter, NotFound
from statekeep.domain.limits import PROVIDER_TEXT_LENGTH_MAX
from statekeep.domain.names import IdentityProviderId, OrganizationId
from statekeep.domain.token_exchange import (
    SHARED_SECRET_ALGORITHMS,
    SIGNING_ALGORITHMS,
    IdentityProvider,
    anonymous_issuer,
)
from statekeep.ports.entropy import Entropy
from statekeep.ports.pages import Page
from statekeep.ports.store import Catalog
from statekeep.ports.subject_tokens import SubjectTokens, Trust
from statekeep.ports.tokens import SealBroken, Tokens

TOKENS_SCOPE: Final = "tokens.admin"
"""To say whose tokens are taken: whoever may do this can get tokens with the scopes of every key that a token provider uses."""


class ProviderSettings(NamedTuple):
    """An identity provider as somebody configures it. Audience and issuer are those of its tokens; an empty text is none."""

    audience: str | None
    issuer: str | None
    key: str | None
    jwks_url: str | None
    algorithms: Sequence[str]
    mapping: Mapping[str, Any]


class IdentityProviders:
    """What callers may do with the identity providers of their organization."""

    def __init__(
        self,
        catalog: Catalog,
        tokens: Tokens,
        subjects: SubjectTokens,
        authenticator: Authenticator,
        entropy: Entropy,
    ) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._subjects = subjects
        self._authenticator = authenticator
        self._entropy = entropy
        # What is decided from the provider that is there, its id above all, has to be written before it changes.
        self._writing = asyncio.Lock()

    async def put(self, caller: AuthContext, settings: ProviderSettings) -> None:
        """From now on tokens are believed that are as `settings` say; what was configured for the same audience and issuer is replaced.

        Where other signatures are right than before, tokens that were exchanged through it stop working at once, since they may have been
        got with what is not trusted any more. Where only the mapping changes, they go on as they are. Raises InvalidParameter, and InvalidState where the organization has as many
        providers as it may.
        """
        organization_id = require_scope(caller, TOKENS_SCOPE)
        audience, issuer = _parse_pair(settings.audience, settings.issuer)
        trust = self._parse_trust(settings)
        _require_secret(organization_id, issuer, trust)
        require_mapping(settings.mapping)
        async with self._writing:
            present = await self._catalog.identity_provider(organization_id, audience, issuer)
            provider = IdentityProvider(
                self._id_for(present, trust),
                organization_id,
                audience,
                issuer,
                trust.algorithms,
                trust.jwks_url,
                None if trust.key is None else self._tokens.seal(trust.key),
                dict(settings.mapping),
            )
            replaced = await self._catalog.put_identity_provider(provider)
        if replaced is not None and replaced != provider.id:
            self._authenticator.forget_provider(replaced)

    async def list(self, caller: AuthContext, cursor: str | None) -> Page[IdentityProvider]:
        """Newest first."""
        organization_id = require_scope(caller, TOKENS_SCOPE)
        return await self._catalog.list_identity_providers(organization_id, cursor=cursor)

    async def delete(self, caller: AuthContext, audience: str | None, issuer: str | None) -> None:
        """No token is exchanged through it any more, and none that was works any more. Raises NotFound."""
        organization_id = require_scope(caller, TOKENS_SCOPE)
        pair = _parse_pair(audience, issuer)
        async with self._writing:
            deleted = await self._catalog.delete_identity_provider(organization_id, *pair)
        if deleted is None:
            raise NotFound("there is no identity provider with this aud and iss")
        self._authenticator.forget_provider(deleted)

    def _parse_trust(self, settings: ProviderSettings) -> Trust:
        algorithms = _parse_algorithms(settings.algorithms)
        if bool(settings.key) == bool(settings.jwks_url):
            raise InvalidParameter(
                "an identity provider has either a key or a jwksUrl", parameter="key"
            )
        if settings.key:
            return Trust(algorithms, self._subjects.read_key(settings.key, algorithms), None)
        if SHARED_SECRET_ALGORITHMS.intersection(algorithms):
            raise InvalidParameter(
                "the secret of HS256, HS384 and HS512 is not published: give it as key",
                parameter="jwksUrl",
            )
        url = _parse_text(settings.jwks_url, "jwksUrl")
        assert url is not None
        return Trust(algorithms, None, self._subjects.read_jwks_url(url))

    def _id_for(self, present: IdentityProvider | None, trust: Trust) -> IdentityProviderId:
        if present is not None and self._trust_of(present) == trust:
            return present.id
        return IdentityProviderId(new_id("idp", self._entropy))

    def _trust_of(self, provider: IdentityProvider) -> Trust | None:
        try:
            return trust_of(provider, self._tokens)
        except SealBroken:
            # Its key is lost, and with it what it was trusted for.
            return None


def trust_of(provider: IdentityProvider, tokens: Tokens) -> Trust:
    """Which signatures a provider's tokens have. Raises SealBroken."""
    sealed = provider.sealed_key
    key = None if sealed is None else tokens.unseal(sealed)
    return Trust(provider.algorithms, key, provider.jwks_url)


def _parse_pair(audience: str | None, issuer: str | None) -> tuple[str | None, str | None]:
    pair = _parse_text(audience, "aud"), _parse_text(issuer, "iss")
    if pair == (None, None):
        raise InvalidParameter("an identity provider has an aud or an iss", parameter="aud")
    return pair


def _require_secret(organization_id: OrganizationId, issuer: str | None, trust: Trust) -> None:
    if trust.key == anonymous_key(organization_id) and issuer != anonymous_issuer(organization_id):
        raise InvalidParameter(
            "the key is the organization's id, which everybody may know: with it only anonymous tokens are signed,"
            f" whose iss is {anonymous_issuer(organization_id)}",
            parameter="key",
        )


def _parse_text(text: str | None, parameter: str) -> str | None:
    if text and (len(text) > PROVIDER_TEXT_LENGTH_MAX or not text.isprintable()):
        raise InvalidParameter(
            f"{parameter} has at most {PROVIDER_TEXT_LENGTH_MAX} printable characters",
            parameter=parameter,
        )
    return text or None


def _parse_algorithms(names: Sequence[str]) -> tuple[str, ...]:
    algorithms = tuple(sorted(set(names)))
    unknown = sorted(set(names) - SIGNING_ALGORITHMS)
    if not algorithms or unknown:
        known = ", ".join(sorted(SIGNING_ALGORITHMS))
        raise InvalidParameter(f"algs names one or more of {known}", parameter="algs")
    shared = SHARED_SECRET_ALGORITHMS.intersection(algorithms)
    if shared and len(shared) < len(algorithms):
        # A public key would pass for the secret of the other kind.
        raise InvalidParameter(
            "algs mixes algorithms of shared secrets (HS*) with those of public keys",
            parameter="algs",
        )
    return algorithms

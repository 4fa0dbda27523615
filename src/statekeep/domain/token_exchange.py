"""Whose tokens an organization takes in exchange for its own, and what comes of them (SPEC 3).

An identity provider says which foreign tokens are believed, a token provider which of our tokens they are exchanged for. Each has an id that
is written into every token made through it: when the id is gone, so is the belief in these tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from statekeep.domain import limits
from statekeep.domain.errors import InvalidState
from statekeep.domain.machine import Key
from statekeep.domain.names import (
    IdentityProviderId,
    KeyId,
    OrganizationId,
    ServiceName,
    TokenProviderId,
)

SHARED_SECRET_ALGORITHMS: Final = frozenset({"HS256", "HS384", "HS512"})
"""Algorithms (RFC 7518, 3.1) whose verifier could sign as well: its key is a secret."""

SIGNING_ALGORITHMS: Final = SHARED_SECRET_ALGORITHMS | {
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    "EdDSA",
}
"""All that the published types know. `none` is not among them."""

ANONYMOUS_SERVICE: Final = ServiceName("anonymous-statebacked-dev")
"""The token provider of callers who have proved nothing, by the name that the official client asks for."""


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """An issuer of tokens that an organization believes.

    Found by the `aud` and `iss` of a token; None matches any. At most one per organization has the same pair. `sealed_key` holds what
    signatures are checked with, unless that is published at `jwks_url`. The id changes with whatever decides which signatures are
    right, and stays when only the mapping changes.
    """

    id: IdentityProviderId
    organization_id: OrganizationId
    audience: str | None
    issuer: str | None
    algorithms: tuple[str, ...]
    jwks_url: str | None
    sealed_key: bytes | None = field(repr=False)
    mapping: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TokenProvider:
    """A kind of token to exchange others for: signed with the key, its `act` made by the mapping. One per service."""

    id: TokenProviderId
    organization_id: OrganizationId
    service: ServiceName
    key_id: KeyId
    mapping: dict[str, Any]


class ExchangePath(NamedTuple):
    """The providers through which a token was exchanged."""

    identity_provider_id: IdentityProviderId
    token_provider_id: TokenProviderId


class AnonymousAccess(NamedTuple):
    """All that lets callers in who have no key and no identity provider, made together with an organization."""

    key: Key
    sealed_secret: bytes
    identity_provider: IdentityProvider
    token_provider: TokenProvider


def anonymous_issuer(organization_id: OrganizationId) -> str:
    """Audience and issuer of the tokens that anonymous callers of the organization make for themselves (SPEC 3)."""
    return f"https://{organization_id}.anonymous.auth.statebacked.dev"


def require_room_for_identity_provider(count: int) -> None:
    """Raises InvalidState where an organization that has `count` cannot have one more."""
    _require_room(count, limits.IDENTITY_PROVIDERS_MAX, "identity providers")


def require_room_for_token_provider(count: int) -> None:
    """Raises InvalidState where an organization that has `count` cannot have one more."""
    _require_room(count, limits.TOKEN_PROVIDERS_MAX, "token providers")


def _require_room(count: int, count_max: int, what: str) -> None:
    if count >= count_max:
        raise InvalidState(
            f"an organization has at most {count_max} {what}: delete one that is not needed any more"
        )


def most_specific(
    candidates: Sequence[IdentityProvider], audiences: Sequence[str]
) -> IdentityProvider | None:
    """Of the providers that match a token the one that says most about it; None where there is none.

    One that names issuer and audience goes before one that names the issuer only, and that before one that names the audience only. Of
    several audiences the one that the token names first decides.
    """

    def rank(provider: IdentityProvider) -> tuple[bool, bool, int]:
        place = audiences.index(provider.audience) if provider.audience in audiences else 0
        return (provider.issuer is None, provider.audience is None, place)

    return min(candidates, key=rank, default=None)

"""Anonymous access: what lets callers in who have neither a key nor an identity provider (SPEC 3).

Everybody can sign these tokens, as the key is the organization's id. So nothing is believed of them but that their holder wants to be
known by a session and a device, and what they are exchanged for says that it is anonymous.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from statekeep.application.ids import new_id, new_secret
from statekeep.domain.access import SCOPES_BY_USE
from statekeep.domain.errors import InvalidExchange
from statekeep.domain.limits import ANONYMOUS_ID_LENGTH_MAX
from statekeep.domain.machine import Key
from statekeep.domain.names import IdentityProviderId, KeyId, OrganizationId, TokenProviderId
from statekeep.domain.token_exchange import (
    ANONYMOUS_SERVICE,
    AnonymousAccess,
    IdentityProvider,
    TokenProvider,
    anonymous_issuer,
)
from statekeep.ports.entropy import Entropy
from statekeep.ports.tokens import Tokens

_KEY_NAME: Final = "anonymous access"
_MAPPING: Final = {"sid.$": "$.sid", "did.$": "$.did", "auth": "anonymous"}


def new_anonymous_access(
    organization_id: OrganizationId, now: datetime, tokens: Tokens, entropy: Entropy
) -> AnonymousAccess:
    """A production key, the identity provider of anonymous tokens, and the token provider that exchanges them."""
    key_id = KeyId(new_id("sbk", entropy))
    issuer = anonymous_issuer(organization_id)
    return AnonymousAccess(
        Key(key_id, organization_id, _KEY_NAME, SCOPES_BY_USE["production"], now),
        tokens.seal(new_secret(entropy)),
        IdentityProvider(
            IdentityProviderId(new_id("idp", entropy)),
            organization_id,
            audience=issuer,
            issuer=issuer,
            algorithms=("HS256",),
            jwks_url=None,
            sealed_key=tokens.seal(anonymous_key(organization_id)),
            mapping=_MAPPING,
        ),
        TokenProvider(
            TokenProviderId(new_id("tkp", entropy)),
            organization_id,
            ANONYMOUS_SERVICE,
            key_id,
            _MAPPING,
        ),
    )


def anonymous_key(organization_id: OrganizationId) -> str:
    """The shared secret that is none, as `SubjectTokens.read_key` answers it."""
    return urlsafe_b64encode(organization_id.encode()).decode()


def is_anonymous(provider: IdentityProvider) -> bool:
    """Whether everybody can sign what this provider is believed to sign."""
    return provider.issuer == anonymous_issuer(provider.organization_id)


def anonymous_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """All that an anonymous token may say: its session `sid` and, perhaps, its device `did`.

    Whatever the mappings are changed to, they find nothing else. Raises InvalidExchange.
    """
    if "sid" not in claims:
        raise InvalidExchange("an anonymous token has the claim sid")
    said = {name: claims[name] for name in ("sid", "did") if name in claims}
    for name, value in said.items():
        if not isinstance(value, str) or not 1 <= len(value) <= ANONYMOUS_ID_LENGTH_MAX:
            raise InvalidExchange(
                f"the claim {name} of an anonymous token is a text of 1 to {ANONYMOUS_ID_LENGTH_MAX} characters"
            )
    return said

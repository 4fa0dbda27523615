"""Identity providers, token providers, and the exchange of tokens between them (RFC 8693)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from statekeep.client.models import ExchangedToken, IdentityProvider, TokenProvider
from statekeep.client.noun import Noun, Shell, listing, operation
from statekeep.client.pages import Listing
from statekeep.client.steps import Request, Steps, tell
from statekeep.client.tokens import exchange

_IDENTITY_PROVIDERS: Final = "/idps"
_TOKEN_PROVIDERS: Final = "/token-providers"


class IdentityProviders(Noun[Shell]):
    """Whose tokens are believed, and what is taken from them."""

    @listing
    def list(self, *, cursor: str | None = None) -> Listing[IdentityProvider]:
        """Identity providers, newest first."""
        return Listing(Request("GET", _IDENTITY_PROVIDERS), "idps", IdentityProvider, cursor)

    @operation
    def upsert(
        self,
        *,
        algs: Sequence[str],
        mapping: Mapping[str, Any],
        aud: str | None = None,
        iss: str | None = None,
        key: str | bytes | None = None,
        jwks_url: str | None = None,
    ) -> Steps[None]:
        """Trust an identity provider, or change how: the one with this `aud` and `iss`, of which one may be None and then matches anything.

        Its signatures are checked with `key` (for HS* the shared secret, else the public key as PEM, DER or JSON Web Key; bytes, or text
        in base64url already) or with the keys at `jwks_url`, and only with `algs`.
        """
        body = {
            "algs": [*algs],
            "mapping": dict(mapping),
            "aud": aud,
            "iss": iss,
            "key": urlsafe_b64encode(key).decode() if isinstance(key, bytes) else key,
            "jwksUrl": jwks_url,
        }
        return tell(Request("POST", _IDENTITY_PROVIDERS, body=body, is_repeatable=True))

    @operation
    def delete(self, *, aud: str | None = None, iss: str | None = None) -> Steps[None]:
        """Trust it no longer. Tokens that came through it end at once."""
        return tell(Request("DELETE", _IDENTITY_PROVIDERS, body={"aud": aud, "iss": iss}))


class TokenProviders(Noun[Shell]):
    """What tokens are given in exchange."""

    @listing
    def list(self, *, cursor: str | None = None) -> Listing[TokenProvider]:
        """Token providers, newest first."""
        return Listing(Request("GET", _TOKEN_PROVIDERS), "tokenProviders", TokenProvider, cursor)

    @operation
    def upsert(self, *, service: str, key_id: str, mapping: Mapping[str, Any]) -> Steps[None]:
        """Give tokens that the key signs, with claims that `mapping` makes of what the identity provider's mapping took."""
        body = {"service": service, "keyId": key_id, "mapping": dict(mapping)}
        return tell(Request("POST", _TOKEN_PROVIDERS, body=body, is_repeatable=True))

    @operation
    def delete(self, service: str) -> Steps[None]:
        """Give no more. Those that it gave end at once."""
        return tell(Request("DELETE", f"{_TOKEN_PROVIDERS}/{{service}}", {"service": service}))


class Tokens(Noun[Shell]):
    """The exchange itself. A client that is configured with a TokenExchange does it by itself."""

    @operation
    def exchange(self, *, org_id: str, service: str, token: str) -> Steps[ExchangedToken]:
        """A token of the server for one of an identity provider. Raises TokenExchangeError where it is not taken."""
        return exchange(org_id, service, token)

"""Tokens that identity providers signed (ports.subject_tokens.SubjectTokens).

What must stay true: nothing is parsed that is larger than the limit; a token is checked with an algorithm that the configuration allows and
a key that is good for it, whatever the token's header says; times are looked at only in a token whose signature is right.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError

from statekeep.domain import limits
from statekeep.domain.errors import InvalidExchange, InvalidParameter
from statekeep.ports.subject_tokens import Trust, Untrusted, UnverifiedSubject
from statekeep.tokens import verification_keys
from statekeep.tokens.fetching import names_private_address
from statekeep.tokens.key_sets import Keys, KeySets
from statekeep.tokens.verification_keys import VerificationKey

_SKEW_S: Final = int(limits.CLOCK_SKEW.total_seconds())

Shape = TypeVar("Shape")


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None
    # An extension without which the token must not be understood (RFC 7515, 4.1.11): we know none, so any is one too many.
    crit: msgspec.UnsetType = msgspec.UNSET


class _Claims(msgspec.Struct):
    aud: str | list[str] = []
    iss: str | None = None


class _Registry(jws.JWSRegistry):
    """One algorithm. What is asked for is right: the library would warn of the name EdDSA at each token."""

    max_header_length = limits.SUBJECT_TOKEN_BYTES_MAX
    max_signature_length = limits.SUBJECT_TOKEN_BYTES_MAX

    def __init__(self, algorithm: str) -> None:
        # Headers we do not know are no reason to refuse a token (RFC 7515, 4).
        super().__init__(algorithms=[algorithm], strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        assert self.allowed == [name]
        return self.algorithms[name]


class JwtSubjectTokens:
    """Checks tokens with configured and with published keys."""

    def __init__(
        self, key_sets: KeySets, *, allow_http_jwks: bool, allow_private_network: bool
    ) -> None:
        self._key_sets = key_sets
        self._allow_http_jwks = allow_http_jwks
        self._allow_private_network = allow_private_network

    def read_key(self, key: str, algorithms: Sequence[str]) -> str:
        """A configured key as text to keep."""
        return verification_keys.read_key(key, algorithms)

    def read_jwks_url(self, url: str) -> str:
        """A URL from which key sets can be fetched."""
        try:
            parts = urlsplit(url)
            is_complete = bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise _invalid_url("must be a URL") from None
        if parts.scheme != "https" and not (parts.scheme == "http" and self._allow_http_jwks):
            raise _invalid_url("must begin with https://")
        is_plain = url.isascii() and url.isprintable() and " " not in url
        if not is_complete or not is_plain or parts.fragment or "@" in parts.netloc:
            raise _invalid_url("must be a URL without spaces, user and fragment")
        # Names are looked up when the set is fetched.
        if not self._allow_private_network and names_private_address(parts.hostname or ""):
            raise _invalid_url("must not be in a private network, which the operator can allow")
        return url

    def peek(self, token: str) -> UnverifiedSubject:
        """What a token says of itself."""
        _read_header(token)
        claims = _segment(token, 1, _Claims)
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if len(audiences) > limits.SUBJECT_AUDIENCES_MAX:
            raise InvalidExchange(
                f"a subject_token has at most {limits.SUBJECT_AUDIENCES_MAX} audiences"
            )
        return UnverifiedSubject(tuple(audiences), claims.iss)

    async def verify(self, token: str, trust: Trust, *, now: float) -> dict[str, Any]:
        """The claims of a token that was signed as `trust` wants it and is valid now."""
        header = _read_header(token)
        if header.alg not in trust.algorithms:
            raise Untrusted("its algorithm is not allowed")
        for key in (await self._keys(header, trust))[: limits.KEYS_TRIED_MAX]:
            payload = _payload(token, key, header.alg)
            if payload is not None:
                return _valid_claims(payload, now)
        raise Untrusted("no key is right for it")

    async def _keys(self, header: _Header, trust: Trust) -> Keys:
        def choose(keys: Keys) -> Keys:
            fit = [key for key in keys if header.alg in key.algorithms]
            if header.kid is None:
                return fit
            # A set of a single key without a name is used with tokens that name one.
            named = [key for key in fit if key.key_id == header.kid]
            return named or [key for key in fit if key.key_id is None]

        if trust.key is not None:
            return choose([verification_keys.load_key(trust.key, trust.algorithms)])
        assert trust.jwks_url is not None, "a provider has a key or the URL of a set"
        return await self._key_sets.find(trust.jwks_url, choose)


def _read_header(token: str) -> _Header:
    if len(token) > limits.SUBJECT_TOKEN_BYTES_MAX:
        raise InvalidExchange(f"a subject_token has at most {limits.SUBJECT_TOKEN_BYTES_MAX} bytes")
    if token.count(".") != 2:
        raise _no_token()
    return _segment(token, 0, _Header)


def _segment(token: str, number: int, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(urlsafe_b64decode(token.split(".")[number] + "=="), type=shape)
    except (ValueError, RecursionError) as error:
        raise _no_token() from error


def _payload(token: str, key: VerificationKey, algorithm: str) -> bytes | None:
    """The payload, if the signature is right."""
    try:
        return jws.deserialize_compact(token, key.key, registry=_Registry(algorithm)).payload
    except (JoseError, ValueError, RecursionError):
        # The library reads the header again, from further down the stack than we did.
        return None


def _valid_claims(payload: bytes, now: float) -> dict[str, Any]:
    try:
        claims = msgspec.json.decode(payload, type=dict[str, Any])
        jwt.JWTClaimsRegistry(now=int(now), leeway=_SKEW_S).validate(claims)
    except ClaimError as error:
        raise InvalidExchange(f"subject_token: {error.claim}: {error.description}") from error
    except (JoseError, ValueError, RecursionError) as error:
        raise _no_token() from error
    return claims


def _no_token() -> InvalidExchange:
    return InvalidExchange("subject_token is no JSON Web Token that can be exchanged")


def _invalid_url(what: str) -> InvalidParameter:
    return InvalidParameter(f"jwksUrl {what}", parameter="jwksUrl")

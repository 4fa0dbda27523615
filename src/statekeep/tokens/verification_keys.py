"""Keys that check the signatures of identity providers: as they are configured, and as they are published.

What must stay true: a key knows for which algorithms it may be used, by what it is and by what its owner says of it, and is never used for
another. So a public key never serves as a shared secret, and no private key is kept.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_public_key,
)
from cryptography.x509 import load_der_x509_certificate
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey, import_key

from statekeep.domain import limits
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.token_exchange import SHARED_SECRET_ALGORITHMS

Key = OctKey | RSAKey | ECKey | OKPKey

_RSA_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_ALGORITHM_OF_CURVE: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_EXPONENT_MAX: Final = 2**32
_PRIVATE_MEMBERS: Final = ("d", "p", "q", "k")
"""Of a JSON Web Key (RFC 7518, 6)."""
_PUBLIC_MEMBERS: Final = ("kty", "n", "e", "crv", "x", "y")
# Of an RSA modulus in base64url. Numbers of any other length are not even read.
_MODULUS_LENGTHS: Final = range(limits.RSA_KEY_BITS_MIN // 6, limits.RSA_KEY_BITS_MAX // 6 + 8)
_EXPONENT_LENGTH_MAX: Final = 8
_ASYMMETRIC_MARKS: Final = (b"-----BEGIN ", b'"kty"')
_SSH_MARKS: Final = (b"ssh-", b"ecdsa-sha2-")
_DER: Final[tuple[Callable[[bytes], object], ...]] = (
    load_der_public_key,
    load_der_x509_certificate,
    lambda data: load_der_private_key(data, password=None),
)
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and what it may be used for. `key_id` is None where its owner gave it none."""

    key: Key
    key_id: str | None
    algorithms: frozenset[str]


def read_key(encoded: str, algorithms: Sequence[str]) -> str:
    """See ports.subject_tokens.SubjectTokens.read_key."""
    data = _decoded(encoded)
    if SHARED_SECRET_ALGORITHMS.issuperset(algorithms):
        return _read_secret(data)
    public_key = _read_public_key(data)
    unfit = sorted(set(algorithms) - _algorithms_of(public_key))
    if unfit:
        raise _invalid(f"is no key that is good for {unfit[0]}")
    return _pem_of(public_key).decode()


@lru_cache(maxsize=1_000)
def load_key(text: str, algorithms: tuple[str, ...]) -> VerificationKey:
    """The key that `read_key` read for the same algorithms."""
    if SHARED_SECRET_ALGORITHMS.issuperset(algorithms):
        return VerificationKey(
            OctKey.import_key(urlsafe_b64decode(text)), None, frozenset(algorithms)
        )
    return _verification_key(load_pem_public_key(text.encode()), None)


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def published_keys(body: bytes) -> tuple[VerificationKey, ...]:
    """The public keys for signatures in a JSON Web Key Set (RFC 7517, 5). What else is in it is left out.

    Raises ValueError where it is no such set.
    """
    try:
        key_set = msgspec.json.decode(body, type=_KeySet)
    except (ValueError, RecursionError) as error:
        raise ValueError("this is no JSON Web Key Set") from error
    return tuple(_published(key_set.keys[: limits.JWKS_KEYS_MAX]))


def _published(jwks: Iterable[dict[str, Any]]) -> Iterable[VerificationKey]:
    for jwk in jwks:
        try:
            public_key = _key_of_jwk(jwk)
            key = _verification_key(public_key, jwk)
        except InvalidParameter:
            # RFC 7517, 5: keys that are not understood are ignored.
            continue
        yield key


def _verification_key(public_key: Any, jwk: dict[str, Any] | None) -> VerificationKey:
    """`jwk` is where the key was published: with a name, perhaps, and for one algorithm only."""
    published = jwk or {}
    key_id, algorithm = published.get("kid"), published.get("alg")
    algorithms = _algorithms_of(public_key)
    if algorithm is not None:
        algorithms = frozenset(name for name in algorithms if name == algorithm)
    return VerificationKey(
        _wrapped(public_key), key_id if isinstance(key_id, str) else None, algorithms
    )


def _pem_of(public_key: Any) -> bytes:
    pem: bytes = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def _wrapped(public_key: Any) -> Key:
    pem = _pem_of(public_key)
    match public_key:
        case RSAPublicKey():
            return RSAKey.import_key(pem)
        case EllipticCurvePublicKey():
            return ECKey.import_key(pem)
        case _:
            return OKPKey.import_key(pem)


def _decoded(encoded: str) -> bytes:
    # People paste what they have: with padding or without, and in the alphabet of either kind of base64.
    text = encoded.strip().rstrip("=").translate(str.maketrans("+/", "-_"))
    if len(text) > limits.VERIFICATION_KEY_BYTES_MAX * 4 // 3:
        raise _invalid(f"has more than {limits.VERIFICATION_KEY_BYTES_MAX} bytes")
    try:
        padded = text + "=" * (-len(text) % 4)
        return b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise _invalid("is not base64url") from error


def _read_secret(secret: bytes) -> str:
    if len(secret) < limits.SHARED_SECRET_BYTES_MIN:
        raise _invalid(f"is shorter than {limits.SHARED_SECRET_BYTES_MIN} bytes")
    if _looks_asymmetric(secret):
        raise _invalid("is a public or private key; HS256, HS384 and HS512 want a shared secret")
    return urlsafe_b64encode(secret).decode()


def _looks_asymmetric(data: bytes) -> bool:
    """A public key that passes for a shared secret lets everybody sign. Whatever its form: it may have been encoded twice."""
    if any(mark in data for mark in _ASYMMETRIC_MARKS) or data.startswith(_SSH_MARKS):
        return True
    if any(_is_der(data, load) for load in _DER):
        return True
    try:
        inner = b64decode(data.translate(_URL_SAFE, b"\r\n=") + b"==", altchars=b"-_")
    except binascii.Error:
        return False
    return any(_is_der(inner, load) for load in _DER)


def _is_der(data: bytes, load: Callable[[bytes], object]) -> bool:
    try:
        load(data)
    except UnsupportedAlgorithm:
        return True
    except (ValueError, TypeError):
        return False
    return True


def _read_public_key(data: bytes) -> Any:
    if b"PRIVATE KEY-----" in data:
        raise _invalid("is a private key; configure the public one and keep this secret")
    if b"-----BEGIN CERTIFICATE" in data:
        raise _invalid("is a certificate; configure its public key")
    if data.lstrip().startswith(b"{"):
        return _key_of_jwk(_jwk_in(data))
    load = load_pem_public_key if b"-----BEGIN " in data else load_der_public_key
    try:
        return load(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _invalid(
            "is no public key: it has to be SubjectPublicKeyInfo as PEM or DER, or a JSON Web Key"
        ) from error


def _jwk_in(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise _invalid("is no JSON Web Key") from error


def _key_of_jwk(jwk: dict[str, Any]) -> Any:
    if any(member in jwk for member in _PRIVATE_MEMBERS):
        raise _invalid("is a private or shared key; configure a public one")
    if jwk.get("use", "sig") != "sig":
        raise _invalid("is not for signatures")
    if jwk.get("kty") == "RSA" and not _is_reasonable_rsa(jwk):
        raise _invalid(_RSA_ADVICE)
    members = {name: str(jwk[name]) for name in _PUBLIC_MEMBERS if name in jwk}
    try:
        return import_key(members).public_key  # type: ignore[arg-type]  # dict is invariant
    except Exception as error:
        # The library raises whatever it stumbles over.
        raise _invalid("is no JSON Web Key that can be used") from error


_RSA_ADVICE: Final = (
    f"is an RSA key of fewer than {limits.RSA_KEY_BITS_MIN} or more than {limits.RSA_KEY_BITS_MAX} bits,"
    " or with an odd exponent"
)


def _is_reasonable_rsa(jwk: dict[str, Any]) -> bool:
    modulus, exponent = jwk.get("n"), jwk.get("e")
    return (
        isinstance(modulus, str)
        and isinstance(exponent, str)
        and len(modulus) in _MODULUS_LENGTHS
        and len(exponent) <= _EXPONENT_LENGTH_MAX
    )


def _algorithms_of(public_key: object) -> frozenset[str]:
    """What a key can check. Raises InvalidParameter where that is nothing, or nothing that is safe or quick."""
    match public_key:
        case RSAPublicKey():
            is_bounded = (
                limits.RSA_KEY_BITS_MIN <= public_key.key_size <= limits.RSA_KEY_BITS_MAX
                and public_key.public_numbers().e < _EXPONENT_MAX
            )
            if not is_bounded:
                raise _invalid(_RSA_ADVICE)
            return _RSA_ALGORITHMS
        case EllipticCurvePublicKey(curve=curve) if curve.name in _ALGORITHM_OF_CURVE:
            return frozenset({_ALGORITHM_OF_CURVE[curve.name]})
        case Ed25519PublicKey() | Ed448PublicKey():
            return frozenset({"EdDSA"})
        case _:
            raise _invalid("is of a kind that no algorithm here uses")


def _invalid(what: str) -> InvalidParameter:
    return InvalidParameter(f"the key {what}", parameter="key")

"""Keys of identity providers, as people configure them and as they are published."""

from __future__ import annotations

import json
from base64 import b64encode, encodebytes

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from statekeep.domain import limits
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.token_exchange import SHARED_SECRET_ALGORITHMS, SIGNING_ALGORITHMS
from statekeep.tokens.verification_keys import load_key, published_keys, read_key
from tests.support.issuers import SECRET, Issuer, b64url, key_set

RSA, EC, ED = Issuer("RS256"), Issuer("ES256"), Issuer("EdDSA")
ASYMMETRIC = sorted(SIGNING_ALGORITHMS - SHARED_SECRET_ALGORITHMS)


def der_of(issuer: Issuer) -> bytes:
    return load_pem_public_key(issuer.pem).public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


def spki(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def why_refused(data: bytes, *algorithms: str) -> str:
    with pytest.raises(InvalidParameter) as raised:
        read_key(b64url(data), algorithms)
    assert raised.value.parameter == "key"
    return raised.value.message


@pytest.mark.parametrize("issuer", [RSA, EC, ED], ids=lambda issuer: issuer.algorithm)
def test_a_public_key_comes_in_any_of_three_forms(issuer):
    """Which are all the same key."""
    forms = (issuer.pem, der_of(issuer), json.dumps(issuer.jwk).encode())
    texts = {read_key(b64url(form), [issuer.algorithm]) for form in forms}
    assert len(texts) == 1
    key = load_key(texts.pop(), (issuer.algorithm,))
    assert issuer.algorithm in key.algorithms
    assert not key.key.is_private


def test_base64_comes_in_any_form():
    """With the padding and the letters of either alphabet, as people paste it."""
    secret = b"\xfb\xff\xfe" * 5 + b"\xff"
    expected = read_key(b64url(secret), ["HS256"])
    for text in (b64encode(secret).decode(), f" {b64url(secret)}==\n"):
        assert read_key(text, ["HS256"]) == expected
    key = load_key(expected, ("HS256",)).key
    assert isinstance(key, OctKey)
    assert key.raw_value == secret


@pytest.mark.parametrize("text", ["", "not base64!", "a", "é" * 20])
def test_other_text_is_no_key(text):
    """It is said so."""
    for algorithm in ("HS256", "RS256"):
        with pytest.raises(InvalidParameter):
            read_key(text, [algorithm])


def test_a_secret_has_to_be_one():
    """Long enough not to be guessed, and nothing that others know."""
    assert "shorter" in why_refused(b"x" * (limits.SHARED_SECRET_BYTES_MIN - 1), "HS256")
    for public in (RSA.pem, der_of(RSA), der_of(ED), json.dumps(EC.jwk).encode()):
        assert "shared secret" in why_refused(public, "HS256", "HS512")


def test_nothing_made_of_a_public_key_is_a_secret():
    """Everybody could sign with it: certificates, keys of SSH, private keys that were sent here, and base64 in base64."""
    ours = load_pem_public_key(RSA.pem)
    ssh = ours.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    certificate = trustme.CA().issue_cert("login.example.com").cert_chain_pems[0].bytes()
    certificate_der = load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
    der = der_of(RSA)
    for public in (
        certificate,
        certificate_der,
        b64encode(certificate_der),
        ssh,
        RSA.key.as_der(private=True),
        b64encode(der),
        b64url(der).encode(),
        encodebytes(der),
    ):
        assert "shared secret" in why_refused(public, "HS256")


@pytest.mark.parametrize("issuer", [RSA, EC, ED], ids=lambda issuer: issuer.algorithm)
def test_private_keys_are_refused(issuer):
    """They were sent where they do not belong, and whoever sent them should know."""
    for private in (
        issuer.key.as_pem(private=True),
        json.dumps(issuer.key.as_dict(private=True)).encode(),
    ):
        assert "private" in why_refused(private, issuer.algorithm)
    why_refused(issuer.key.as_der(private=True), issuer.algorithm)


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (SECRET, "SubjectPublicKeyInfo"),
        (b'{"kty":"oct","k":"AAAA"}', "shared key"),
        (b'{"kty":"RSA"}', "RSA"),
        (b'{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}', "JSON Web Key"),
        (b'{"kty":"EC","crv":7}', "JSON Web Key"),
        (b'{"kty":["RSA"]}', "JSON Web Key"),
        (b'{"kty":', "JSON Web Key"),
        (b"{" * 5000, "JSON Web Key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "certificate"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "SubjectPublicKeyInfo"),
        (b"x" * (limits.VERIFICATION_KEY_BYTES_MAX + 1), "more than"),
        (spki(rsa.generate_private_key(65537, 1024)), "2048"),
        (spki(ec.generate_private_key(ec.SECP256K1())), "kind"),
        (spki(dsa.generate_private_key(2048)), "kind"),
        (spki(x25519.X25519PrivateKey.generate()), "kind"),
        (json.dumps({**RSA.jwk, "use": "enc"}).encode(), "signatures"),
        (json.dumps({**RSA.jwk, "e": "A" * 100}).encode(), "exponent"),
        (json.dumps({**RSA.jwk, "n": "A" * 12_000}).encode(), "8192"),
    ],
)
def test_what_is_no_good_key_is_refused_with_the_reason(data, hint):
    """Too weak, too slow, of another kind, or no key at all."""
    assert hint in why_refused(data, "RS256")


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_key_has_to_fit_every_algorithm(algorithm):
    """Each key fits those of its kind, and of its curve, only."""
    for issuer, fitting in (
        (RSA, {a for a in ASYMMETRIC if a[:2] in ("RS", "PS")}),
        (EC, {"ES256"}),
        (ED, {"EdDSA"}),
    ):
        if algorithm in fitting:
            read_key(issuer.configured, [issuer.algorithm, algorithm])
        else:
            assert algorithm in why_refused(issuer.pem, issuer.algorithm, algorithm)


def test_a_set_holds_what_can_be_used():
    """And what cannot is left out, as RFC 7517 wants it, however odd."""
    odd = [
        {},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short"},
        {"kty": "EC", "crv": "P-256", "x": 1, "y": None},
        {**RSA.jwk, "use": "enc", "kid": "encryption"},
        RSA.key.as_dict(private=True),
        {"kty": "new", "kid": "future"},
    ]
    good = [{**RSA.jwk, "kid": "a"}, {**EC.jwk, "kid": 7}, {**RSA.jwk, "kid": "b", "alg": "PS256"}]
    keys = published_keys(json.dumps({"keys": [*odd, *good], "more": 1}).encode())
    assert [key.key_id for key in keys] == ["a", None, "b"]
    assert keys[0].algorithms == {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    assert keys[2].algorithms == {"PS256"}


def test_a_set_is_read_no_further_than_its_bound():
    """However many keys it has."""
    jwks = [{**EC.jwk, "kid": str(n)} for n in range(limits.JWKS_KEYS_MAX + 5)]
    keys = published_keys(json.dumps({"keys": jwks}).encode())
    assert len(keys) == limits.JWKS_KEYS_MAX


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"keys":{}}', b"[" * 100_000])
def test_what_is_no_set_is_refused(body):
    """In one way."""
    with pytest.raises(ValueError, match="Key Set"):
        published_keys(body)


def test_an_empty_set_is_one():
    """All keys may have been withdrawn."""
    assert published_keys(key_set()) == ()


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(data):
    """In the same way, whatever the libraries think of them."""
    for algorithms in (["HS256"], ["RS256"], ["EdDSA"]):
        try:
            read_key(b64url(data), algorithms)
        except InvalidParameter:
            continue

"""Tokens that somebody made to get in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from statekeep.domain import limits
from statekeep.domain.errors import Unauthenticated
from statekeep.tokens.jwt import JwtTokens
from statekeep.tokens.server_key import ServerKey
from tests.support.entropy import SeededEntropy
from tests.support.forgery import AUDIENCE, encode, forge, key_token

NOW = 1_767_225_600.0
SECRET = "sbsec_" + "s" * 43
HEADER = {"alg": "HS256", "kid": "sbk_1"}
CLAIMS = {"aud": AUDIENCE, "act": {"sub": "ada"}}
SIGNED = {"alg": "HS256"}
SERVER_KEY = ServerKey(bytes(32))
TOKENS = JwtTokens(SERVER_KEY, SeededEntropy(), public_url="http://127.0.0.1:8080")


def refused(token: str) -> str:
    """Why the token is refused, as the key's own and as a session."""
    with pytest.raises(Unauthenticated):
        TOKENS.verify_session(token, now=NOW)
    with pytest.raises(Unauthenticated) as raised:
        TOKENS.verify_key_token(token, SECRET, now=NOW)
    return raised.value.message


def test_a_session_that_nobody_could_end_is_refused():
    """As those were that earlier releases signed: they have no id. Whoever has one is told what to do."""
    claims = {"aud": "session", "sub": "usr_ada", "exp": NOW + 60}
    key = OctKey.import_key(SERVER_KEY.derive("sign/session"))
    assert TOKENS.verify_session(jwt.encode(SIGNED, {**claims, "sid": "ses_1"}, key), now=NOW)
    with pytest.raises(Unauthenticated, match="sign in again"):
        TOKENS.verify_session(jwt.encode(SIGNED, claims, key), now=NOW)


def test_the_forgery_itself_is_sound():
    """What the tests below change one thing of is taken as it is."""
    assert TOKENS.verify_key_token(forge(HEADER, CLAIMS, SECRET), SECRET, now=NOW)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, "hs256", "HS257", ["HS256"], {}])
def test_no_algorithm_but_one_is_known(alg):
    """A token cannot choose how it is checked."""
    token = forge({"alg": alg, "kid": "sbk_1"}, CLAIMS, SECRET)
    unsigned = token.rpartition(".")[0] + "."
    for forged in (token, unsigned):
        assert "HS256" in refused(forged)


@pytest.mark.parametrize("name", ["sha384", "sha512"])
def test_a_longer_hash_is_another_algorithm(name):
    """Even rightly signed with the secret."""
    header = {"alg": f"HS{name[3:]}", "kid": "sbk_1"}
    assert "HS256" in refused(forge(header, CLAIMS, SECRET, digest=name))


def test_a_token_signed_with_a_published_key_is_refused():
    """RS256 with the key as its certificate is the classic confusion; here no algorithm has public keys."""
    assert "HS256" in refused(forge({"alg": "RS256", "kid": "sbk_1"}, CLAIMS, SECRET))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "kid": 7},
        {"alg": "HS256", "kid": ["sbk_1"]},
        {"kid": "sbk_1"},
        ["alg", "HS256"],
        "alg",
        None,
        b"",
        b"{",
        b"\xff\xfe",
        b'{"alg":"HS256"',
        b'{"alg":"HS256","kid":"\\ud800"}',
        b"[" * 3000,
    ],
)
def test_a_header_is_an_object_with_the_algorithm(header):
    """It is the first thing that is looked at."""
    token = forge(header, CLAIMS, SECRET)
    assert "HS256" in refused(token)
    with pytest.raises(Unauthenticated):
        TOKENS.peek(token)


def test_unknown_headers_mean_nothing():
    """Issuers may add what they like, unless they call it critical."""
    header = {**HEADER, "x-tenant": "7"}
    assert TOKENS.verify_key_token(forge(header, CLAIMS, SECRET), SECRET, now=NOW)
    refused(forge({**header, "crit": ["x-tenant"]}, CLAIMS, SECRET))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"x",
        b"{",
        b"\xff",
        b'{"aud":"\xff"}',
        [],
        "text",
        None,
        7,
        b'{"aud":"https://api.statebacked.dev/","exp":NaN}',
        b'{"aud":"https://api.statebacked.dev/","exp":Infinity}',
        b'{"aud":"https://api.statebacked.dev/","act":{"n":1e999}}',
        b'{"aud":"https://api.statebacked.dev/","act":{"s":"\\ud800"}}',
        b'{"aud":' + b"[" * 4000,
    ],
)
def test_a_payload_is_a_json_object(payload):
    """Also where the signature is right."""
    assert "malformed" in refused(forge(HEADER, payload, SECRET))


@pytest.mark.parametrize("act", [None, [], "ada", 7, True])
def test_act_is_an_object(act):
    """Authorisers are written for objects."""
    assert "act" in refused(forge(HEADER, {**CLAIMS, "act": act}, SECRET))


def test_without_act_the_subject_is_all_there_is():
    """And without that, nothing."""
    for claims, expected in (({"sub": "ada"}, {"sub": "ada"}), ({}, {})):
        token = forge(HEADER, {"aud": AUDIENCE, **claims}, SECRET)
        checked = TOKENS.verify_key_token(token, SECRET, now=NOW)
        assert json.loads(checked.auth_context) == expected


def test_nobody_outside_can_be_an_instance():
    """Machines trust `stateBackedSender`: only the server says it, of instances."""
    act = {"sub": "ada", "stateBackedSender": {"machineName": "m", "machineInstanceName": "i"}}
    token = forge(HEADER, {"aud": AUDIENCE, "act": act}, SECRET)
    assert json.loads(TOKENS.verify_key_token(token, SECRET, now=NOW).auth_context) == {
        "sub": "ada"
    }
    assert json.loads(TOKENS.read_claims(json.dumps(act).encode())) == {"sub": "ada"}


def test_no_audience_is_a_wrong_audience():
    """A token that says for whom it is cannot be used elsewhere; one that does not, could."""
    assert "aud" in refused(forge(HEADER, {"act": {}}, SECRET))


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [None, "1", True, [], {}])
def test_times_are_numbers(claim, value):
    """What cannot be compared with now is refused, not ignored."""
    assert claim in refused(forge(HEADER, {**CLAIMS, claim: value}, SECRET))


@pytest.mark.parametrize("subject", [None, 7, ["ada"], {}])
def test_a_subject_is_text(subject):
    """As RFC 7519 wants it."""
    assert "sub" in refused(forge(HEADER, {**CLAIMS, "sub": subject}, SECRET))


def test_a_time_beyond_all_numbers_is_only_far_away():
    """JSON knows integers of any size."""
    token = forge(HEADER, {**CLAIMS, "exp": 10**400}, SECRET)
    expires_at = TOKENS.verify_key_token(token, SECRET, now=NOW).expires_at
    assert isinstance(expires_at, float)
    assert expires_at > 2e11


def test_a_huge_token_is_refused_unread():
    """The bound is on what is sent; one byte less is read."""
    longest = _token_of_length(limits.TOKEN_BYTES_MAX)
    assert TOKENS.verify_key_token(longest, SECRET, now=NOW)
    assert "at most" in refused(longest + "A")
    with pytest.raises(Unauthenticated, match="at most"):
        TOKENS.peek(longest + "A")


@pytest.mark.parametrize("cut", ["", ".", "..", "...", "x", "a.b", "a.b.c.d"])
def test_other_text_is_no_token(cut):
    """However many dots it has."""
    refused(cut)
    with pytest.raises(Unauthenticated):
        TOKENS.peek(cut)


@given(st.text(max_size=200))
@example("é.é.é")
@example("\ud800")
def test_any_text_is_refused_in_the_same_way(text):
    """Nothing else than Unauthenticated comes out."""
    refused(text)


@given(st.binary(max_size=80), st.binary(max_size=80))
@example(b'{"alg":"HS256","b64":false,"crit":["b64"]}', b"{}")
@example(b'{"alg":"HS256","crit":7}', b"{}")
@example(b'{"alg":"HS256","crit":[[]]}', b"{}")
@example(b'{"alg":"HS256","crit":["constructor"],"jwk":{}}', b"{}")
def test_any_rightly_signed_bytes_are_refused_in_the_same_way(header, payload):
    """The holder of a key can only harm itself."""
    refused(forge(header, payload, SECRET))


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_values = json_values.filter(lambda value: "Infinity" not in json.dumps(value))


@given(
    st.dictionaries(
        st.sampled_from(["aud", "act", "sub", "exp", "nbf", "iat", "iss", "jti", "x"]), json_values
    )
)
def test_any_claims_are_taken_or_refused(claims):
    """A token with the right signature is one or the other, whatever it says."""
    token = forge(HEADER, {"aud": AUDIENCE, **claims}, SECRET)
    try:
        checked = TOKENS.verify_key_token(token, SECRET, now=NOW)
    except Unauthenticated:
        return
    assert isinstance(json.loads(checked.auth_context), dict)


def _token_of_length(length: int) -> str:
    shell = len(key_token("sbk_1", SECRET, act={"x": ""}))
    for padding in range((length - shell) * 3 // 4 - 4, length):
        token = key_token("sbk_1", SECRET, act={"x": "x" * padding})
        if len(token) == length:
            return token
    raise AssertionError("base64 has no text of this length")


def test_base64_is_what_the_forgery_thinks():
    """The helper makes the segments of RFC 7515: no padding, the URL's alphabet."""
    assert encode(b"\xfb\xff") == "-_8"

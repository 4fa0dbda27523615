"""What every adapter of ports.tokens promises."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from statekeep.domain import limits
from statekeep.domain.errors import InvalidParameter, Unauthenticated
from statekeep.domain.names import KeyId, SessionId, UserId
from statekeep.domain.people import Session, SessionKind
from statekeep.ports.tokens import SealBroken, UnverifiedToken
from statekeep.tokens.jwt import JwtTokens
from statekeep.tokens.server_key import ServerKey
from tests.support.entropy import SeededEntropy
from tests.support.forgery import AUDIENCE, key_token

NOW = 1_767_225_600.0
SKEW_S = limits.CLOCK_SKEW.total_seconds()
SECRET = "sbsec_" + "s" * 43
ADA = UserId("usr_ada")
_BEGAN = datetime.fromtimestamp(NOW, tz=UTC)
SESSION = Session(
    SessionId("ses_1"), ADA, SessionKind.DEVICE, "laptop", _BEGAN, _BEGAN + timedelta(minutes=1)
)


def make_jwt(seed: int) -> JwtTokens:
    entropy = SeededEntropy(seed)
    key = ServerKey(entropy.token_bytes(32))
    return JwtTokens(key, entropy, public_url="https://keep.example.com/base")


@pytest.fixture(params=[make_jwt])
def make(request):
    """Makes an adapter; different seeds are different servers."""
    return request.param


@pytest.fixture
def tokens(make):
    return make(1)


@pytest.fixture
def stranger(make):
    """Another server with a key of its own."""
    return make(2)


def test_a_key_token_names_its_key(tokens):
    """The key id can be read before anything is believed."""
    assert tokens.peek(key_token("sbk_1", SECRET)) == UnverifiedToken(KeyId("sbk_1"))


def test_our_own_token_names_no_key(tokens):
    """A session is told from a key's token by the missing key id."""
    session = tokens.issue_session(SESSION)
    assert tokens.peek(session) == UnverifiedToken(None)


@pytest.mark.parametrize(
    "audience",
    [
        "https://api.statebacked.dev/",
        "https://api.statebacked.dev",
        "https://keep.example.com/base",
        "https://keep.example.com/base/",
        ["https://elsewhere.example.com", AUDIENCE],
    ],
)
def test_a_key_token_for_us_is_taken(tokens, audience):
    """State Backed's address and our own are good, with and without a slash, also among others."""
    claims = tokens.verify_key_token(key_token("sbk_1", SECRET, aud=audience), SECRET, now=NOW)
    assert json.loads(claims.auth_context) == {"sub": "ada"}


@pytest.mark.parametrize(
    "audience",
    [
        "https://api.statebacked.dev.evil.com/",
        "https://keep.example.com",
        "session",
        "",
        [],
        None,
        7,
        [AUDIENCE, 7],
    ],
)
def test_a_key_token_for_somebody_else_is_refused(tokens, audience):
    """A token that was made for another service is no token for us, even with the right key."""
    with pytest.raises(Unauthenticated, match="aud"):
        tokens.verify_key_token(key_token("sbk_1", SECRET, aud=audience), SECRET, now=NOW)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"act": {"sub": "ada", "role": "x"}}, {"sub": "ada", "role": "x"}),
        ({"act": {"sub": "ada"}, "sub": "bob"}, {"sub": "ada"}),
        ({"act": {"role": "x"}, "sub": "bob"}, {"role": "x", "sub": "bob"}),
        ({"act": {"sub": None}, "sub": "bob"}, {"sub": None}),
        ({"act": {}}, {}),
        ({"act": {"deep": [{"é": 1.5}, None]}}, {"deep": [{"é": 1.5}, None]}),
    ],
)
def test_the_auth_context_is_act_with_the_subject(tokens, claims, expected):
    """`act` as it is, with the top-level `sub` only where `act` has none of its own."""
    checked = tokens.verify_key_token(key_token("sbk_1", SECRET, **claims), SECRET, now=NOW)
    assert json.loads(checked.auth_context) == expected


def test_a_key_token_without_an_end_is_good_for_ever(tokens):
    """Only the key's end ends it."""
    assert tokens.verify_key_token(key_token("sbk_1", SECRET), SECRET, now=NOW).expires_at is None


def test_a_key_token_is_good_for_the_skew_past_its_end(tokens):
    """The official client uses a token until a second past its end."""
    token = key_token("sbk_1", SECRET, exp=NOW)
    checked = tokens.verify_key_token(token, SECRET, now=NOW + SKEW_S - 0.001)
    assert checked.expires_at == NOW
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.verify_key_token(token, SECRET, now=NOW + SKEW_S)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_key_token_from_the_future_is_refused(tokens, claim):
    """Clocks may differ by the skew and no more."""
    token = key_token("sbk_1", SECRET, **{claim: NOW + SKEW_S})
    tokens.verify_key_token(token, SECRET, now=NOW)
    with pytest.raises(Unauthenticated, match=claim):
        tokens.verify_key_token(token, SECRET, now=NOW - 1)


def test_a_key_token_of_another_key_is_refused(tokens):
    """The secret decides."""
    with pytest.raises(Unauthenticated):
        tokens.verify_key_token(key_token("sbk_1", SECRET), SECRET + "x", now=NOW)


def test_a_session_says_who(tokens):
    """The user is found in the token, and is what authorisers see."""
    session = tokens.issue_session(SESSION)
    claims = tokens.verify_session(session, now=NOW + 59)
    assert (claims.session_id, claims.user_id) == (SESSION.id, ADA)
    assert claims.expires_at == NOW + 60
    assert json.loads(claims.auth_context) == {"sub": ADA}


def test_a_session_ends(tokens):
    """With the same tolerance as a key's token."""
    session = tokens.issue_session(SESSION)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.verify_session(session, now=NOW + 60 + SKEW_S)


def test_a_session_of_another_server_is_refused(tokens, stranger):
    """Each server has a key of its own."""
    session = stranger.issue_session(SESSION)
    with pytest.raises(Unauthenticated):
        tokens.verify_session(session, now=NOW)


def test_a_statement_is_no_session(tokens):
    """What the server signs for one purpose proves nothing for another, whatever the purpose is called."""
    for purpose in ("upload", "session"):
        statement = tokens.sign(purpose, {"sub": ADA}, now=NOW, valid_for_seconds=60)
        with pytest.raises(Unauthenticated):
            tokens.verify_session(statement, now=NOW)


def test_a_session_is_no_statement(tokens):
    """Nor the other way round."""
    session = tokens.issue_session(SESSION)
    with pytest.raises(InvalidParameter):
        tokens.verify("upload", session, now=NOW)


def test_a_statement_comes_back_as_it_was(tokens):
    """Claims survive, also those that tokens have names for."""
    claims = {"machine": 7, "version": "ver_x", "aud": "x", "exp": 1, "é": [None]}
    statement = tokens.sign("publish", claims, now=NOW, valid_for_seconds=60)
    assert tokens.verify("publish", statement, now=NOW + 59) == claims


def test_a_statement_fits_into_a_path(tokens):
    """Nothing in it has to be escaped."""
    statement = tokens.sign("publish", {"x": "a/b?c#d %é"}, now=NOW, valid_for_seconds=60)
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", statement)


def test_a_statement_is_bound_to_its_purpose(tokens):
    """Leave to upload is no leave to publish."""
    statement = tokens.sign("upload", {}, now=NOW, valid_for_seconds=60)
    with pytest.raises(InvalidParameter):
        tokens.verify("publish", statement, now=NOW)


def test_a_statement_ends_on_time(tokens):
    """One clock signs and judges: no tolerance."""
    statement = tokens.sign("upload", {}, now=NOW, valid_for_seconds=60)
    tokens.verify("upload", statement, now=NOW + 59.999)
    with pytest.raises(InvalidParameter, match="expired"):
        tokens.verify("upload", statement, now=NOW + 60)


def test_a_forged_statement_is_refused(tokens, stranger):
    """One of another server, one that was altered, and no statement at all."""
    statement = tokens.sign("upload", {}, now=NOW, valid_for_seconds=60)
    head, payload, signature = statement.split(".")
    altered = f"{head}.{payload[:-2]}{'AA' if payload[-2:] != 'AA' else 'BB'}.{signature}"
    foreign = stranger.sign("upload", {}, now=NOW, valid_for_seconds=60)
    for token in (altered, foreign, "", "x", "ver_AAAA"):
        with pytest.raises(InvalidParameter):
            tokens.verify("upload", token, now=NOW)


def test_a_sealed_secret_comes_back(tokens):
    """And does not show in what is stored."""
    sealed = tokens.seal(SECRET)
    assert tokens.unseal(sealed) == SECRET
    assert SECRET.encode() not in sealed


def test_sealing_twice_shows_no_likeness(tokens):
    """Whoever reads the database cannot tell equal secrets."""
    assert tokens.seal(SECRET) != tokens.seal(SECRET)


def test_a_broken_seal_is_noticed(tokens, stranger):
    """One of another server's key, one that was altered, one that was cut."""
    sealed = tokens.seal(SECRET)
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for data in (stranger.seal(SECRET), altered, sealed[:-1], sealed[:5], b""):
        with pytest.raises(SealBroken):
            tokens.unseal(data)


@pytest.mark.parametrize(
    "text", ['{"sub":"Zoë"}'.encode(), '{"sub":"Zoë"}'.encode("latin-1"), b'{"sub":"Zo\\u00eb"}']
)
def test_acting_claims_are_read_in_either_encoding(tokens, text):
    """Browsers send Latin-1, other clients UTF-8."""
    assert json.loads(tokens.read_claims(text)) == {"sub": "Zoë"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b"[object Object]",
    ],
)
def test_acting_claims_are_a_json_object(tokens, text):
    """Anything else is the caller's mistake, and says so."""
    with pytest.raises(InvalidParameter) as raised:
        tokens.read_claims(text)
    assert raised.value.parameter == "x-statebacked-act"


def test_acting_claims_are_bounded(tokens):
    """To the byte."""
    shell = len('{"a":""}')
    tokens.read_claims(b'{"a":"%s"}' % (b"x" * (limits.ACT_BYTES_MAX - shell)))
    with pytest.raises(InvalidParameter):
        tokens.read_claims(b'{"a":"%s"}' % (b"x" * (limits.ACT_BYTES_MAX - shell + 1)))


def test_deeply_nested_claims_break_nothing(tokens):
    """Whatever fits into the bound is either read or refused."""
    with pytest.raises(InvalidParameter):
        tokens.read_claims(b'{"a":' + b"[" * 4000)

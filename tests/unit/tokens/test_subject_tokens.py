"""Tokens that somebody forged to be exchanged for one of ours, and a few good ones."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statekeep.domain import limits
from statekeep.domain.errors import InvalidExchange, InvalidParameter
from statekeep.domain.token_exchange import SIGNING_ALGORITHMS
from statekeep.ports.subject_tokens import Trust, Untrusted, UnverifiedSubject
from statekeep.tokens.key_sets import KeySets
from statekeep.tokens.subject_tokens import JwtSubjectTokens
from tests.support.clock import FakeClock
from tests.support.issuers import SECRET, Issuer, b64url, key_set

NOW = 1_767_225_600.0
SKEW_S = limits.CLOCK_SKEW.total_seconds()
URL = "https://login.example.com/jwks.json"
CLAIMS: dict[str, Any] = {
    "iss": "https://login.example.com/",
    "aud": "app",
    "sub": "ada",
    "exp": NOW + 60,
}
ISSUERS = {name: Issuer(name) for name in sorted(SIGNING_ALGORITHMS)}
RSA, EC, HS = ISSUERS["RS256"], ISSUERS["ES256"], ISSUERS["HS256"]


class Publisher:
    """Answers with one set (tokens.key_sets.Fetcher)."""

    def __init__(self, *issuers: Issuer) -> None:
        self.body = key_set(*issuers)

    async def get(self, url: str, *, bytes_max: int, timeout_seconds: float) -> bytes:
        return self.body


def subjects(*published: Issuer, allow_http_jwks: bool = False) -> JwtSubjectTokens:
    key_sets = KeySets(Publisher(*published), FakeClock())
    return JwtSubjectTokens(key_sets, allow_http_jwks=allow_http_jwks, allow_private_network=False)


def trust_in(issuer: Issuer, *algorithms: str) -> Trust:
    names = algorithms or (issuer.algorithm,)
    return Trust(names, subjects().read_key(issuer.configured, names), None)


async def verify(token: str, trust: Trust, *published: Issuer, now: float = NOW) -> dict[str, Any]:
    reader = subjects(*published)
    reader.peek(token)
    return await reader.verify(token, trust, now=now)


async def distrusted(token: str, trust: Trust, *published: Issuer) -> None:
    with pytest.raises(Untrusted):
        await verify(token, trust, *published)


def unsigned(header: Any, claims: Any = CLAIMS, signature: str = "") -> str:
    head, body = (b64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{head}.{body}.{signature}"


@pytest.mark.parametrize("issuer", ISSUERS.values(), ids=ISSUERS)
async def test_every_algorithm_works(issuer):
    """With a configured key, and for all but shared secrets with a published one."""
    token = issuer.sign(CLAIMS)
    assert await verify(token, trust_in(issuer)) == CLAIMS
    if not issuer.algorithm.startswith("HS"):
        published = Trust((issuer.algorithm,), None, URL)
        assert await verify(token, published, RSA, issuer, EC) == CLAIMS


@pytest.mark.parametrize("issuer", ISSUERS.values(), ids=ISSUERS)
async def test_another_key_of_the_same_kind_is_wrong(issuer):
    """Also one that calls itself by the same name."""
    forger = Issuer(issuer.algorithm, issuer.kid)
    if issuer.algorithm.startswith("HS"):
        forger.key = type(forger.key).import_key(SECRET + b"x")
    await distrusted(forger.sign(CLAIMS), trust_in(issuer))
    if not issuer.algorithm.startswith("HS"):
        await distrusted(forger.sign(CLAIMS), Trust((issuer.algorithm,), None, URL), issuer)


@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_changed_token_is_wrong(part):
    """In any of its parts."""
    other = RSA.sign({**CLAIMS, "sub": "eve"}, {"more": 1}).split(".")
    parts = RSA.sign(CLAIMS).split(".")
    parts[part] = other[part]
    await distrusted(".".join(parts), trust_in(RSA))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
async def test_a_token_without_a_signature_is_worth_nothing(alg):
    """Whatever algorithm is allowed."""
    for trust in (trust_in(RSA), trust_in(HS), Trust(("RS256",), None, URL)):
        for signature in ("", b64url(b"x" * 256)):
            await distrusted(unsigned({"alg": alg, "kid": "k1"}, signature=signature), trust, RSA)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("form", ["pem", "jwk", "text"])
async def test_a_public_key_is_no_shared_secret(digest, form):
    """RS256 turned into HS256 with the published key as the secret is the classic confusion."""
    known: bytes = {
        "pem": RSA.pem,
        "jwk": json.dumps(RSA.jwk).encode(),
        "text": subjects().read_key(RSA.configured, ["RS256"]).encode(),
    }[form]
    header = {"alg": f"HS{digest[3:]}", "kid": "k1"}
    signed = unsigned(header).rstrip(".")
    token = f"{signed}.{b64url(hmac.digest(known, signed.encode(), digest))}"
    await distrusted(token, trust_in(RSA))
    await distrusted(token, trust_in(RSA, "RS256", "PS256"))
    await distrusted(token, Trust(("RS256",), None, URL), RSA)


async def test_only_what_is_allowed_is_used():
    """Even where the key would fit and the signature is right."""
    signed_otherwise = Issuer("RS512", RSA.kid)
    signed_otherwise.key = RSA.key
    token = signed_otherwise.sign(CLAIMS)
    await distrusted(token, trust_in(RSA))
    await distrusted(token, Trust(("RS256", "ES256"), None, URL), RSA)
    assert await verify(token, trust_in(RSA, "RS256", "RS512")) == CLAIMS


async def test_a_published_key_is_used_for_its_algorithm_only():
    """What its owner says of it counts."""
    restricted = Issuer("RS256")
    restricted.key = RSA.key
    body = json.dumps({"keys": [{**RSA.jwk, "alg": "PS256"}]}).encode()
    publisher = Publisher()
    publisher.body = body
    reader = JwtSubjectTokens(
        KeySets(publisher, FakeClock()), allow_http_jwks=False, allow_private_network=False
    )
    with pytest.raises(Untrusted):
        await reader.verify(RSA.sign(CLAIMS), Trust(("RS256", "PS256"), None, URL), now=NOW)


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_a_token_does_not_bring_its_own_key(name):
    """Headers that say where to find one are not looked at."""
    forger = Issuer("RS256")
    value = {
        "jwk": forger.jwk,
        "jku": "https://evil.example.com/jwks.json",
        "x5u": "https://evil.example.com/cert.pem",
        "x5c": ["AAAA"],
    }[name]
    token = forger.sign(CLAIMS, {name: value})
    await distrusted(token, trust_in(RSA))
    await distrusted(token, Trust(("RS256",), None, URL), RSA)


@pytest.mark.parametrize("crit", [["x"], ["b64"], [], None, "x", 7])
async def test_a_critical_extension_is_one_too_many(crit):
    """None is known here, so none is understood (RFC 7515, 4.1.11)."""
    segments = RSA.sign(CLAIMS).split(".")
    segments[0] = b64url(json.dumps({"alg": "RS256", "crit": crit, "x": 1, "b64": False}).encode())
    with pytest.raises(InvalidExchange):
        await verify(".".join(segments), trust_in(RSA))


async def test_a_key_is_found_by_its_name_among_several():
    """And a token without a name is tried with each that fits."""
    first, second = Issuer("RS256", "a"), Issuer("RS256", "b")
    trust = Trust(("ES256", "RS256"), None, URL)
    for issuer in (first, second, EC):
        assert await verify(issuer.sign(CLAIMS), trust, first, EC, second) == CLAIMS
        nameless = Issuer(issuer.algorithm, None)
        nameless.key = issuer.key
        assert await verify(nameless.sign(CLAIMS), trust, first, EC, second) == CLAIMS
        assert await verify(issuer.sign(CLAIMS), trust, nameless) == CLAIMS


async def test_the_name_of_another_key_is_wrong():
    """A good signature with a key that the token does not name is none."""
    first, second = Issuer("RS256", "a"), Issuer("RS256", "b")
    token = first.sign(CLAIMS, {"kid": "b"})
    await distrusted(token, Trust(("RS256",), None, URL), first, second)
    await distrusted(first.sign(CLAIMS, {"kid": "c"}), Trust(("RS256",), None, URL), first, second)


@pytest.mark.parametrize(
    ("claims", "good", "bad"),
    [
        ({"exp": NOW}, NOW + SKEW_S - 1, NOW + SKEW_S + 1),
        ({"nbf": NOW}, NOW - SKEW_S, NOW - SKEW_S - 1),
        ({"iat": NOW}, NOW - SKEW_S, NOW - SKEW_S - 1),
    ],
    ids=["exp", "nbf", "iat"],
)
async def test_a_token_has_its_time(claims, good, bad):
    """A few seconds are allowed, as clocks differ. What is wrong is told: the token is genuine."""
    token = RSA.sign({**CLAIMS, "exp": NOW + 10**6, **claims})
    assert await verify(token, trust_in(RSA), now=good)
    with pytest.raises(InvalidExchange, match=next(iter(claims))):
        await verify(token, trust_in(RSA), now=bad)


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [None, "1", True, [], {}])
async def test_times_are_numbers(claim, value):
    """What cannot be compared with now is refused, not ignored."""
    with pytest.raises(InvalidExchange, match=claim):
        await verify(RSA.sign({**CLAIMS, claim: value}), trust_in(RSA))


async def test_strangers_learn_nothing_of_times():
    """A forged token is forged, whether it is expired as well or not."""
    await distrusted(Issuer("RS256").sign({**CLAIMS, "exp": 1}), trust_in(RSA))


def test_who_a_token_is_for_can_be_read():
    """Audiences in a text or a list, or none."""
    peek = subjects().peek
    assert peek(RSA.sign(CLAIMS)) == UnverifiedSubject(("app",), CLAIMS["iss"])
    assert peek(RSA.sign({"aud": ["a", "b"]})) == UnverifiedSubject(("a", "b"), None)
    assert peek(RSA.sign({})) == UnverifiedSubject((), None)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": 7},
        {"aud": [7]},
        {"aud": None},
        {"iss": ["x"]},
        {"iss": 7},
        {"aud": [str(n) for n in range(limits.SUBJECT_AUDIENCES_MAX + 1)]},
        b"[]",
        b"null",
        b"",
        b"{",
        b"\xff",
        b'{"iss":"\\ud800"}',
        b'{"a":' + b"[" * 5000,
    ],
)
def test_other_claims_are_refused_unverified(claims):
    """Nobody could be found who vouches for them."""
    with pytest.raises(InvalidExchange):
        subjects().peek(HS.sign(claims))


async def test_a_header_may_be_nested_as_deep_as_it_likes():
    """The one who reads it second gives up a little earlier than the first, and answers all the same."""
    for depth in range(600, 1000):
        header = b'{"alg":"HS256","x":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises((Untrusted, InvalidExchange)):
            await verify(f"{b64url(header)}.e30.AAAA", trust_in(HS))


async def test_only_so_many_keys_are_tried():
    """A set may hold a hundred that a token could be signed with, and each costs time that others wait."""
    issuers = [Issuer("ES256") for _ in range(limits.KEYS_TRIED_MAX + 1)]
    trust = Trust(("ES256",), None, URL)
    for issuer in issuers[:-1]:
        assert await verify(issuer.sign(CLAIMS), trust, *issuers) == CLAIMS
    await distrusted(issuers[-1].sign(CLAIMS), trust, *issuers)


def test_a_huge_token_is_refused_unread():
    """The bound is on what is sent; one byte less is read."""
    shell = RSA.sign({**CLAIMS, "x": ""})
    room = limits.SUBJECT_TOKEN_BYTES_MAX - len(shell)
    longest = RSA.sign({**CLAIMS, "x": "x" * (room * 3 // 4 - 3)})
    assert subjects().peek(longest)
    with pytest.raises(InvalidExchange, match="at most"):
        subjects().peek("a" * (limits.SUBJECT_TOKEN_BYTES_MAX + 1))
    with pytest.raises(InvalidExchange, match="at most"):
        subjects().peek("." * 10**7)


@given(st.text(max_size=200))
@example("")
@example("..")
@example("a.b.c")
@example("é.é.é")
@example("\ud800.a.b")
@example("e30.e30.")
def test_any_text_is_refused_in_the_same_way(text):
    """Nothing else than InvalidExchange comes out."""
    with pytest.raises(InvalidExchange):
        subjects().peek(text)


ANY_JSON: Callable[[], st.SearchStrategy[Any]] = lambda: st.recursive(  # noqa: E731  # named for its use below
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "cty", "x5c", "jwk", "b64"]), ANY_JSON()),
    st.binary(max_size=60),
)
async def test_any_header_and_signature_are_refused_in_the_same_way(header, signature):
    """Without the key nothing gets through, and nothing breaks."""
    token = unsigned({"alg": "RS256", **header}, signature=b64url(signature))
    with pytest.raises((InvalidExchange, Untrusted)):
        await verify(token, trust_in(RSA))


@pytest.mark.parametrize(
    "url",
    ["https://a.example/jwks.json", "https://a.example:8443/k?x=1", "https://[2606:4700::1]/k"],
)
def test_key_sets_are_published_over_https(url):
    """At any port and path."""
    assert subjects().read_jwks_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/jwks.json",
        "ftp://a.example/k",
        "file:///etc/passwd",
        "a.example/jwks.json",
        "https://",
        "https:///k",
        "https://user:pass@a.example/k",
        "https://a.example/k#x",
        "https://a.example:x/k",
        "https://a.example/ k",
        "https://a.example/k\n",
        "https://é.example/k",
        "https://[",
        "https://127.0.0.1/k",
        "https://[::1]/k",
        "https://10.1.2.3/k",
        "https://169.254.169.254/latest",
        "https://localhost/k",
        "https://keys.localhost/k",
    ],
)
def test_other_urls_are_refused(url):
    """What is no URL, no secure one, or plainly one of the server's own network."""
    with pytest.raises(InvalidParameter) as raised:
        subjects().read_jwks_url(url)
    assert raised.value.parameter == "jwksUrl"


def test_the_operator_may_allow_http():
    """For identity providers next to the server."""
    url = "http://a.example/jwks.json"
    assert subjects(allow_http_jwks=True).read_jwks_url(url) == url

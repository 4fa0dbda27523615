"""Tokens of the official npm package are tokens for us."""

from __future__ import annotations

import json

import pytest

from statekeep.domain.errors import Unauthenticated
from statekeep.system import SystemClock, SystemEntropy
from statekeep.tokens.jwt import JwtTokens
from statekeep.tokens.server_key import ServerKey
from tests.support.deno import run_module

KEY_ID = "sbk_ux9vkFZyyQzRRNzsHm6hKg"
SECRET = "sbsec_" + "s" * 43

SIGN = """
import { signToken } from "npm:@statebacked/token@0.2.0";
const key = { stateBackedKeyId: %(key_id)s, stateBackedSecretKey: %(secret)s };
console.log(JSON.stringify(await Promise.all([
  signToken(key, { sub: "zo\\u00eb", groups: ["a"] }, { expires: { in: "1h" } }),
  signToken(key, { sub: "x" }, { expires: { at: new Date(4102444800000) }, issuer: "https://example.com/" }),
  signToken(key, { sub: "x" }, { expires: { at: 1 } }),
])));
"""


@pytest.fixture(scope="module")
def signed() -> list[str]:
    """Three tokens: for an hour, until 2100, long expired."""
    source = SIGN % {"key_id": json.dumps(KEY_ID), "secret": json.dumps(SECRET)}
    tokens: list[str] = json.loads(run_module(source))
    return tokens


@pytest.fixture
def tokens() -> JwtTokens:
    entropy = SystemEntropy()
    return JwtTokens(
        ServerKey(entropy.token_bytes(32)), entropy, public_url="http://127.0.0.1:8080"
    )


@pytest.fixture
def now() -> float:
    return SystemClock().now_ms() / 1000


def test_a_token_of_the_package_is_taken(tokens, signed, now):
    """With its claims and its end, signed the way that package signs."""
    hour, century, _ = signed
    assert tokens.peek(hour).key_id == KEY_ID
    claims = tokens.verify_key_token(hour, SECRET, now=now)
    assert json.loads(claims.auth_context) == {"sub": "zoë", "groups": ["a"]}
    assert claims.expires_at == pytest.approx(now + 3600, abs=600)
    assert tokens.verify_key_token(century, SECRET, now=now).expires_at == 4102444800


def test_an_expired_token_of_the_package_is_refused(tokens, signed, now):
    """And so is a good one with another secret."""
    hour, _, expired = signed
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.verify_key_token(expired, SECRET, now=now)
    with pytest.raises(Unauthenticated):
        tokens.verify_key_token(hour, SECRET[:-1] + "t", now=now)

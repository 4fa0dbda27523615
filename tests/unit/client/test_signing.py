"""Tokens for end users, as `@statebacked/token` makes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from statekeep.client import sign_token

KEY_ID = "sbk_ux9vkFZyyQzRRNzsHm6hKg"
SECRET = "sbsec_" + "s" * 43


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    decoded = jwt.decode(token, OctKey.import_key(SECRET))
    return decoded.header, decoded.claims


def test_claims_are_what_machines_see() -> None:
    """In `act`, with the user's name at the top too; the key is named in the header."""
    header, claims = read(sign_token(KEY_ID, SECRET, {"sub": "zoë", "groups": ["a"]}))
    assert (header["alg"], header["kid"]) == ("HS256", KEY_ID)
    assert claims["act"] == {"sub": "zoë", "groups": ["a"]}
    assert claims["sub"] == "zoë"
    assert claims["aud"] == "https://api.statebacked.dev/"
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.parametrize(
    ("expires", "expected"),
    [(datetime(2100, 1, 1, tzinfo=UTC), 4102444800), (None, None)],
)
def test_an_end_may_be_chosen(expires: datetime | None, expected: int | None) -> None:
    """An instant, a while, or none."""
    _, claims = read(sign_token(KEY_ID, SECRET, {"sub": "x"}, expires=expires))
    assert claims.get("exp") == expected
    _, claims = read(sign_token(KEY_ID, SECRET, {"sub": "x"}, expires=timedelta(minutes=5)))
    assert claims["exp"] - claims["iat"] == 300


def test_who_issues_may_be_said() -> None:
    """And who it is for."""
    _, claims = read(
        sign_token(KEY_ID, SECRET, {}, issuer="https://me.example", audience="https://host")
    )
    assert (claims["iss"], claims["aud"]) == ("https://me.example", "https://host")
    assert "sub" not in claims

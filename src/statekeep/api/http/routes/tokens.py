"""The exchange of tokens. `token_requests.py` serves it: whoever asks has no token yet."""

from __future__ import annotations

from typing import Final

from statekeep.api.http.route import Route
from statekeep.domain.errors import (
    InvalidExchange,
    InvalidTarget,
    IssuerUnavailable,
    TooLarge,
    TooManyRequests,
    UnsupportedGrantType,
)
from statekeep.wire import answers

TOKENS_PATH: Final = "/tokens"
FORM: Final = "application/x-www-form-urlencoded"
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
AUDIENCE_BASE: Final = "https://tokens.statebacked.dev"

_SCHEMA: Final = {
    "type": "object",
    "required": ["grant_type", "audience", "subject_token"],
    "properties": {
        "grant_type": {"const": GRANT_TYPE},
        "audience": {
            "type": "string",
            "description": f"`{AUDIENCE_BASE}/ORGANIZATION/SERVICE`, or this server's URL in place of that one.",
        },
        "subject_token": {
            "type": "string",
            "description": "A JSON Web Token signed by an identity provider of the organization.",
        },
        "subject_token_type": {"type": "string"},
        "requested_token_type": {"enum": [ACCESS_TOKEN, JWT]},
    },
}

ROUTES: Final = (
    Route(
        method="POST",
        path=TOKENS_PATH,
        summary="Exchange a token",
        tag="Token exchange",
        description="RFC 8693, for tokens of identity providers that the organization trusts.",
        is_public=True,
        form=_SCHEMA,
        form_type=FORM,
        answer=answers.ExchangedToken,
        errors=(
            InvalidExchange,
            InvalidTarget,
            UnsupportedGrantType,
            IssuerUnavailable,
            TooLarge,
            TooManyRequests,
        ),
    ),
)

"""Tokens for whoever has none yet. `token_requests.py` serves this."""

from __future__ import annotations

from typing import Final

from statekeep.api.http.forms import FORM
from statekeep.api.http.route import Route
from statekeep.domain.errors import (
    AccessDenied,
    AuthorizationPending,
    DeviceCodeExpired,
    InvalidExchange,
    InvalidTarget,
    IssuerUnavailable,
    TooLarge,
    TooManyRequests,
    UnsupportedGrantType,
)
from statekeep.wire import people

TOKENS_PATH: Final = "/tokens"
DEVICE_AUTHORIZATION_PATH: Final = "/device_authorization"
DEVICE_GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE_GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
AUDIENCE_BASE: Final = "https://tokens.statebacked.dev"

_EXCHANGE: Final = {
    "type": "object",
    "required": ["grant_type", "audience", "subject_token"],
    "properties": {
        "grant_type": {"const": EXCHANGE_GRANT_TYPE},
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
_DEVICE: Final = {
    "type": "object",
    "required": ["grant_type", "device_code"],
    "properties": {
        "grant_type": {"const": DEVICE_GRANT_TYPE},
        "device_code": {"type": "string", "description": "Of the answer that began the login."},
        "client_id": {"type": "string", "description": "The same as there. Not looked at."},
    },
}
_NAME: Final = {"type": "string", "maxLength": 100}
_DEVICE_AUTHORIZATION: Final = {
    "type": "object",
    "required": ["client_id"],
    "properties": {
        "client_id": {**_NAME, "minLength": 1, "description": "What the program calls itself."},
        "device_name": {**_NAME, "description": "What it runs on."},
    },
}

ROUTES: Final = (
    Route(
        method="POST",
        path=DEVICE_AUTHORIZATION_PATH,
        summary="Begin a device login",
        tag="People",
        description=(
            "RFC 8628: show the user code and where to type it, then ask `/tokens` every `interval` seconds whether somebody has let you in."
            " A login is good for a quarter of an hour, and ends when the server does."
        ),
        is_public=True,
        form=_DEVICE_AUTHORIZATION,
        form_type=FORM,
        answer=people.DeviceAuthorization,
        errors=(InvalidExchange, TooLarge, TooManyRequests),
    ),
    Route(
        method="POST",
        path=TOKENS_PATH,
        summary="Get a token",
        tag="Token exchange",
        description=(
            "In exchange for a token of an identity provider that the organization trusts (RFC 8693), or for the `device_code` of a login that somebody"
            " has let in (RFC 8628). Until then the error is `authorization_pending`, or `slow_down` for a device that does not wait."
        ),
        is_public=True,
        form={"oneOf": [_EXCHANGE, _DEVICE]},
        form_type=FORM,
        answer=people.IssuedToken,
        errors=(
            AuthorizationPending,
            AccessDenied,
            DeviceCodeExpired,
            InvalidExchange,
            InvalidTarget,
            UnsupportedGrantType,
            IssuerUnavailable,
            TooLarge,
            TooManyRequests,
        ),
    ),
)

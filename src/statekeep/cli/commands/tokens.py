"""`statekeep tokens`: what end users ask with."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from cyclopts import Parameter

from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import JsonObject
from statekeep.cli.output import say

app = noun("tokens")

_ISSUER: Final = "https://cli.statebacked.dev/"
_VALID_FOR: Final = timedelta(hours=24)


@app.command(
    name="generate",
    help_epilogue=examples(
        """statekeep tokens generate --key sbk_... --secret sbsec_... --claims '{"sub": "user_1234"}'"""
    ),
)
def generate_token(
    *,
    key: Annotated[
        str,
        Parameter(
            alias="-k",
            metavar="KEY",
            help="Key ID of the key to sign with (see `keys create`). Must match --secret.",
        ),
    ],
    secret: Annotated[
        str,
        Parameter(alias="-s", metavar="SECRET", help="Secret of the key. Must match --key."),
    ],
    claims: Annotated[
        JsonObject,
        Parameter(
            alias="-c",
            help="Claims about the end user: what authorisers of machines get as authContext.",
        ),
    ],
) -> None:
    """Generate a token that is valid for 24 hours. Nothing is sent anywhere."""
    from statekeep.client import sign_token

    say(sign_token(key, secret, claims, expires=_VALID_FOR, issuer=_ISSUER))

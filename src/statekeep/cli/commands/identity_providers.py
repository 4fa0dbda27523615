"""`statekeep identity-providers`: whose tokens are believed."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import urlsplit

from cyclopts import Parameter, Token

from statekeep.cli.api import connected, show_list
from statekeep.cli.confirmation import Yes, confirm
from statekeep.cli.globals import NOTHING, NOTHING_U, GlobalOptions, Globals, GlobalsWithoutU
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import JsonObject, expected
from statekeep.cli.output import Misused, tell

app = noun("identity-providers")

_ALGORITHMS: Final = (
    *("HS256", "HS384", "HS512"),
    *("PS256", "PS384", "PS512"),
    *("RS256", "RS384", "RS512"),
    *("ES256", "ES384", "ES512"),
    "EdDSA",
)


def _read_algorithms(_type: type, tokens: Sequence[Token]) -> tuple[str, ...]:
    for token in tokens:
        if token.value not in _ALGORITHMS:
            raise expected(f"one of {', '.join(_ALGORITHMS)}", token)
    return tuple(token.value for token in tokens)


def _read_base64(_type: type, tokens: Sequence[Token]) -> bytes:
    text = tokens[0].value.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        # Not with the value: it is a secret, and nearly the right one.
        raise Misused(f"{tokens[0].keyword}: expected base64") from None


_Mapping = Annotated[
    JsonObject,
    Parameter(
        alias="-m",
        help=(
            "Claims that token providers may use, from claims of the identity provider's token. The value under a key that ends in .$ is a"
            ' JSONPath into the latter: {"sub.$": "$.sub"} takes sub over.'
        ),
    ),
]
_Audience = Annotated[
    str | None,
    Parameter(
        alias="-a",
        metavar="AUDIENCE",
        help="Audience of its tokens. --audience or --issuer or both.",
    ),
]
_Issuer = Annotated[
    str | None,
    Parameter(
        alias="-i", metavar="ISSUER", help="Issuer of its tokens. --audience or --issuer or both."
    ),
]


@app.command(
    name="upsert",
    help_epilogue=examples(
        """statekeep identity-providers upsert --issuer https://id.example.com/ --algorithm RS256 RS384 --jwks-url https://id.example.com/.well-known/jwks.json --mapping '{"sub.$": "$.sub"}'""",
        """statekeep identity-providers upsert -a shop -l HS256 --key "$SECRET" -m '{"sub.$": "$.sub"}'""",
    ),
)
def upsert(
    *,
    audience: _Audience = None,
    issuer: _Issuer = None,
    algorithm: Annotated[
        tuple[str, ...],
        Parameter(
            alias="-l",
            metavar="ALGORITHM",
            converter=_read_algorithms,
            consume_multiple=True,
            help=f"Signing algorithms to allow, one or several: {', '.join(_ALGORITHMS)}.",
        ),
    ],
    mapping: _Mapping,
    key: Annotated[
        str | None,
        Parameter(
            alias="-k",
            metavar="KEY",
            allow_leading_hyphen=True,
            help="Key to check signatures with, as it is. One of --key, --base64-key and --jwks-url.",
        ),
    ] = None,
    base64_key: Annotated[
        bytes | None,
        Parameter(
            alias="-b",
            metavar="KEY",
            converter=_read_base64,
            n_tokens=1,
            allow_leading_hyphen=True,
            help="The same for a key of bytes, in base64.",
        ),
    ] = None,
    jwks_url: Annotated[
        str | None,
        Parameter(alias="-j", metavar="URL", help="Where it publishes its keys (a JWK Set)."),
    ] = None,
    options: Globals = NOTHING,
) -> None:
    """Create or update an identity provider configuration."""
    _require_name(audience, issuer)
    if [key, base64_key, jwks_url].count(None) != 2:
        raise Misused("must specify exactly one of --key, --base64-key or --jwks-url")
    secret = base64_key if key is None else key.encode()
    _upsert(
        options,
        algorithm,
        mapping,
        aud=audience,
        iss=issuer,
        key=secret,
        jwks_url=jwks_url,
    )


@app.command(
    name="upsert-auth0",
    help_epilogue=examples(
        """statekeep identity-providers upsert-auth0 --domain shop.us.auth0.com --mapping '{"sub.$": "$.sub"}'"""
    ),
)
def upsert_auth0(
    *,
    domain: Annotated[
        str, Parameter(alias="-d", metavar="DOMAIN", help="Auth0 application domain.")
    ],
    mapping: _Mapping,
    options: Globals = NOTHING,
) -> None:
    """Create or update an identity provider configuration for Auth0."""
    host = urlsplit(domain if domain.startswith("https://") else f"https://{domain}").hostname
    if not host:
        raise Misused(f'--domain: expected one such as shop.us.auth0.com, not "{domain}"')
    _upsert(
        options,
        ("RS256",),
        mapping,
        aud=f"https://{host}/api/v2/",
        iss=f"https://{host}/",
        jwks_url=f"https://{host}/.well-known/jwks.json",
    )


@app.command(
    name="upsert-cognito",
    help_epilogue=examples(
        """statekeep identity-providers upsert-cognito --user-pool-id us-east-1_AbCdEf --region us-east-1 --mapping '{"sub.$": "$.sub"}'"""
    ),
)
def upsert_cognito(
    *,
    user_pool_id: Annotated[str, Parameter(alias="-u", metavar="ID", help="Cognito user pool ID.")],
    region: Annotated[str, Parameter(alias="-r", metavar="REGION", help="Cognito region.")],
    mapping: _Mapping,
    options: GlobalsWithoutU = NOTHING_U,
) -> None:
    """Create or update an identity provider configuration for AWS Cognito."""
    issuer = f"https://cognito-idp.{region}.amazonaws.com/{user_pool_id}"
    _upsert(options, ("RS256",), mapping, iss=issuer, jwks_url=f"{issuer}/.well-known/jwks.json")


@app.command(
    name="upsert-supabase",
    help_epilogue=examples(
        """statekeep identity-providers upsert-supabase --project abcdefgh --secret "$JWT_SECRET" --mapping '{"sub.$": "$.sub"}'"""
    ),
)
def upsert_supabase(
    *,
    project: Annotated[str, Parameter(alias="-p", metavar="PROJECT", help="Supabase project ID.")],
    secret: Annotated[
        str,
        Parameter(
            alias="-s", metavar="SECRET", allow_leading_hyphen=True, help="Supabase JWT secret."
        ),
    ],
    mapping: _Mapping,
    options: Globals = NOTHING,
) -> None:
    """Create or update an identity provider configuration for Supabase."""
    _upsert(
        options,
        ("HS256",),
        mapping,
        aud="authenticated",
        iss=f"https://{project}.supabase.co/auth/v1",
        key=secret.encode(),
    )


@app.command(name="list", help_epilogue=examples("statekeep identity-providers list"))
def list_identity_providers(*, options: Globals = NOTHING) -> None:
    """List identity provider configurations. Keys are never shown."""
    columns = {
        "aud": "Audience",
        "iss": "Issuer",
        "algs": "Algorithms",
        "jwksUrl": "Keys at",
        "mapping": "Mapping",
    }
    with connected(options) as api:
        show_list(options, api.identity_providers.list().pages(), columns)


@app.command(
    name="delete",
    help_epilogue=examples(
        "statekeep identity-providers delete --issuer https://id.example.com/",
        "statekeep identity-providers delete -a shop --yes",
    ),
)
def delete(
    *,
    audience: _Audience = None,
    issuer: _Issuer = None,
    yes: Yes = False,
    options: Globals = NOTHING,
) -> None:
    """Delete an identity provider configuration. Tokens that came through it end at once."""
    _require_name(audience, issuer)
    confirm("Are you sure you want to delete this identity provider? (y/n)", is_confirmed=yes)
    with connected(options) as api:
        api.identity_providers.delete(aud=audience, iss=issuer)
    tell("Identity provider configuration deleted")


def _require_name(audience: str | None, issuer: str | None) -> None:
    if not audience and not issuer:
        raise Misused("must specify at least one of --audience and --issuer")


def _upsert(
    options: GlobalOptions,
    algorithms: Sequence[str],
    mapping: JsonObject,
    *,
    aud: str | None = None,
    iss: str | None = None,
    key: bytes | None = None,
    jwks_url: str | None = None,
) -> None:
    with connected(options) as api:
        api.identity_providers.upsert(
            algs=algorithms, mapping=mapping, aud=aud, iss=iss, key=key, jwks_url=jwks_url
        )
    tell("Identity provider configuration updated")

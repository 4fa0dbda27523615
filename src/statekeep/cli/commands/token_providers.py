"""`statekeep token-providers`: what tokens are given in exchange."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from statekeep.cli.api import connected, show_list
from statekeep.cli.confirmation import Yes, confirm_name
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import JsonObject
from statekeep.cli.output import tell

app = noun("token-providers")

_Service = Annotated[
    str,
    Parameter(
        alias="-s", metavar="SERVICE", help="Service name that identifies the token provider."
    ),
]


@app.command(name="list", help_epilogue=examples("statekeep token-providers list"))
def list_token_providers(*, options: Globals = NOTHING) -> None:
    """List token provider configurations."""
    columns = {"service": "Service", "keyId": "Key", "mapping": "Mapping"}
    with connected(options) as api:
        show_list(options, api.token_providers.list().pages(), columns)


@app.command(
    name="upsert",
    help_epilogue=examples(
        """statekeep token-providers upsert --service shop --key sbk_... --mapping '{"sub.$": "$.sub"}'"""
    ),
)
def upsert(
    *,
    service: _Service,
    mapping: Annotated[
        JsonObject,
        Parameter(
            alias="-m",
            help=(
                "Claims of the token, from those that the identity provider's mapping took. The value under a key that ends in .$ is a"
                ' JSONPath into the latter: {"sub.$": "$.sub"} takes sub over.'
            ),
        ),
    ],
    key: Annotated[
        str,
        Parameter(alias="-k", metavar="KEY", help="ID of the key that its tokens are signed with."),
    ],
    options: Globals = NOTHING,
) -> None:
    """Create or update a token provider configuration."""
    with connected(options) as api:
        api.token_providers.upsert(service=service, key_id=key, mapping=mapping)
    tell(f"Created token provider {service}")


@app.command(
    name="delete", help_epilogue=examples("statekeep token-providers delete --service shop")
)
def delete(*, service: _Service, yes: Yes = False, options: Globals = NOTHING) -> None:
    """Delete a token provider configuration. Tokens that it gave end at once."""
    question = "Re-type the service name to confirm deletion:"
    confirm_name(question, service, "Service name", is_confirmed=yes)
    with connected(options) as api:
        api.token_providers.delete(service)
    tell(f"Deleted token provider {service}")

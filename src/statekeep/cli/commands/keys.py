"""`statekeep keys`: secrets that tokens of end users are signed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from cyclopts import Parameter, Token

from statekeep.cli.api import as_json, connected, show_list
from statekeep.cli.globals import NOTHING, NOTHING_U, Globals, GlobalsWithoutU
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import expected
from statekeep.cli.output import say, show, tell
from statekeep.domain.access import SCOPES

app = noun("keys")

_SCOPES: Final = tuple(sorted(SCOPES))


def _read_scopes(_type: type, tokens: Sequence[Token]) -> tuple[str, ...]:
    """Several words, or one with commas: smply says the one and does the other."""
    scopes: list[str] = []
    for token in tokens:
        for scope in filter(None, token.value.split(",")):
            if scope not in _SCOPES:
                raise expected(f"one of {', '.join(_SCOPES)}", token)
            scopes.append(scope)
    return tuple(scopes)


@app.command(
    name="create",
    help_epilogue=examples(
        'statekeep keys create --use production --name "back end of the shop"',
        "statekeep keys create --scopes logs.read,machines.read --name dashboard",
    ),
)
def create_key(
    *,
    name: Annotated[str, Parameter(alias="-n", metavar="NAME", help="Name for the key.")],
    use: Annotated[
        Literal["production", "ci"],
        Parameter(
            alias="-u",
            help=(
                "production has the scopes to create instances of existing machines, to send them events, to read their state and to"
                " query indexes; ci those to create machines and versions."
            ),
        ),
    ] = "production",
    scopes: Annotated[
        tuple[str, ...],
        Parameter(
            alias="-s",
            metavar="SCOPES",
            converter=_read_scopes,
            consume_multiple=True,
            help=f"Scopes to give it in place of those of a use, by commas: {', '.join(_SCOPES)}.",
        ),
    ] = (),
    options: GlobalsWithoutU = NOTHING_U,
) -> None:
    """Create a new API key. Its secret is shown this once."""
    with connected(options) as api:
        made = api.keys.create(name, use=None if scopes else use, scopes=scopes or None)
    say(
        "Store this key safely now. You can create additional keys in the future but this key will never be shown again!"
    )
    show(as_json(made), options.format)


@app.command(name="list", help_epilogue=examples("statekeep keys list"))
def list_keys(*, options: Globals = NOTHING) -> None:
    """List API keys."""
    columns = {"id": "Key", "name": "Name", "scopes": "Scopes", "createdAt": "Created"}
    with connected(options) as api:
        show_list(options, api.keys.list().pages(), columns)


@app.command(name="delete", help_epilogue=examples("statekeep keys delete --key sbk_..."))
def delete_key(
    *,
    key: Annotated[str, Parameter(alias="-k", metavar="KEY", help="Key ID.")],
    options: Globals = NOTHING,
) -> None:
    """Delete an API key. Tokens signed with it are worth nothing from then on."""
    with connected(options) as api:
        api.keys.delete(key)
    tell("Successfully deleted key")

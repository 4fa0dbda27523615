"""Options that several commands have, so that each looks, reads and fails in one way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import CycloptsError, Parameter, Token

from statekeep.cli.output import Misused


def expected(what: str, token: Token) -> CycloptsError:
    """The error for a value that is none of those that an option takes."""
    return CycloptsError(msg=f'{token.keyword}: expected {what}, not "{token.value}".')


def _read_object(_type: type, tokens: Sequence[Token]) -> dict[str, Any]:
    try:
        value = json.loads(tokens[0].value)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise expected("a JSON object", tokens[0])
    return value


def _read_selectors(type_: type, tokens: Sequence[Token]) -> dict[str, str]:
    selectors = _read_object(type_, tokens)
    if not all(name and isinstance(path, str) for name, path in selectors.items()):
        raise expected("a JSON object of JSONPaths by the names of indexes", tokens[0])
    return selectors


_JSON: Final = Parameter(
    converter=_read_object,
    n_tokens=1,
    accepts_keys=False,
    allow_leading_hyphen=True,
    metavar="JSON",
)

JsonObject = Annotated[dict[str, Any], _JSON]
"""An option whose value is a JSON object."""

Machine = Annotated[str, Parameter(alias="-m", metavar="MACHINE", help="Machine name.")]
Instance = Annotated[str, Parameter(alias="-i", metavar="INSTANCE", help="Instance name.")]
OneMachine = Annotated[
    str | None, Parameter(alias="-m", metavar="MACHINE", help="Of this machine only.")
]
OneInstance = Annotated[
    str | None, Parameter(alias="-i", metavar="INSTANCE", help="Of this instance only.")
]
Version = Annotated[str, Parameter(alias="-v", metavar="VERSION", help="Machine version ID.")]
TargetVersion = Annotated[
    str,
    Parameter(name=("--to", "-t"), metavar="VERSION", help="Machine version ID that it leads to."),
]
Index = Annotated[
    tuple[str, ...],
    Parameter(
        alias="-i",
        metavar="INDEX",
        consume_multiple=True,
        help="Name of an index for instances of this machine; may be given several times. With a file, use --index-selectors instead.",
    ),
]
IndexSelectors = Annotated[
    dict[str, str] | None,
    Parameter(
        alias="-d",
        converter=_read_selectors,
        n_tokens=1,
        accepts_keys=False,
        metavar="JSON",
        help=(
            "JSON object of JSONPaths into the context by the names of indexes. An index that is not named keeps the selector of the current version."
        ),
    ),
]
VersionReference = Annotated[
    str,
    Parameter(
        alias="-r",
        metavar="REFERENCE",
        allow_leading_hyphen=True,
        help="Your own name for the version, such as a git commit or a semantic version.",
    ),
]
SkipValidation = Annotated[
    bool, Parameter(alias="-s", help="Leave to the server what is wrong with the code.")
]
EndUserToken = Annotated[
    str | None,
    Parameter(
        alias="-t",
        metavar="TOKEN",
        help=(
            "Token signed with one of your keys, which has the auth context (see `keys create` and `tokens generate`)."
            " Give one of --token and --auth-context."
        ),
    ),
]
AuthContext = Annotated[
    dict[str, Any] | None,
    Parameter(
        alias="-a",
        help='Auth context to ask with, such as \'{"sub": "user_1234"}\'. Give one of --token and --auth-context.',
    ),
    _JSON,
]


@dataclass(frozen=True, kw_only=True)
class CodeOptions:
    """Where code comes from."""

    js: Annotated[Path | None, Parameter(name=("--js", "-j", "--file"), metavar="FILE")] = None
    """A single JavaScript module that has everything in it, to be taken as it is."""

    node: Annotated[Path | None, Parameter(alias="-n", metavar="FILE")] = None
    """Entry point of a Node.js project, TypeScript or JavaScript, to be bundled with what it takes from node_modules."""

    deno: Annotated[Path | None, Parameter(metavar="FILE")] = None
    """Entry point for Deno, TypeScript or JavaScript, to be bundled with what it imports from URLs, npm: and jsr:."""

    @property
    def is_given(self) -> bool:
        """Was any of them given?"""
        return any((self.js, self.node, self.deno))

    @property
    def file(self) -> Path:
        """The one that was given. Raises Misused unless it is exactly one."""
        given = [path for path in (self.js, self.node, self.deno) if path is not None]
        if len(given) != 1:
            raise Misused("exactly one of --js, --node and --deno must be specified")
        return given[0]


NO_CODE: Final = CodeOptions()
Code = Annotated[CodeOptions, Parameter(name="*")]


def require_one_identity(token: str | None, auth_context: dict[str, Any] | None) -> None:
    """Raises Misused unless exactly one says who asks."""
    if (token is None) == (auth_context is None):
        raise Misused("one of --token and --auth-context is required")

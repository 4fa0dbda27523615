"""Part of docs/settings.md: every setting, from the options of `statekeep serve`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import groupby
from textwrap import dedent

from cyclopts import Argument, Group

from statekeep.cli.main import app
from statekeep.settings import ENVIRONMENT_PREFIX, Settings


def settings() -> str:
    """A table for each group."""
    shown = [argument for argument in app["serve"].assemble_argument_collection() if argument.show]
    shown.sort(key=lambda argument: _group(argument).sort_key)
    told = dict(_docstrings())
    sections = groupby(shown, key=lambda argument: _group(argument).name)
    return "\n\n".join(_section(name, list(arguments), told) for name, arguments in sections)


def _section(name: str, arguments: list[Argument], told: dict[str, str]) -> str:
    rows = "\n".join(_row(argument, told[argument.field_info.name]) for argument in arguments)
    return f"## {name}\n\n| Option, variable | Default | |\n|---|---|---|\n{rows}"


def _row(argument: Argument, told: str) -> str:
    option = f"`{argument.name} {argument.parameter.metavar or _choices(argument)}`".replace(
        " `", "`"
    )
    variable = f"`{ENVIRONMENT_PREFIX}{argument.field_info.name.upper()}`"
    return f"| {option}<br>{variable} | {_default(argument)} | {told.replace('|', '&#124;')} |"


def _choices(argument: Argument) -> str:
    return ",".join(argument.get_choices() or ())


def _default(argument: Argument) -> str:
    """As `--help` shows it; nothing where there is none."""
    default, show = argument.field_info.default, argument.parameter.show_default
    text = show(default) if callable(show) else "" if default is None else str(default)
    return f"`{text.lower() if isinstance(default, bool) else text}`" if text else ""


def _group(argument: Argument) -> Group:
    groups = argument.parameter.group
    assert isinstance(groups, tuple)
    assert isinstance(groups[0], Group)
    return groups[0]


def _docstrings() -> Iterator[tuple[str, str]]:
    """What stands below each field."""
    (definition,) = ast.parse(dedent(inspect.getsource(Settings))).body
    assert isinstance(definition, ast.ClassDef)
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                yield name, text

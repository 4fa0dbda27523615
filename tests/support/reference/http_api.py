"""Parts of docs/http-api.md: every operation, scope and error, from what also makes `/openapi.json`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Final

from statekeep.api.http import routes
from statekeep.api.http.errors import status_of
from statekeep.api.http.openapi import describe
from statekeep.api.http.route import Route
from statekeep.domain.access import SCOPES, SCOPES_BY_ROLE, SCOPES_BY_USE, Role
from statekeep.domain.errors import InvalidParameter, MissingUser, StatekeepError

_ENDPOINTS_TAG: Final = "HTTP endpoints"
"""One operation for all methods."""


def operations() -> str:
    """A table for each tag of the document."""
    tags = [tag["name"] for tag in describe(routes.ALL, version="")["tags"]]
    return "\n\n".join(_section(tag) for tag in tags)


def scopes() -> str:
    """Who has which scope."""
    uses = [f"`use: {use}`" for use in SCOPES_BY_USE]
    roles = [f"`{role.value}`" for role in Role]
    holders = [*SCOPES_BY_USE.values(), *(SCOPES_BY_ROLE[role] for role in Role)]
    rows = (
        [f"`{scope}`", *("yes" if scope in held else "" for held in holders)]
        for scope in sorted(SCOPES)
    )
    head = ["Scope", *uses, *roles]
    return "\n".join(map(_row, [head, ["---"] * len(head), *rows]))


def errors() -> str:
    """Every code, by status."""
    kinds = sorted(_codes(), key=lambda kind: (status_of(kind), kind.code or ""))
    rows = [_row([str(status_of(kind)), f"`{kind.code}`", _meaning(kind)]) for kind in kinds]
    return "\n".join(["| Status | `code` | |", "|---|---|---|", *rows])


def _section(tag: str) -> str:
    listed = [route for route in routes.ALL if route.tag == tag]
    if tag == _ENDPOINTS_TAG:
        listed = listed[:1]
    rows = "\n".join(map(_operation, listed))
    return f"### {tag}\n\n| Operation | Who may | Answer |\n|---|---|---|\n{rows}"


def _operation(route: Route) -> str:
    method, summary = route.method, route.summary
    if route.tag == _ENDPOINTS_TAG:
        method, summary = "*", summary.removesuffix(f" with {route.method}")
    told = f"**{summary}.** {' '.join(route.description.split())}".strip()
    return _row([f"`{method} {route.path}`<br>{told}", _who_may(route), _answer(route)])


def _who_may(route: Route) -> str:
    scopes = [f"`{scope}`" for scope in (route.scope, *route.more_scopes) if scope]
    if scopes:
        return "<br>".join(scopes)
    if route.is_public:
        return "anybody"
    return "a member" if MissingUser in route.errors else "a caller"


def _answer(route: Route) -> str:
    """Its status and shape, and the errors that not every operation may answer."""
    shape = f"{route.status} `{route.answer.__name__}`" if route.answer else str(route.status)
    special = set(route.errors) - {InvalidParameter, MissingUser}
    codes = sorted((status_of(kind), kind.code or "") for kind in special)
    return "<br>".join([shape, *(f"{status} `{code}`" for status, code in codes)])


def _codes() -> Iterator[type[StatekeepError]]:
    """Each kind that brings a code of its own."""
    for kind in _below(StatekeepError):
        if kind.__dict__.get("code") is not None:
            yield kind


def _below(kind: type[StatekeepError]) -> Iterator[type[StatekeepError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _meaning(kind: type[StatekeepError]) -> str:
    first, *_ = (inspect.getdoc(kind) or "").split("\n\n")
    return " ".join(first.split())


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"

"""Every operation of the Python client, and the requests that it begins with."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from statekeep.client.models import DeviceAuthorization
from statekeep.client.noun import Noun
from statekeep.client.pages import Listing
from statekeep.client.steps import Connect, Request

_ARGUMENTS: dict[str, Any] = {
    "algs": [],
    "authorization": DeviceAuthorization("x", "x", "x", 900),
    "code_upload_fields": {},
    "codes": [],
    "content": b"",
    "from_": datetime(2026, 1, 31, tzinfo=UTC),
    "instances": [],
    "context": {},
    "headers": {},
    "index_selectors": {},
    "json": {},
    "limit": 1,
    "mapping": {},
    "method": "get",
    "query": None,
    "to": datetime(2026, 1, 31, tzinfo=UTC),
}


class Recorder:
    """A shell that takes no step, and remembers the first request, or that a socket is wanted."""

    def __init__(self) -> None:
        self.first: Any = None

    def take(self, steps: Iterator[Any]) -> None:
        self.first = next(step for step in steps if isinstance(step, Request | Connect))

    def iterate(self, steps: Iterator[Any]) -> None:
        self.take(steps)

    def pages(self, listing: Listing[Any]) -> None:
        self.take(listing.page(None))


def requests_of(nouns: Any) -> list[tuple[str, Request]]:
    """The first request of each operation that makes one, with its name ("machines.get"): as little as can be said, and all of it.

    `nouns` are a client's, on a Recorder.
    """
    found: list[tuple[str, Request]] = []
    for path, noun in _nouns_in(nouns, ""):
        for name, method in inspect.getmembers(noun, inspect.ismethod):
            if name.startswith("_"):
                continue
            for arguments in _arguments_of(method):
                method(**arguments)
                if isinstance(noun.shell.first, Request):
                    found.append((f"{path}.{name}", noun.shell.first))
    return found


def _nouns_in(holder: Any, path: str) -> Iterator[tuple[str, Noun[Any]]]:
    for name, noun in vars(holder).items():
        if isinstance(noun, Noun):
            yield path + name, noun
            yield from _nouns_in(noun, f"{path}{name}.")


def _arguments_of(method: Any) -> Iterator[dict[str, Any]]:
    parameters = inspect.signature(method).parameters.values()
    needed = [each.name for each in parameters if each.default is inspect.Parameter.empty]
    yield {name: _ARGUMENTS.get(name, "x") for name in needed}
    yield {each.name: _ARGUMENTS.get(each.name, "x") for each in parameters}

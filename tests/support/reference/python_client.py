"""Parts of docs/python-client.md: every operation of the client, every result, every error."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from statekeep.client import Client, models
from statekeep.client import errors as client_errors
from statekeep.client.noun import Iteration, Lister, Noun, Operation

_RETURNED: Final = re.compile(r"(?:Steps|Emits|Listing)\[(.*)\]")
_PARAGRAPHS: Final = re.compile(r"\n\n+")
_TOLD_BY_PROSE: Final = (models.Model, models.Page)
"""What the others are made of, and what every list is made of."""


def errors() -> str:
    """The tree of errors, as the module draws it."""
    _, _, tree = (inspect.getdoc(client_errors) or "").partition("\n\n")
    return f"```text\n{tree}\n```"


def operations() -> str:
    """A section for each noun of a client."""
    client = Client(None, api_url="http://127.0.0.1")
    nouns = {name: noun for name, noun in vars(client).items() if isinstance(noun, Noun)}
    return "\n\n".join(_section(name, noun) for name, noun in nouns.items())


def results() -> str:
    """What operations return."""
    items = [
        f"- `{name}`: {_told(model)}\n\n    {_fields(model)}\n"
        for name, model in vars(models).items()
        if isinstance(model, type)
        and issubclass(model, msgspec.Struct)
        and model not in (msgspec.Struct, *_TOLD_BY_PROSE)
    ]
    return "\n".join(items)


def _section(name: str, noun: Noun[Any]) -> str:
    return "\n".join([f"### client.{name}\n", f"{_told(type(noun))}\n", *_items("", noun)])


def _items(prefix: str, noun: Noun[Any]) -> Iterator[str]:
    """An item for each operation; those of a noun within this one (`dangerously`) come last."""
    for name, kind in vars(type(noun)).items():
        if isinstance(kind, Operation | Iteration | Lister):
            yield _item(prefix + name, kind, getattr(noun, name))
    for name, inner in vars(noun).items():
        if isinstance(inner, Noun):
            yield from _items(f"{prefix}{name}.", inner)


def _item(name: str, kind: object, method: Callable[..., Any]) -> str:
    signature = inspect.signature(method)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    call = signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    # Four blanks: the site asks for them, and GitHub takes them.
    paragraphs = _PARAGRAPHS.split(inspect.getdoc(method) or "")
    told = "\n\n".join(f"    {' '.join(paragraph.split())}" for paragraph in paragraphs)
    return f"- `{name}{call}` -> {_returned(kind, str(signature.return_annotation))}\n\n{told}\n"


def _returned(kind: object, annotation: str) -> str:
    match = _RETURNED.fullmatch(annotation)
    assert match is not None, annotation
    if isinstance(kind, Lister):
        return f"list of `{match[1]}`"
    return f"iterator over `{match[1]}`" if isinstance(kind, Iteration) else f"`{match[1]}`"


def _fields(model: type[msgspec.Struct]) -> str:
    types = {
        name: annotation
        for base in reversed(model.__mro__)
        for name, annotation in inspect.get_annotations(base).items()
    }
    return ", ".join(f"`{name}: {types[name]}`" for name in model.__struct_fields__)


def _told(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").split())

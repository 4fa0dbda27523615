"""What is wrong with a body, in words of JSON: msgspec tells it in words of Python, and leaves out what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any, Final, get_args

import msgspec

_MISSING: Final = re.compile(r"Object missing required field `(\w+)`(?: - at `\$\.?(.*)`)?")
_EXPECTED: Final = re.compile(r"Expected `([a-z |]+)`, got `([a-z]+)`(?: - at `\$\.?(.*)`)?")
_INVALID: Final = re.compile(r"Invalid (?:enum )?value (.*) - at `\$\.?((\w+).*)`", re.DOTALL)
_WORDS: Final = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "null": "null",
    "object": "an object",
    "str": "a string",
}


def complaint(error: msgspec.ValidationError, shape: Any, body: bytes) -> tuple[str, str | None]:
    """What is wrong with `body`, which is JSON but no `shape`, and the field at the top level that is to blame, where there is one.

    `shape` is a Struct, or a union of tagged ones.
    """
    text = str(error)
    if match := _MISSING.fullmatch(text):
        return _missing(match[1], match[2] or "", shape, body)
    if match := _EXPECTED.fullmatch(text):
        kinds = " or ".join(_WORDS.get(kind, kind) for kind in match[1].split(" | "))
        place = match[3] or "the body"
        found = _WORDS.get(match[2], match[2])
        return f"{place} has to be {kinds}, not {found}", _field(match[3])
    if match := _INVALID.fullmatch(text):
        value, place, field = match.groups()
        choices = ", ".join(_choices(shape, field))
        return f"{place} cannot be {_quoted(value)}: it is one of {choices}", field
    found_field = re.search(r"`\$\.(\w+)", text)
    return text, found_field and found_field[1]


def _missing(name: str, place: str, shape: Any, body: bytes) -> tuple[str, str]:
    if place:
        return f"{place}.{name} is missing", _field(place) or name
    sent = msgspec.json.decode(body or b"{}", type=dict[str, msgspec.Raw])
    known = {field.encode_name for struct in _structs(shape) for field in struct.fields}
    nearest = difflib.get_close_matches(name, [key for key in sent if key not in known], n=1)
    hint = f': is "{nearest[0]}" meant to be it?' if nearest else ""
    return f"{name} is missing{hint}", name


def _field(place: str | None) -> str | None:
    match = re.match(r"\w+", place or "")
    return match and match[0]


def _quoted(value: str) -> str:
    return f'"{value[1:-1]}"' if value.startswith("'") else value


def _structs(shape: Any) -> list[msgspec.inspect.StructType]:
    kinds = [msgspec.inspect.type_info(kind) for kind in get_args(shape) or [shape]]
    return [kind for kind in kinds if isinstance(kind, msgspec.inspect.StructType)]


def _choices(shape: Any, field: str) -> Iterator[str]:
    for struct in _structs(shape):
        if struct.tag_field == field:
            yield str(struct.tag)
        for known in struct.fields:
            if known.encode_name == field:
                yield from _literals(known.type)


def _literals(kind: Any) -> Iterator[str]:
    if isinstance(kind, msgspec.inspect.LiteralType):
        yield from map(str, kind.values)
    inner = [
        *getattr(kind, "types", ()),
        getattr(kind, "item_type", None),
        getattr(kind, "type", None),
    ]
    for part in filter(None, inner):
        yield from _literals(part)

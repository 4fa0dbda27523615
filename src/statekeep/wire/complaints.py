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
_UNKNOWN: Final = re.compile(
    r"Object contains unknown field `(.*?)`(?: - at `\$\.?(.*)`)?", re.DOTALL
)
_NAME_LENGTH_MAX: Final = 100
"""Characters of a field that nobody knows, as far as it is compared and shown."""
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
    if match := _UNKNOWN.fullmatch(text):
        return _unknown(match[1], match[2] or "", shape)
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


def _unknown(name: str, place: str, shape: Any) -> tuple[str, str]:
    name = name[:_NAME_LENGTH_MAX]
    known = [field.encode_name for struct in _structs_at(shape, place) for field in struct.fields]
    nearest = difflib.get_close_matches(name, known, n=1) or [
        field for field in known if name and field.startswith(name)
    ]
    hint = f'is "{nearest[0]}" meant?' if nearest else f"there are {', '.join(known)}"
    return f"{place}{'.' if place else ''}{name} is not known here: {hint}", _field(place) or name


def _field(place: str | None) -> str | None:
    match = re.match(r"\w+", place or "")
    return match and match[0]


def _quoted(value: str) -> str:
    return f'"{value[1:-1]}"' if value.startswith("'") else value


def _structs(shape: Any) -> list[msgspec.inspect.StructType]:
    kinds = [msgspec.inspect.type_info(kind) for kind in get_args(shape) or [shape]]
    return [kind for kind in kinds if isinstance(kind, msgspec.inspect.StructType)]


def _structs_at(shape: Any, place: str) -> list[msgspec.inspect.StructType]:
    """Those that may stand at a place, as `query` or `instances[0]`."""
    found = _structs(shape)
    for step in re.findall(r"\w+", place):
        if not step.isdigit():
            fields = [field for struct in found for field in struct.fields]
            inner = [_structs_in(field.type) for field in fields if field.encode_name == step]
            found = [struct for structs in inner for struct in structs]
    return found


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
    for part in _parts(kind):
        yield from _literals(part)


def _structs_in(kind: Any) -> Iterator[msgspec.inspect.StructType]:
    if isinstance(kind, msgspec.inspect.StructType):
        yield kind
    for part in _parts(kind):
        yield from _structs_in(part)


def _parts(kind: Any) -> Iterator[Any]:
    """What a type is made of: the members of a union, the items of a list, what is annotated."""
    yield from getattr(kind, "types", ())
    yield from filter(None, (getattr(kind, name, None) for name in ("item_type", "type")))

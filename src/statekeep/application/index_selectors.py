"""Which part of the context fills which index of a machine.

A selector is a JSONPath (RFC 9535) of names, positions, slices and wildcards; `owner` alone means `$.owner`. It is followed after every event, on the thread that
serves everybody, so what it may look at is counted: filters and descendants (`..`) have no place in it (decision 0007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import jsonpath
from jsonpath.segments import JSONPathChildSegment
from jsonpath.selectors import (
    IndexSelector,
    JSONPathSelector,
    NameSelector,
    SliceSelector,
    WildcardSelector,
)

from statekeep.domain.errors import InvalidParameter, TooLarge
from statekeep.domain.index import IndexEntries
from statekeep.domain.limits import (
    INDEX_ENTRIES_MAX,
    INDEX_SEARCH_VALUES_MAX,
    INDEX_SELECTOR_LENGTH_MAX,
    INDEX_VALUE_BYTES_MAX,
)
from statekeep.domain.machine import Machine, MachineVersion

_ENVIRONMENT: Final = jsonpath.JSONPathEnvironment(strict=True)

Step = Callable[[Any], Iterable[Any]]
"""From a value to some of those directly in it."""


class _BadSelector(Exception):
    """No JSONPath, or one that is not allowed."""


def merge_selectors(
    machine: Machine, current: MachineVersion | None, named: Mapping[str, str]
) -> dict[str, str]:
    """The selectors of a new version: those named, and for each other index the current version's.

    Raises InvalidParameter where the machine has no such index or a selector is none that can be followed.
    """
    for index, selector in named.items():
        if index not in machine.indexes:
            raise InvalidParameter(
                f"machine {machine.name} has no index {index}", parameter="indexSelectors"
            )
        _require_selector(index, selector)
    kept = {} if current is None else current.index_selectors
    return {**kept, **named}


class IndexPlan:
    """The selectors that apply to an instance, compiled: those of its own version, and for other indexes those it inherits."""

    def __init__(self, own: Mapping[str, str], current: Mapping[str, str]) -> None:
        inherited = {index: selector for index, selector in current.items() if index not in own}
        self._own = _compiled(own)
        self._inherited = _compiled(inherited)

    @property
    def is_empty(self) -> bool:
        """Is there nothing to index?"""
        return not self._own and not self._inherited

    def entries_of(self, context: Any) -> IndexEntries:
        """What the selectors find in a context: strings, and the strings in lists. Anything else stands in no index.

        Raises TooLarge where one of the version's own finds too much. An inherited one then finds nothing: who published it did not ask this version's
        authors, whose events must not fail for it.
        """
        entries = []
        for index, steps in self._own:
            entries += _entries(index, steps, context)
        for index, steps in self._inherited:
            try:
                entries += _entries(index, steps, context)
            except TooLarge:
                continue
        return frozenset(entries)


def _compiled(selectors: Mapping[str, str]) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    compiled = []
    for index, selector in selectors.items():
        try:
            compiled.append((index, steps_of(selector)))
        except _BadSelector:
            # Published by another release, which followed more. This one finds nothing by it.
            continue
    return tuple(compiled)


def _entries(index: str, steps: tuple[Step, ...], context: Any) -> list[tuple[str, str]]:
    values = {value for value in _strings(_found(index, steps, context)) if _is_short(index, value)}
    if len(values) > INDEX_ENTRIES_MAX:
        raise TooLarge(
            f"index {index} would hold {len(values)} values of this instance; {INDEX_ENTRIES_MAX} are allowed"
        )
    return [(index, value) for value in values]


def _found(index: str, steps: tuple[Step, ...], context: Any) -> list[Any]:
    found = [context]
    left = INDEX_SEARCH_VALUES_MAX
    for step in steps:
        inner: list[Any] = []
        for value in found:
            inner += step(value)
            if len(inner) > left:
                raise TooLarge(
                    f"the selector of index {index} would look at more than {INDEX_SEARCH_VALUES_MAX} values"
                )
        left -= len(inner)
        found = inner
    return found


def _strings(found: Iterable[Any]) -> Iterable[str]:
    for value in found:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, str))


def _is_short(index: str, value: str) -> bool:
    if len(value) * 4 > INDEX_VALUE_BYTES_MAX and len(value.encode()) > INDEX_VALUE_BYTES_MAX:
        raise TooLarge(
            f"a value for index {index} has more than {INDEX_VALUE_BYTES_MAX} bytes of UTF-8"
        )
    return True


def _require_selector(index: str, selector: str) -> None:
    try:
        steps_of(selector)
    except _BadSelector as error:
        raise InvalidParameter(
            f"the selector of {index} {error}", parameter="indexSelectors"
        ) from error


@lru_cache(maxsize=2_000)
def steps_of(selector: str) -> tuple[Step, ...]:
    """The steps of a selector. Raises where it is none."""
    if len(selector) > INDEX_SELECTOR_LENGTH_MAX:
        raise _BadSelector(f"is longer than {INDEX_SELECTOR_LENGTH_MAX} characters")
    try:
        path = _ENVIRONMENT.compile(selector if selector.startswith("$") else f"$.{selector}")
    except (jsonpath.JSONPathError, ArithmeticError, ValueError, RecursionError) as error:
        # The library's messages go on with a drawing of where the error is.
        why = str(error).partition("\n")[0]
        raise _BadSelector(f"is no JSONPath: {why}") from error
    assert isinstance(path, jsonpath.JSONPath), "strict paths are not joined to others"
    return tuple(_step(segment) for segment in path.segments)


def _step(segment: object) -> Step:
    if not isinstance(segment, JSONPathChildSegment):
        raise _BadSelector("descends with .., which an index can not: name the way to the value")
    steps = [_selector_step(selector) for selector in segment.selectors]
    if len(steps) == 1:
        return steps[0]
    return lambda value: [inner for step in steps for inner in step(value)]


def _selector_step(selector: JSONPathSelector) -> Step:
    # The library would do all this too, and takes ten microseconds to follow one name.
    if type(selector) is NameSelector:
        return _named(selector.name)
    if type(selector) is IndexSelector:
        return _at(selector.index)
    if type(selector) is SliceSelector:
        return _slice(selector.slice)
    if type(selector) is WildcardSelector:
        return _all
    raise _BadSelector("has more than names, positions, slices and wildcards in its steps")


def _named(name: str) -> Step:
    return lambda value: (value[name],) if isinstance(value, dict) and name in value else ()


def _at(position: int) -> Step:
    return lambda value: (
        (value[position],)
        if isinstance(value, list) and -len(value) <= position < len(value)
        else ()
    )


def _slice(part: slice) -> Step:
    return lambda value: value[part] if isinstance(value, list) and part.step != 0 else ()


def _all(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()

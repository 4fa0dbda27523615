"""Which part of the context fills which index of a machine.

A selector is a JSONPath (RFC 9535) of names, positions, slices and wildcards; `owner` alone means `$.owner`. It is followed after every event, on the thread that
serves everybody, so what it may look at is counted: filters and descendants (`..`) have no place in it (decision 0007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice
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
    INDEX_ENTRIES_TOTAL_MAX,
    INDEX_SEARCH_VALUES_MAX,
    INDEX_SELECTOR_LENGTH_MAX,
    INDEX_VALUE_BYTES_MAX,
    NAME_LENGTH_MAX,
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
                f'machine {machine.name} has no index "{index[:NAME_LENGTH_MAX]}"; those that it has were named when it was made:'
                f" {', '.join(machine.indexes) or 'none'}",
                parameter="indexSelectors",
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
        search = _Search()
        for index, steps in self._own:
            search.add(index, steps, context)
        for index, steps in self._inherited:
            with suppress(TooLarge):
                search.add(index, steps, context)
        return frozenset(search.entries)


def _compiled(selectors: Mapping[str, str]) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    compiled = []
    for index, selector in selectors.items():
        try:
            compiled.append((index, steps_of(selector)))
        except _BadSelector:
            # Published by another release, which followed more. This one finds nothing by it.
            continue
    return tuple(compiled)


class _Search:
    """What the selectors of one instance find, within bounds that they share: all of them are followed between two events."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self._left = INDEX_SEARCH_VALUES_MAX

    def add(self, index: str, steps: tuple[Step, ...], context: Any) -> None:
        """Take what stands in an index. Raises TooLarge, with nothing taken."""
        found: list[Any] = [context]
        for step in steps:
            found = self._look_at(index, chain.from_iterable(map(step, found)))
        lists = [value for value in found if isinstance(value, list)]
        found += self._look_at(index, chain.from_iterable(lists))
        values = {value for value in found if isinstance(value, str)}
        for value in values:
            _require_short(index, value)
        if len(values) > INDEX_ENTRIES_MAX:
            raise TooLarge(
                f"index {index} would hold {len(values)} values of this instance; {INDEX_ENTRIES_MAX} are allowed"
            )
        if len(self.entries) + len(values) > INDEX_ENTRIES_TOTAL_MAX:
            raise TooLarge(
                f"with index {index} there would be more than {INDEX_ENTRIES_TOTAL_MAX} values of this instance in all indexes"
            )
        self.entries += [(index, value) for value in values]

    def _look_at(self, index: str, values: Iterable[Any]) -> list[Any]:
        # One at a time: a few characters of a selector can stand for more values than there is memory for.
        seen = list(islice(values, self._left + 1))
        if len(seen) > self._left:
            raise TooLarge(
                f"the selectors up to that of index {index} would look at more than {INDEX_SEARCH_VALUES_MAX} values"
            )
        self._left -= len(seen)
        return seen


def _require_short(index: str, value: str) -> None:
    if len(value) * 4 > INDEX_VALUE_BYTES_MAX and len(value.encode()) > INDEX_VALUE_BYTES_MAX:
        raise TooLarge(
            f"a value for index {index} has more than {INDEX_VALUE_BYTES_MAX} bytes of UTF-8"
        )


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
    return lambda value: chain.from_iterable(step(value) for step in steps)


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

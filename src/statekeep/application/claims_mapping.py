"""Mappings: from the claims of one token to those of another (SPEC 3).

A mapping is copied as it is, but what stands under a key that ends in `.$` is a JSONPath (RFC 9535) into the source, and the suffix is dropped.
A path that finds nothing leaves its key out, one that finds one value stands for that, one that finds several for a list of them.

What must stay true: neither a hostile mapping nor hostile claims take long, or make much of little. So a path has one selector at each step and
descends (`..`) once at most, which bounds what it looks at by its length times the size of the claims; filters know comparisons and no functions; the
searching steps of a mapping are counted; claims are bounded before they are searched, and again when they were made.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import jsonpath
from jsonpath import filter as expressions
from jsonpath.segments import JSONPathRecursiveDescentSegment
from jsonpath.selectors import Filter, IndexSelector, NameSelector, SliceSelector, WildcardSelector

from statekeep.domain import limits
from statekeep.domain.errors import InvalidExchange, InvalidParameter

_SUFFIX: Final = ".$"
_ENVIRONMENT: Final = jsonpath.JSONPathEnvironment(strict=True)
_STEPS_OF_DESCENT: Final = 8
"""It looks at the same claims as a wildcard, and takes so many times as long for deep ones."""
_PLAIN_SELECTORS: Final = (NameSelector, IndexSelector)
_SELECTORS: Final = (*_PLAIN_SELECTORS, SliceSelector, WildcardSelector, Filter)
_FILTER_EXPRESSIONS: Final = (
    expressions.FilterExpression,
    expressions.CachingFilterExpression,
    expressions.InfixExpression,
    expressions.PrefixExpression,
    expressions.RelativeFilterQuery,
    expressions.BooleanLiteral,
    expressions.StringLiteral,
    expressions.IntegerLiteral,
    expressions.FloatLiteral,
    expressions.Nil,
)


def require_mapping(mapping: Mapping[str, Any]) -> None:
    """Nothing where the mapping can be applied. Raises InvalidParameter that names what is wrong with it."""
    try:
        require_bounded(mapping, size_max=limits.MAPPING_SIZE_MAX)
        steps = sum(_search_steps(text) for text in _paths_in(mapping))
    except (_TooMuch, _BadPath) as error:
        raise _invalid(str(error)) from error
    if steps > limits.MAPPING_SEARCH_STEPS_MAX:
        raise _invalid(
            f"its paths with wildcards, slices, filters or .. have {steps} steps together;"
            f" {limits.MAPPING_SEARCH_STEPS_MAX} are allowed"
        )


def apply_mapping(mapping: Mapping[str, Any], claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims that a mapping makes of others. `require_mapping` has seen the mapping, `require_claims` the claims.

    Raises InvalidExchange where too much would come of it.
    """
    mapped = _mapped_object(mapping, claims)
    require_claims(mapped, size_max=limits.MAPPED_CLAIMS_SIZE_MAX)
    return mapped


def require_claims(claims: Mapping[str, Any], *, size_max: int) -> None:
    """Raises InvalidExchange where claims are too large or nested too deeply."""
    try:
        require_bounded(claims, size_max=size_max)
    except _TooMuch as error:
        raise InvalidExchange(f"the claims are too large: {error}") from error


class _TooMuch(Exception):
    """A value over its bounds."""


class _BadPath(Exception):
    """A path that is none, or one that is not allowed."""


def require_bounded(value: Any, *, size_max: int) -> None:
    """Raises where `value` has more characters and values than `size_max`, or is nested deeper than the limit.

    What is counted is what would be written out: a value that is there twice counts twice.
    """
    left = size_max
    waiting = [(value, limits.CLAIMS_DEPTH_MAX)]
    while waiting:
        value, depth = waiting.pop()
        left -= 1 + (len(value) if isinstance(value, str) else 0)
        if isinstance(value, Mapping):
            left -= sum(map(len, value))
        if left < 0:
            raise _TooMuch(f"more than {size_max} characters and values")
        if isinstance(value, Mapping | list):
            if depth == 0:
                raise _TooMuch(f"nested deeper than {limits.CLAIMS_DEPTH_MAX}")
            inner = value.values() if isinstance(value, Mapping) else value
            # Only as many as could still be counted: what is over the bound is not even listed.
            waiting.extend((one, depth - 1) for one, _ in zip(inner, range(left + 1), strict=False))


def _paths_in(value: Any) -> Iterable[str]:
    """Every path of a mapping. Raises _BadPath where something else stands in the place of one."""
    if isinstance(value, list):
        for item in value:
            yield from _paths_in(item)
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        if not key.endswith(_SUFFIX):
            yield from _paths_in(inner)
            continue
        name = key.removesuffix(_SUFFIX)
        if not name or name in value:
            raise _BadPath(f"{key!r} stands for the key {name!r}, which is empty or there already")
        if not isinstance(inner, str):
            raise _BadPath(f"what {key!r} holds is no JSONPath; copy values without the suffix .$")
        yield inner


def _search_steps(text: str) -> int:
    """The steps of a path that may look at every claim: none where each names one value. Raises _BadPath."""
    path = _compiled(text)
    descents, steps, is_searching = 0, 0, False
    for segment in path.segments:
        if len(segment.selectors) != 1:
            raise _BadPath(f"{text!r} has several selectors in one step")
        selector = segment.selectors[0]
        if type(selector) not in _SELECTORS:
            raise _BadPath(f"{text!r} uses more of JSONPath than mappings may")
        is_descent = isinstance(segment, JSONPathRecursiveDescentSegment)
        descents += is_descent
        is_searching = is_searching or is_descent or type(selector) not in _PLAIN_SELECTORS
        steps += _STEPS_OF_DESCENT if is_descent else is_searching
        if isinstance(selector, Filter):
            steps += _filter_steps(selector.expression, text)
    if descents > 1:
        raise _BadPath(f"{text!r} has .. more than once")
    return steps


def _filter_steps(expression: expressions.BaseExpression, text: str) -> int:
    if type(expression) not in _FILTER_EXPRESSIONS:
        raise _BadPath(f"{text!r} has a filter with more than comparisons of claims")
    if isinstance(expression, expressions.RelativeFilterQuery):
        if not expression.path.singular_query():
            raise _BadPath(f"{text!r} searches within a filter")
        return len(expression.path.segments)
    return 1 + sum(_filter_steps(child, text) for child in expression.children())


@lru_cache(maxsize=2_000)
def _compiled(text: str) -> jsonpath.JSONPath:
    if len(text) > limits.MAPPING_PATH_LENGTH_MAX:
        raise _BadPath(f"a path has more than {limits.MAPPING_PATH_LENGTH_MAX} characters")
    try:
        path = _ENVIRONMENT.compile(text if text.startswith("$") else f"$.{text}")
    except (jsonpath.JSONPathError, ArithmeticError, ValueError, RecursionError) as error:
        # The library's messages go on with a drawing of where the error is.
        why = str(error).partition("\n")[0]
        raise _BadPath(
            f"{text!r} is no JSONPath: {why}. A claim with other characters in its name is written $['name']"
        ) from error
    assert isinstance(path, jsonpath.JSONPath), "strict paths are not joined to others"
    return path


def _mapped_object(mapping: Mapping[str, Any], claims: Mapping[str, Any]) -> dict[str, Any]:
    mapped = {}
    for key, value in mapping.items():
        if not key.endswith(_SUFFIX):
            mapped[key] = _mapped(value, claims)
            continue
        found = _found(value, claims)
        if found:
            mapped[key.removesuffix(_SUFFIX)] = found[0] if len(found) == 1 else found
    return mapped


def _found(text: str, claims: Mapping[str, Any]) -> list[Any]:
    matches = itertools.islice(_compiled(text).finditer(claims), limits.MAPPING_MATCHES_MAX + 1)
    found = [match.obj for match in matches]
    if len(found) > limits.MAPPING_MATCHES_MAX:
        raise InvalidExchange(f"{text!r} finds more than {limits.MAPPING_MATCHES_MAX} claims")
    return found


def _mapped(value: Any, claims: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return _mapped_object(value, claims)
    if isinstance(value, list):
        return [_mapped(item, claims) for item in value]
    return value


def _invalid(what: str) -> InvalidParameter:
    return InvalidParameter(f"mapping: {what}", parameter="mapping")

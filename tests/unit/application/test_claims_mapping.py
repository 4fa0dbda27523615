"""Claims made of claims, and mappings that nobody should be able to harm the server with."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statekeep.application.claims_mapping import apply_mapping, require_claims, require_mapping
from statekeep.domain import limits
from statekeep.domain.errors import InvalidExchange, InvalidParameter

CLAIMS: dict[str, Any] = {
    "sub": "auth0|ada",
    "email": "ada@example.com",
    "email_verified": False,
    "nothing": None,
    "https://example.com/roles": ["admin", "author"],
    "app_metadata": {"provider": "google", "teams": [{"id": 1}, {"id": 2}]},
    "identities": [
        {"provider": "google", "id": "g-1", "is_main": True},
        {"provider": "github", "id": "h-1", "is_main": False},
    ],
}


def mapped(mapping: dict[str, Any], claims: dict[str, Any] = CLAIMS) -> dict[str, Any]:
    require_mapping(mapping)
    return apply_mapping(mapping, claims)


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({}, {}),
        (
            {"provider": "auth0", "n": [1, {"a": None}]},
            {"provider": "auth0", "n": [1, {"a": None}]},
        ),
        ({"sub.$": "$.sub"}, {"sub": "auth0|ada"}),
        ({"sub.$": "sub"}, {"sub": "auth0|ada"}),
        ({"who.$": "app_metadata.provider"}, {"who": "google"}),
        ({"sub": "$.sub"}, {"sub": "$.sub"}),
        ({"a.$": "$.email_verified", "b.$": "$.nothing"}, {"a": False, "b": None}),
        ({"a.$": "$.missing", "b.$": "$.sub.deeper", "c.$": "$.identities[7]"}, {}),
        ({"roles.$": "$['https://example.com/roles']"}, {"roles": ["admin", "author"]}),
        ({"role.$": "$['https://example.com/roles'][-1]"}, {"role": "author"}),
        ({"all.$": "$"}, {"all": CLAIMS}),
        ({"a": {"b": [{"c.$": "$.sub"}, {"d.$": "$.x"}]}}, {"a": {"b": [{"c": "auth0|ada"}, {}]}}),
        ({"a.$.$": "$.sub"}, {"a.$": "auth0|ada"}),
        ({"$": "$.sub", ".$x": 1}, {"$": "$.sub", ".$x": 1}),
    ],
)
def test_a_mapping_is_copied_but_for_its_paths(mapping, expected):
    """What stands under a key that ends in .$ is looked up; a path that finds nothing leaves the key out."""
    assert mapped(mapping) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.identities[*].id", ["g-1", "h-1"]),
        ("$.identities[1:].id", "h-1"),
        ("$..teams[*].id", [1, 2]),
        ("$.identities[?@.is_main == true].id", "g-1"),
        ("$.identities[?(@.provider=='github' && !(@.is_main == true))].id", "h-1"),
        ("$.identities[?@.nope].id", None),
    ],
)
def test_one_match_is_the_value_and_several_are_a_list(path, expected):
    """In the order in which they stand in the claims."""
    assert mapped({"found.$": path}).get("found") == expected


@pytest.mark.parametrize(
    ("mapping", "hint"),
    [
        ({"a.$": "$."}, "no JSONPath"),
        ({"a.$": ""}, "no JSONPath"),
        ({"a.$": "https://example.com/roles"}, r"\$\['name'\]"),
        ({"a.$": "$.a b"}, "no JSONPath"),
        ({"a.$": "$.a | $.b"}, "no JSONPath"),
        ({"a.$": "$[9999999999999999999]"}, "no JSONPath"),
        ({"a.$": 7}, "without the suffix"),
        ({"a.$": {"b": 1}}, "without the suffix"),
        ({"a": [{"b": {"c.$": None}}]}, "without the suffix"),
        ({".$": "$.a"}, "empty"),
        ({"a": 1, "a.$": "$.a"}, "there already"),
        ({"a.$": "$." + "a" * limits.MAPPING_PATH_LENGTH_MAX}, "characters"),
        ({"a": "x" * limits.MAPPING_SIZE_MAX}, "characters and values"),
        ({"a.$": "$.a['b','c']"}, "several selectors"),
        ({"a.$": "$..a..b"}, "more than once"),
        ({"a.$": "$[?match(@.a, '(a*)*b')]"}, "more than comparisons"),
        ({"a.$": "$[?length(@.a) > 1]"}, "more than comparisons"),
        ({"a.$": "$[?@.a == $.b]"}, "more than comparisons"),
        ({"a.$": "$[?@..a]"}, "searches within a filter"),
        ({"a.$": "$[?@[?@.a]]"}, "searches within a filter"),
        ({f"{n}.$": "$..a[*].b" for n in range(3)}, "30 steps"),
    ],
)
def test_what_is_no_mapping_is_refused_with_the_reason(mapping, hint):
    """When it is configured, and not to each user later."""
    with pytest.raises(InvalidParameter, match=hint) as raised:
        require_mapping(mapping)
    assert raised.value.parameter == "mapping"


def nested(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def test_depth_is_bounded():
    """Of mappings and of claims, also far beyond what Python could recurse into."""
    require_mapping(nested(limits.CLAIMS_DEPTH_MAX))
    for depth in (limits.CLAIMS_DEPTH_MAX + 1, 100_000):
        with pytest.raises(InvalidParameter, match="deeper"):
            require_mapping(nested(depth))
        with pytest.raises(InvalidExchange, match="deeper"):
            require_claims(nested(depth), size_max=1_000_000)


def test_little_does_not_become_much():
    """A mapping of a mapping of everything many times over would be more than any memory holds."""
    copies = {f"{n}.$": "$" for n in range(1_000)}
    with pytest.raises(InvalidExchange, match="too large"):
        mapped(copies, {"text": "x" * 100})
    few = {f"{n}.$": "$" for n in range(10)}
    claims: dict[str, Any] = {"a": "x"}
    claims = mapped(few, mapped(few, claims))
    with pytest.raises(InvalidExchange, match="too large"):
        mapped(few, mapped(few, claims))
    with pytest.raises(InvalidExchange, match="finds more"):
        mapped({"a.$": "$.a[*]"}, {"a": [0] * (limits.MAPPING_MATCHES_MAX + 1)})


def hostile_claims() -> list[dict[str, Any]]:
    """As much as a token may hold, wide and deep."""
    size = limits.SUBJECT_TOKEN_BYTES_MAX * 3 // 4
    wide = {"a": [0] * (size // 2)}
    tower: Any = 1
    for _ in range(14):
        tower = [tower]
    deep = {"a": [tower] * (size // 30)}
    bushy = {"a": [{"a": [{"a": 1}] * 3}] * (size // 40)}
    return [wide, deep, bushy]


@pytest.mark.parametrize("claims", hostile_claims(), ids=["wide", "deep", "bushy"])
@pytest.mark.parametrize(
    "path", ["$..[*][*][*][*][*][*].x", "$..a[*].a[*].a[*].x", "$..[?@.a.a == 1]", "$..*"]
)
def test_the_worst_mapping_does_not_take_long(claims, path):
    """With as many searching steps as are allowed, on claims as large as they come. The bound is loose, as machines are slow at times."""
    mapping: dict[str, Any] = {}
    while True:
        more = mapping | {f"{len(mapping)}.$": path}
        try:
            require_mapping(more)
        except InvalidParameter:
            break
        mapping = more
    require_claims(claims, size_max=limits.SUBJECT_TOKEN_BYTES_MAX)
    begin = time.process_time()
    with suppress(InvalidExchange):
        apply_mapping(mapping, claims)
    assert time.process_time() - begin < 1


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "a.$", "b.$", ".$", "$"]),
        json_values | st.text(alphabet="$.ab[]*?@'=:,0 ()&|", max_size=12),
    ),
    st.dictionaries(st.sampled_from(["a", "b", "$"]), json_values),
)
def test_any_mapping_is_taken_or_refused(mapping, claims):
    """And what is taken can be applied to any claims."""
    try:
        require_mapping(mapping)
    except InvalidParameter:
        return
    assert isinstance(apply_mapping(mapping, claims), dict)

"""How deep JSON is nested."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statekeep.domain import limits
from statekeep.wire.depth import JSON_DEPTH_MAX, is_too_deep


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b"5", 0),
        (b'"[[["', 0),
        (b"[]", 1),
        (b'{"a":[1,{}],"b":[[[]]]}', 4),
        (b'[[],[],"\\"[[",[[]]]', 3),
        (b'["\\\\",[]]', 2),
    ],
)
def test_lists_and_objects_count_and_text_does_not(text, depth):
    """Whatever is quoted in it."""
    assert not is_too_deep(text, depth)
    assert depth == 0 or is_too_deep(text, depth - 1)


VALUES = st.recursive(
    st.none() | st.text(st.sampled_from('a"\\[]{}\n')),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 5))
def test_it_is_as_deep_as_what_it_stands_for(value, depth_max):
    """Counted where it was decoded."""
    assert is_too_deep(json.dumps(value).encode(), depth_max) == (depth_of(value) > depth_max)


def depth_of(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def test_the_bound_is_that_of_the_domain():
    """Which wire does not know."""
    assert JSON_DEPTH_MAX == limits.JSON_DEPTH_MAX

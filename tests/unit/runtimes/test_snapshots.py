"""Finding what is in a snapshot."""

from __future__ import annotations

import pytest

from statekeep.domain.errors import TooLarge
from statekeep.ports.snapshots import Place
from statekeep.runtimes.snapshots import (
    read_context,
    read_leaves,
    read_places,
    read_state_value,
)


def test_the_context_is_found() -> None:
    """Whatever stands around it, and whatever it is."""
    assert read_context(b'{"value":{"a":"b"},"context":{"n":[1,2.5,null]},"children":{}}') == {
        "n": [1, 2.5, None]
    }
    assert read_context(b'{"value":"on"}') is None


def test_half_characters_become_whole_ones() -> None:
    """A string of JavaScript may have them; what is stored and sent may not."""
    snapshot = rb'{"context":{"a":"x\ud800y","b":["\ude00"],"\udc00":{},"c":"\ud83d\ude00"}}'
    assert read_context(snapshot) == {
        "a": "x\ufffdy",
        "b": ["\ufffd"],
        "\ufffd": {},
        "c": "\U0001f600",
    }


@pytest.mark.parametrize("value", [b"1", rb'"\ud800"'])
def test_what_is_nested_too_deeply_is_too_large(value: bytes) -> None:
    """It is refused, and ends nothing else."""
    with pytest.raises(TooLarge, match="nested"):
        read_context(b'{"context":' + b"[" * 200_000 + value + b"]" * 200_000 + b"}")


def test_a_state_value_is_read_as_it_is():
    """The bytes of the snapshot, whatever is around them."""
    snapshot = b'{"value":{"a":{"x":"y"},"b":{}},"context":{"value":1}}'
    assert read_state_value(snapshot) == b'{"a":{"x":"y"},"b":{}}'


@pytest.mark.parametrize(
    ("value", "leaves"),
    [
        (b'"on"', [("on",)]),
        (b"{}", [()]),
        (b'{"a":"b","c":{"d":{},"e":"f"}}', [("a", "b"), ("c", "d"), ("c", "e", "f")]),
        (b'"\\ud800"', [("\ud800",)]),
    ],
)
def test_leaves_are_the_innermost_states(value, leaves):
    """In the order of the value; a machine without states is in its root."""
    assert read_leaves(value) == leaves


@pytest.mark.parametrize("name", ["a", "\\ud800"])
def test_places_are_the_states_of_an_outline(name):
    """In its order, with half surrogate pairs as they are."""
    states = '[{"path":[],"type":"compound"},{"path":["NAME"],"type":"history"}]'
    outline = '{"major":5,"states":' + states.replace("NAME", name) + "}"
    key = "a" if name == "a" else "\ud800"
    assert read_places(outline.encode()) == [Place(()), Place((key,), is_history=True)]

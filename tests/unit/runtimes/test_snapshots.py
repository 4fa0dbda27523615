"""Finding the context in a snapshot."""

from __future__ import annotations

import pytest

from statekeep.domain.errors import TooLarge
from statekeep.runtimes.snapshots import read_context


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

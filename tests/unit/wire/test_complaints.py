"""What is wrong with a body, as its sender is told."""

from __future__ import annotations

import pytest

from statekeep.wire import codecs, requests


@pytest.mark.parametrize(
    ("shape", "body", "message"),
    [
        (requests.CreateMachine, b"{}", "slug is missing"),
        (requests.CreateMachine, b'{"slg": "x"}', 'slug is missing: is "slg" meant to be it?'),
        (requests.CreateMachine, b'{"slug": 1}', "slug has to be a string, not a whole number"),
        (requests.CreateMachine, b'{"slug": null}', "slug has to be a string, not null"),
        (requests.CreateMachine, b"[]", "the body has to be an object, not a list"),
        (
            requests.CreateMachine,
            b'{"slug": "x", "indexes": ["a", 2]}',
            "indexes[1] has to be a string, not a whole number",
        ),
        (
            requests.CreateMachine,
            b'{"slug": "x", "indexes": true}',
            "indexes has to be a list, not true or false",
        ),
        (
            requests.CreateKey,
            b'{"name": "x", "use": "test"}',
            'use cannot be "test": it is one of ci, production',
        ),
    ],
)
def test_what_is_malformed_is_told_in_words_of_json(shape: type, body: bytes, message: str) -> None:
    """Not of Python, and with what to do."""
    with pytest.raises(codecs.Malformed) as caught:
        codecs.decoder_for(shape)(body)
    assert caught.value.message == message

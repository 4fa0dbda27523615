from __future__ import annotations

import pytest

from statekeep.api.http.hot import event_of, idempotency_key_in
from statekeep.domain.errors import InvalidParameter
from statekeep.wire.requests import SendEvent


def test_a_bare_name_is_an_event_of_that_type() -> None:
    """So it reaches allowWrite and the machine as an object."""
    assert event_of(SendEvent("open")) == ("open", b'{"type":"open"}')


def test_an_event_is_one_compact_line() -> None:
    """In the order in which the caller wrote it."""
    event = event_of(SendEvent({"z": "a\nb", "type": "open", "n": [1, 2.5, None]}))
    assert event == ("open", b'{"z":"a\\nb","type":"open","n":[1,2.5,null]}')


@pytest.mark.parametrize("event", ["", {}, {"type": ""}, {"type": None}, {"type": ["open"]}])
def test_an_event_has_a_type(event: object) -> None:
    """The empty one is XState's own, for transitions without an event."""
    with pytest.raises(InvalidParameter):
        event_of(SendEvent(event))  # type: ignore[arg-type]


def test_idempotency_keys_are_visible_ascii() -> None:
    """Up to 255 characters."""
    assert idempotency_key_in({}) is None
    assert idempotency_key_in({b"idempotency-key": b"~" * 255}) == "~" * 255
    for bad in (b"", b"a b", b"a\n", b"\x7f", b"\xe9", b"a" * 256):
        with pytest.raises(InvalidParameter):
            idempotency_key_in({b"idempotency-key": bad})

"""Cursors and pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import PAGE_SIZE
from statekeep.storage.pages import NEWEST, ROWS_MAX, first_number, page_of

NUMBERS = st.integers(min_value=-(2**63), max_value=2**63 - 1)


def test_a_list_without_a_cursor_begins_at_its_newest_item():
    """Whatever number that has."""
    assert first_number(None, "keys of a") == NEWEST


@given(number=NUMBERS, listing=st.text())
def test_a_cursor_names_the_item_beyond_its_page(number, listing):
    """The next page begins with it."""
    numbered = [(0, "item")] * PAGE_SIZE + [(number, "next")]
    page = page_of(numbered, listing)
    assert list(page.items) == ["item"] * PAGE_SIZE
    assert first_number(page.cursor, listing) == number


@given(listing=st.text(), other=st.text())
def test_a_cursor_is_good_for_one_list(listing, other):
    """Any other refuses it."""
    cursor = page_of([(1, "item")] * ROWS_MAX, listing).cursor
    if listing == other:
        assert first_number(cursor, other) == 1
    else:
        with pytest.raises(InvalidParameter):
            first_number(cursor, other)


@given(cursor=st.text() | st.binary(max_size=20).map(lambda b: b.decode("latin-1")))
def test_what_is_no_cursor_is_refused(cursor):
    """With the parameter named, never by another error."""
    with pytest.raises(InvalidParameter) as refusal:
        first_number(cursor, "keys of a")
    assert refusal.value.parameter == "cursor"


@pytest.mark.parametrize("count", [0, 1, PAGE_SIZE])
def test_the_last_page_has_no_cursor(count):
    """A full one included."""
    page = page_of([(number, number) for number in range(count)], "list")
    assert (list(page.items), page.cursor) == (list(range(count)), None)

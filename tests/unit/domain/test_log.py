"""Timestamps of log entries, pages, and sizes."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statekeep.domain.limits import LOG_ENTRY_BYTES_MAX, PAGE_SIZE
from statekeep.domain.log import cut, size_of, timestamps, whole_milliseconds
from tests.support.builders import a_log_entry

BATCHES = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 130)), min_size=1, max_size=4), max_size=5
)


def entries_of(batches):
    """What the store has after these batches, each a list of times with how many entries were written then."""
    stored, newest, numbers = [], None, count()
    for batch in batches:
        written = [ms for ms, times in batch for _ in range(times)]
        given_out = timestamps(written, newest)
        newest = given_out[-1]
        stored += [a_log_entry(ms, text=str(next(numbers))) for ms in given_out]
    return stored


def page_after(stored, after_ms):
    found = [entry for entry in stored if entry.ts_ms > after_ms][: PAGE_SIZE + 1]
    return whole_milliseconds(found, PAGE_SIZE)


@settings(deadline=None)
@given(BATCHES)
def test_reading_on_from_the_last_timestamp_finds_each_entry_once(batches):
    """Page by page, in the order in which they were written."""
    stored, found, after_ms = entries_of(batches), [], -1
    while page := page_after(stored, after_ms):
        assert len(page) <= PAGE_SIZE
        found += page
        after_ms = page[-1].ts_ms
    assert found == stored


@settings(deadline=None)
@given(BATCHES, st.data())
def test_a_reader_who_polls_while_batches_arrive_finds_each_entry_once(batches, data):
    """Whenever they look, and however late entries are."""
    found, after_ms = [], -1
    for number in range(len(batches) + 1):
        stored = entries_of(batches[:number])
        for _ in range(data.draw(st.integers(0, 3))):
            page = page_after(stored, after_ms)
            found += page
            after_ms = page[-1].ts_ms if page else after_ms
    while page := page_after(entries_of(batches), after_ms):
        found += page
        after_ms = page[-1].ts_ms
    assert found == entries_of(batches)


def test_an_entry_has_the_time_at_which_it_was_written_where_it_can():
    """Also behind a crowd, once time has caught up with it."""
    assert timestamps([5, 5, 7], None) == [5, 5, 7]
    assert timestamps([5] * 150 + [9], 3)[99:] == [5] + [6] * 50 + [9]


@pytest.mark.parametrize("character", ["x", "é", "\N{GRINNING FACE}"])
def test_a_text_is_cut_to_the_bytes_of_an_entry(character):
    """In the middle of no character; what fits stays as it is."""
    fits = character * (LOG_ENTRY_BYTES_MAX // len(character.encode()))
    assert cut(fits) == fits
    shortened = cut(fits + character)
    assert shortened.endswith("(cut)")
    assert len(shortened.encode()) <= LOG_ENTRY_BYTES_MAX
    assert set(shortened.removesuffix(" ... (cut)")) == {character}


def test_a_size_counts_bytes():
    """Not characters."""
    assert size_of("é") == size_of("xx")

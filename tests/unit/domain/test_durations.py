"""Durations come back as they were written."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statekeep.domain.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("500ms", timedelta(milliseconds=500)),
        ("0", None),
        ("-1s", None),
        ("1w", None),
        ("1e3", None),
        ("9" * 30 + "d", None),
    ],
)
def test_durations_are_read(text, duration):
    """With a unit or in seconds; nothing else is one."""
    assert parse_duration(text) == duration


def test_the_shortest_form_is_written():
    """In the largest unit that fits."""
    assert format_duration(timedelta(hours=48)) == "2d"
    assert format_duration(timedelta(seconds=90)) == "90s"


@given(st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=10_000)))
def test_a_duration_is_read_as_it_is_written(duration):
    """What help shows as a default can be typed."""
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(max_size=8))
def test_other_text_is_no_duration(text):
    """Digits, perhaps a fraction, perhaps a unit."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?(ms|s|m|h|d)?", text) is None:
        assert parse_duration(text) is None

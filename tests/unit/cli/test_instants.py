"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from statekeep.cli.instants import parse_instant

NOW = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        ("-10m", timedelta(minutes=-10)),
        ("5m", timedelta(minutes=5)),
        ("0s", timedelta()),
        ("1.5h", timedelta(hours=1.5)),
        ("-1 day", timedelta(days=-1)),
        ("2 Hours", timedelta(hours=2)),
        ("90secs", timedelta(seconds=90)),
        ("-2w", timedelta(weeks=-2)),
        ("1 year", timedelta(days=365.25)),
    ],
)
def test_relative_times_count_from_the_base(text, difference):
    """With the units of smply."""
    assert parse_instant(text, NOW) == NOW + difference


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T16:30:00Z", datetime(2026, 11, 24, 16, 30, tzinfo=UTC)),
        ("2026-11-24T16:30:00.250+02:00", datetime(2026, 11, 24, 14, 30, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_absolute_times_are_those_of_iso_8601(text, instant):
    """A day begins in UTC, as in JavaScript."""
    assert parse_instant(text, NOW) == instant


def test_a_time_without_a_zone_is_local():
    """As in JavaScript."""
    local = datetime(2026, 11, 24, 16, 30).astimezone()
    assert parse_instant("2026-11-24T16:30:00", NOW) == local


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "10",
        "-",
        "m",
        "-1.5h",
        "10 parsecs",
        "--10m",
        "2026-13-01",
        "999999999999y",
        "\uff11m",
    ],
)
def test_anything_else_is_no_time(text):
    """Overflows included."""
    with pytest.raises(ValueError):  # noqa: PT011
        parse_instant(text, NOW)

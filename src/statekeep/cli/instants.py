"""Instants as people type them, ISO 8601 or relative such as -10m, and as they are shown."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

_RELATIVE: Final = re.compile(r"(-?\d{1,12}|\d{1,12}\.\d{1,6}) ?([a-z]+)", re.ASCII | re.IGNORECASE)
_UNITS: Final = {
    ("s", "sec", "secs", "second", "seconds"): timedelta(seconds=1),
    ("m", "min", "mins", "minute", "minutes"): timedelta(minutes=1),
    ("h", "hr", "hrs", "hour", "hours"): timedelta(hours=1),
    ("d", "day", "days"): timedelta(days=1),
    ("w", "week", "weeks"): timedelta(weeks=1),
    ("y", "yr", "yrs", "year", "years"): timedelta(days=365.25),
}
_LENGTHS: Final = {name: length for names, length in _UNITS.items() for name in names}


def parse_instant(text: str, base: datetime) -> datetime:
    """`2026-11-24T17:00:00Z`, `2026-11-24`, `-10m`, `2 hours`. Raises ValueError for anything else.

    As in smply: a day begins in UTC, a time without a zone is local, and what is relative is so to `base`.
    """
    if _is_day(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    match = _RELATIVE.fullmatch(text)
    if match is None:
        return datetime.fromisoformat(text).astimezone(UTC)
    count, unit = match.groups()
    if unit.lower() not in _LENGTHS:
        raise ValueError(text)
    try:
        return base + float(count) * _LENGTHS[unit.lower()]
    except OverflowError as error:
        raise ValueError(text) from error


def format_instant(value: datetime) -> str:
    """As JavaScript's toISOString() has it, and so the server."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True

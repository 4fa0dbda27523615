"""Durations as people write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", re.ASCII)


def parse_duration(text: str) -> timedelta | None:
    """`90s`, `5m`, `500ms`, `1.5h`, `2d` or a plain number of seconds; None for anything else and for no time at all."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    number, unit = match.groups(default="s")
    try:
        return float(number) * _UNITS[unit] or None
    except OverflowError:
        return None


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads as the same."""
    for unit, length in _UNITS.items():
        count, rest = divmod(duration, length)
        if not rest:
            return f"{count}{unit}"
    return f"{duration / _UNITS['ms']}ms"

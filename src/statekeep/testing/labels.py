"""How events are called in reports, those of XState's own machinery too, as both majors name them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from statekeep.domain.durations import format_duration

_PATTERNS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"xstate\.init"), lambda _: "start"),
    (re.compile(r"xstate\.after\((.+)\)#.*", re.DOTALL), lambda match: _after(match[1])),
    (re.compile(r"xstate\.after\.(\d+(?:\.\d+)?|[^.]+)\..*", re.DOTALL), lambda m: _after(m[1])),
    (
        re.compile(r"(?:xstate\.done\.actor|done\.invoke)\.(.+)", re.DOTALL),
        lambda m: f"{m[1]} done",
    ),
    (
        re.compile(r"(?:xstate\.error\.actor|error\.platform)\.(.+)", re.DOTALL),
        lambda match: f"{match[1]} failed",
    ),
    (re.compile(r"xstate\.snapshot\.(.+)", re.DOTALL), lambda match: f"{match[1]} changed"),
    (
        re.compile(r"(?:xstate\.)?done\.state\.(.+)", re.DOTALL),
        lambda match: f"{match[1]} complete",
    ),
    (re.compile(r""), lambda _: "always"),
)

_INTERNAL: Final = re.compile(
    r"|xstate\..*|done\.(?:invoke|state)\..*|error\.(?:platform|execution|communication)\b.*",
    re.DOTALL,
)


def label_of(event_type: str) -> str:
    """What people would call an event of that type: its name, `after 2d`, `charge done`, `charge failed`."""
    for pattern, label in _PATTERNS:
        match = pattern.fullmatch(event_type)
        if match:
            return label(match)
    return event_type


def _after(delay: str) -> str:
    try:
        return f"after {format_duration(timedelta(milliseconds=float(delay)))}"
    except (ValueError, OverflowError):
        # A delay with a name; XState 4 puts the state before one that has none.
        return f"after {delay.rpartition(':')[2]}"


def is_internal(event_type: str) -> bool:
    """Does only XState's own machinery make such events?"""
    return _INTERNAL.fullmatch(event_type) is not None

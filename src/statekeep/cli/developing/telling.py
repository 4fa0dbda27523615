"""What a developer sees in the terminal: one line for each thing that happens, and whole frames for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from statekeep.cli.output import complain, say
from statekeep.system import SystemClock

if TYPE_CHECKING:
    from statekeep.client.models import LogEntry
    from statekeep.workers.transition_feed import ToldTransition

_NAMES_MAX: Final = 10
"""Instances that a line names; there may be thousands."""

_clock: Final = SystemClock()


def happened(subject: str, text: str) -> None:
    """Something that went as it should."""
    say(f"{_now()}  {subject}  {text}")


def failed(subject: str, text: str) -> None:
    """Something that needs the author's attention."""
    complain(f"{subject}: {text}")


def transition(told: ToldTransition) -> None:
    """Where an instance went, and why: `toggle/kitchen  toggle -> on`."""
    # Only here: it is of a package that imports the whole runtime.
    from statekeep.testing.labels import label_of

    event = label_of(json.loads(told.event)["type"])
    state = _state(json.loads(told.state_value))
    happened(
        f"{told.key.machine_name}/{told.key.name}", f"{_printable(event)} -> {_printable(state)}"
    )


def log_entry(entry: LogEntry) -> None:
    """What a machine printed, each line behind a bar."""
    subject = "/".join(filter(None, (entry.machine_name, entry.instance_name)))
    for line in entry.log.rstrip("\n").split("\n"):
        happened(subject, f"| {line}")


def names_of(instances: Sequence[str], count: int) -> str:
    """Some of `count` instances by their names."""
    shown = ", ".join(instances[:_NAMES_MAX])
    rest = count - min(len(instances), _NAMES_MAX)
    return f"{shown} and {rest} more" if rest else shown


def _state(value: Any) -> str:
    """A state value on one line: `checkout.payment`, `{lamp: on, fan: off}`."""
    if isinstance(value, str):
        return value
    if len(value) == 1:
        name, below = next(iter(value.items()))
        return f"{name}.{_state(below)}" if below else name
    return "{" + ", ".join(f"{name}: {_state(below)}" for name, below in value.items()) + "}"


def _printable(text: str) -> str:
    """Events come from anywhere, and a terminal obeys what is sent to it."""
    return text if text.isprintable() else json.dumps(text)


def _now() -> str:
    # The time of the wall is what a developer compares it with.
    return f"{datetime.fromtimestamp(_clock.now_ms() / 1000).astimezone():%H:%M:%S}"

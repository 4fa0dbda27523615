"""What can be seen of an instance at rest. Values: a reading stays as it was when the instance goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from statekeep.domain.instance import InstanceKey
from statekeep.testing.labels import label_of


@dataclass(frozen=True, slots=True)
class Transition:
    """One recorded macrostep. `event` has at least its `type`; that of the first one is `xstate.init`."""

    event: dict[str, Any]
    state: Any
    at: datetime

    @property
    def label(self) -> str:
        """The event as people would call it: `toggle`, `after 2d`, `charge done`."""
        return label_of(self.event["type"])


@dataclass(frozen=True, slots=True)
class Timer:
    """An event of the instance's own that is pending, of `after` or of a delayed send."""

    event: dict[str, Any]
    due_at: datetime
    due_in: timedelta
    """From the time of the reading on."""

    @property
    def label(self) -> str:
        """The event as people would call it."""
        return label_of(self.event["type"])


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to another instance.

    `kind` is "event", "spawn" (the receiver is to be made with `event` as its context) or "done" (to the parent: `event` is the output).
    """

    machine: str
    instance: str
    event: Any
    delay: timedelta = timedelta(0)
    kind: str = "event"


@dataclass(frozen=True, slots=True)
class LogLine:
    """What author code printed, or what the server noted for its author. `instance` is None where it belongs to none."""

    text: str
    is_error: bool = False
    instance: str | None = None

    def __str__(self) -> str:
        return (
            f"{self.instance or '(loading)'} {'stderr' if self.is_error else 'stdout'}: {self.text}"
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """An instance as its operator sees it, without asking `allowRead`.

    `state` is a string, or a dictionary where states are nested or parallel, as in XState. `public_context` is None where the context has no `public`.
    """

    state: Any
    context: Any
    public_context: Any
    tags: tuple[str, ...]
    done: bool
    output: Any
    timers: tuple[Timer, ...]
    sent: tuple[Sent, ...]
    log: tuple[LogLine, ...]
    transitions: tuple[Transition, ...]
    children: Mapping[str, InstanceKey]
    """Persistent ones, by the names that the instance has for them. They need not exist."""

    def matches(self, state: str) -> bool:
        """Is this state active? A path with dots, as in `paid.shipping`."""
        value = self.state
        *above, last = state.split(".")
        for key in above:
            if not isinstance(value, dict) or key not in value:
                return False
            value = value[key]
        return value == last or (isinstance(value, dict) and last in value)

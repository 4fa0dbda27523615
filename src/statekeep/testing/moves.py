"""What can happen to an instance next, as far as a test tries it out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from statekeep.testing.handles import Claims, Event

EXAMPLES_MAX: Final = 1_000
"""Events that are made of one description."""


class MoveKind(Enum):
    """Who makes a move."""

    START = "start"
    """Somebody creates the instance."""
    EVENT = "event"
    """A caller sends an event."""
    TIMER = "timer"
    """Time goes on until the next timer is due."""
    DONE = "done"
    """A child answers."""
    FAILED = "failed"
    """A child fails."""


@dataclass(frozen=True, slots=True)
class Move:
    """Something that happens to an instance. `event` is what it gets to hear; `child` is the one that it hears it from."""

    kind: MoveKind
    event: Mapping[str, Any] = field(default_factory=dict, hash=False)
    as_: Claims | None = field(default=None, hash=False)
    child: str | None = None
    label: str = ""

    def __str__(self) -> str:
        return self.label


class Examples:
    """Events of one type with made-up fields. Made by `examples`."""

    def __init__(self, type_: str, count: int, fields: Mapping[str, Any]) -> None:
        self.type = type_
        self._count = count
        self._fields = fields

    def events(self, seed: int) -> Iterator[dict[str, Any]]:
        """The same for the same seed, whatever else there is."""
        for number in range(self._count):
            chance = random.Random(f"{seed} {self.type} {number}")
            made = {name: _made(value, chance) for name, value in self._fields.items()}
            yield {"type": self.type, **made}


def examples(
    type_: str, count: int = 3, /, **fields: Any | Callable[[random.Random], Any]
) -> Examples:
    """So many events of a type, for `paths` and `explore`. A field that is a function is called with a random.Random, the same in each run: `amount=lambda chance: chance.randint(1, 100)`."""
    if not 1 <= count <= EXAMPLES_MAX:
        raise ValueError(f"1 to {EXAMPLES_MAX} examples can be made, not {count}")
    return Examples(type_, count, fields)


def all_events(
    given: Iterable[Event | Examples], from_chart: Sequence[str], without: Iterable[str], seed: int
) -> list[dict[str, Any]]:
    """The events that are given and, of those types of the chart that are not, one without fields; all but those `without`, which are types."""
    events: list[dict[str, Any]] = []
    for each in given:
        if isinstance(each, Examples):
            events.extend(each.events(seed))
        else:
            events.append({"type": each} if isinstance(each, str) else dict(each))
    types = {event["type"] for event in events}
    events += [{"type": type_} for type_ in from_chart if type_ not in types]
    left_out = frozenset(without)
    return [event for event in events if event["type"] not in left_out]


def _made(value: Any, chance: random.Random) -> Any:
    return value(chance) if callable(value) else value

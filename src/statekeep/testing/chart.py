"""A machine's statechart as far as tests can cover it: its states, and the transitions between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from statekeep.domain.step import Stepped
from statekeep.testing.labels import is_internal, label_of

Path = tuple[str, ...]
TransitionRef = tuple[int, int]
"""Position of a state, and that of a transition among those of the state."""


class _Transition(msgspec.Struct):
    event: str
    guard: str | bool | None = None
    targets: tuple[Path, ...] | None = None


class _State(msgspec.Struct):
    path: Path
    type: str
    initial: str | None = None
    transitions: tuple[_Transition, ...] = ()


class _Outline(msgspec.Struct):
    major: int
    states: tuple[_State, ...]


_decode: Final = msgspec.json.Decoder(_Outline).decode


@dataclass(frozen=True, slots=True)
class State:
    """A state node. `name` is its path with dots; that of the root is the empty one."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """A transition. `guard` is true where there is one without a name; `targets` is None where no state is entered."""

    source: str
    event: str
    guard: str | bool | None
    targets: tuple[str, ...] | None

    def __str__(self) -> str:
        guard = "" if not self.guard else f" [{'guard' if self.guard is True else self.guard}]"
        to = "(stays)" if self.targets is None else ", ".join(map(_shown, self.targets))
        return f"{_shown(self.source)} --{label_of(self.event)}{guard}--> {to}"


class Chart:
    """What `Runtime.describe` tells of a version, where the runtime observes it."""

    def __init__(self, outline: bytes) -> None:
        self.outline = outline
        decoded = _decode(outline)
        self.xstate_major = decoded.major
        self._nodes = decoded.states
        self._numbers = {node.path: number for number, node in enumerate(decoded.states)}
        self._children: dict[Path, list[Path]] = {}
        for node in decoded.states[1:]:
            self._children.setdefault(node.path[:-1], []).append(node.path)

    @cached_property
    def states(self) -> Mapping[int, State]:
        """Those that can be active, but for the root, which always is."""
        return {
            number: State(_name(node.path), node.type)
            for number, node in enumerate(self._nodes)
            if node.path and node.type != "history"
        }

    @cached_property
    def arrows(self) -> Mapping[TransitionRef, Arrow]:
        """All transitions, in document order."""
        return {
            (number, n): Arrow(
                _name(node.path),
                each.event,
                each.guard,
                None if each.targets is None else tuple(map(_name, each.targets)),
            )
            for number, node in enumerate(self._nodes)
            for n, each in enumerate(node.transitions)
        }

    @cached_property
    def event_types(self) -> frozenset[str]:
        """Of all transitions, XState's own among them."""
        return frozenset(arrow.event for arrow in self.arrows.values())

    @property
    def events(self) -> list[str]:
        """What callers can send, in document order. For a pattern there is one that it matches: `order.any` for `order.*`."""
        types = [arrow.event for arrow in self.arrows.values() if not is_internal(arrow.event)]
        return list(dict.fromkeys(re.sub(r"\*$", "any", each) for each in types))

    @property
    def first_event(self) -> str | None:
        """The type of one that a new instance waits for, if there is any without a pattern.

        One that surely enters a state comes first, then those that surely do something else, then those with guards; of these, those of inner
        states before those of outer ones.
        """
        initial = [0, *self._entered_below(())]
        initial.sort(key=lambda number: -len(self._nodes[number].path))
        awaited = [
            each
            for number in initial
            for each in self._nodes[number].transitions
            if not is_internal(each.event) and "*" not in each.event
        ]
        awaited.sort(key=lambda each: 2 if each.guard else int(each.targets is None))
        return awaited[0].event if awaited else None

    def active(self, value: Any) -> set[int]:
        """The states of a state value, ancestors included."""
        return {self._numbers[path] for path in _paths(value, ()) if path in self._numbers}

    def passed(self, taken: Iterable[TransitionRef]) -> set[int]:
        """The states that these transitions leave or enter, even if only for a moment."""
        found: set[int] = set()
        for number, n in taken:
            source = self._nodes[number]
            found.update(self._with_ancestors(source.path))
            for target in source.transitions[n].targets or ():
                found.update(self._with_ancestors(target))
                found.update(self._entered_below(target))
        return found

    def _with_ancestors(self, path: Path) -> Iterator[int]:
        for length in range(len(path) + 1):
            yield self._numbers[path[:length]]

    def _entered_below(self, path: Path) -> Iterator[int]:
        node = self._nodes[self._numbers[path]]
        children = self._children.get(path, [])
        if node.type == "compound":
            children = [child for child in children if child[-1] == node.initial]
        for child in children:
            yield self._numbers[child]
            yield from self._entered_below(child)


class Coverage:
    """What tests have seen of one chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self._states: set[int] = set()
        self._taken: set[TransitionRef] = set()

    def note(self, stepped: Stepped) -> bool:
        """Take what an event led to into account; was anything of it new?"""
        before = len(self._states) + len(self._taken)
        for macrostep in stepped.macrosteps:
            value = msgspec.json.decode(macrostep.view)["state"]
            self._states |= self.chart.active(value) | self.chart.passed(macrostep.taken)
            self._taken.update(macrostep.taken)
        return len(self._states) + len(self._taken) > before

    def add(self, other: Coverage) -> None:
        """Take what `other` has seen of the same chart into account."""
        self._states |= other._states
        self._taken |= other._taken

    def to_json(self) -> dict[str, Any]:
        """For another process, which makes the same of it with `from_json`."""
        return {
            "outline": self.chart.outline.decode(),
            "states": sorted(self._states),
            "taken": sorted(self._taken),
        }

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Coverage:
        """Back from `to_json`."""
        coverage = cls(Chart(json["outline"].encode()))
        coverage._states.update(json["states"])
        coverage._taken.update((state, n) for state, n in json["taken"])
        return coverage

    @property
    def states_seen(self) -> int:
        """How many states were active."""
        return len(self.chart.states.keys() & self._states)

    @property
    def arrows_seen(self) -> int:
        """How many transitions were taken."""
        return len(self._taken)

    @property
    def missed_states(self) -> list[State]:
        """Those that were never active, in document order."""
        return [state for number, state in self.chart.states.items() if number not in self._states]

    @property
    def missed_arrows(self) -> list[Arrow]:
        """Those that were never taken, in document order."""
        return [arrow for ref, arrow in self.chart.arrows.items() if ref not in self._taken]

    @property
    def is_complete(self) -> bool:
        """Was everything seen?"""
        return not self.missed_states and not self.missed_arrows

    @property
    def percent(self) -> float:
        """The smaller of both shares. Rounded down, so that 100 means all."""
        states, arrows = len(self.chart.states), len(self.chart.arrows)
        shares = [(self.states_seen, states), (self.arrows_seen, arrows)]
        return min((seen * 1000 // all_ / 10 for seen, all_ in shares if all_), default=100.0)


def _paths(value: Any, above: Path) -> Iterator[Path]:
    if isinstance(value, str):
        yield (*above, value)
    else:
        for key, below in value.items():
            yield (*above, key)
            yield from _paths(below, (*above, key))


def _name(path: Path) -> str:
    return ".".join(path)


def _shown(name: str) -> str:
    return name or "(machine)"

"""Paths through a chart, for tests: found by exploring, each a shortest one, and together seeing all that can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypedDict, TypeVar, Unpack

from statekeep.domain.machine import MachineVersion
from statekeep.testing.blocking import Instance, Machine
from statekeep.testing.exploring import (
    DEPTH_MAX,
    SITUATIONS_MAX,
    Exploration,
    Explorer,
    Failure,
    Plan,
    covering_ways,
)
from statekeep.testing.handles import Claims, Event
from statekeep.testing.hosts import Hosts, shared_hosts
from statekeep.testing.moves import Examples, Move, MoveKind
from statekeep.testing.naming import machine_name_of
from statekeep.testing.readings import Reading
from statekeep.testing.situations import Situation

Function = TypeVar("Function", bound=Callable[..., Any])


class ExploreOptions(TypedDict, total=False):
    """How a machine is explored. Left out is what is said first.

    - `events` (none): events with fields or examples of them, beside those of the chart, which come without fields where their type is not given.
    - `without` (none): types that are not tried.
    - `as_`: the claims of a caller, or several callers who each try everything; then `allowWrite` is asked. By default nobody is.
    - `context` ({}): what the instance is created with.
    - `outputs` ({}): by the name of a child, what it may come to. By default null.
    - `ignore_context` (False): situations that differ only in their context are the same.
    - `perform` (False): carry out effects too, without waiting for children.
    - `situations_max` (1,000), `depth_max` (50): where to stop.
    - `seed` (0): of made-up examples.
    - `allow_network` (False): whether the code may reach the network. Only what is performed, and what runs as the file is loaded, would try.
    """

    events: Sequence[Event | Examples]
    without: Sequence[str]
    as_: Claims | Sequence[Claims] | None
    context: Mapping[str, Any]
    outputs: Mapping[str, Sequence[Any]]
    ignore_context: bool
    perform: bool
    situations_max: int
    depth_max: int
    seed: int
    allow_network: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A move of a path, and the instance after it."""

    move: Move
    reading: Reading

    @property
    def label(self) -> str:
        """What happened: `start`, `deposit(amount=5)`, `after 2d`, `charge done`."""
        return self.move.label


class Path:
    """A way from the creation of an instance to where something of the chart is seen that no other path sees.

    `steps` are as they were decided when the machine was explored: nothing but what the machine itself computes has happened.
    """

    def __init__(
        self,
        hosts: Hosts,
        version: MachineVersion,
        way: Sequence[Situation],
        context: Mapping[str, Any],
        failure: Failure | None = None,
    ) -> None:
        self._hosts = hosts
        self._version = version
        self._way = way
        self._context = context
        self.steps = [Step(each.move, each.reading) for each in way]
        self.failure = failure
        """Where the machine threw at the move that would have been the next."""

    @property
    def label(self) -> str:
        """All moves but the first."""
        moves = [step.label for step in self.steps[1:]]
        if self.failure is not None:
            moves.append(f"{self.failure.move.label} throws")
        return ", ".join(moves) or "start"

    @property
    def end(self) -> Reading:
        """The instance at the end of the path. Raises the machine's error where that is where it threw."""
        self.require_success()
        return self.steps[-1].reading

    @property
    def states(self) -> list[Any]:
        """The state values along the path."""
        return [step.reading.state for step in self.steps]

    def require_success(self) -> None:
        """Raises the machine's error where it threw."""
        __tracebackhide__ = True
        if self.failure is not None:
            error = self.failure.error
            error.add_note(f"after {', '.join(self.failure.labels)}")
            raise error

    def replay(self, machine: Machine, *, as_: Claims | None = None) -> Instance:
        """Go the path with a real instance, effects and all, and return it.

        `as_` is who sends what nobody was said to send. Raises AssertionError where the instance gets to another state on the way, and ValueError for a path on which a child
        answers: real children answer for themselves.
        """
        __tracebackhide__ = True
        if any(step.move.kind in (MoveKind.DONE, MoveKind.FAILED) for step in self.steps):
            raise ValueError(f"a child answers on this path, so it cannot be replayed: {self}")
        self.require_success()
        start, *rest = self.steps
        caller = start.move.as_ if as_ is None else as_
        instance = machine.start(context=self._context, as_=caller)
        _require_state(instance, start)
        for step in rest:
            if step.move.kind is MoveKind.TIMER:
                machine.world.advance_to_next_timer()
            else:
                instance.send(step.move.event, as_=step.move.as_)
            _require_state(instance, step)
        return instance

    def cover(self) -> None:
        """Count it as tested."""
        self._hosts.cover(self._version, [each.step for each in self._way])

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __repr__(self) -> str:
        return f"<path {self.label}>"

    __str__ = __repr__


def explore(source: str | FilePath, **options: Unpack[ExploreOptions]) -> Exploration:
    """Try out what can happen to the machine in a file, within the bounds of `options` (see ExploreOptions)."""
    return _explored(source, options, until_covered=False)[2]


def paths_through(source: str | FilePath, **options: Unpack[ExploreOptions]) -> list[Path]:
    """Shortest paths that together see all that can be seen of the chart; and one to each move that the machine throws at. Exploring ends as soon as there is nothing new to see."""
    hosts, version, exploration = _explored(source, options, until_covered=True)
    context = options.get("context", {})
    ways = [Path(hosts, version, way, context) for way in covering_ways(exploration)]
    failed = [
        Path(hosts, version, failure.before.way if failure.before else [], context, failure)
        for failure in exploration.distinct_failures
    ]
    return [*ways, *failed]


def paths(
    source: str | FilePath, **options: Unpack[ExploreOptions]
) -> Callable[[Function], Function]:
    """Run a test once for each of `paths_through` a machine file, which the test gets as `path`. The file is looked for as by the fixture `machine`."""
    # Imported only here: what explores machines needs no pytest.
    import pytest

    return pytest.mark.statekeep_paths(source, options)


def _explored(
    source: str | FilePath, options: ExploreOptions, *, until_covered: bool
) -> tuple[Hosts, MachineVersion, Exploration]:
    hosts = shared_hosts(allow_network=options.get("allow_network", False))
    plan = plan_of(options, until_covered=until_covered)

    async def explore() -> tuple[MachineVersion, Exploration]:
        file = FilePath(source)
        name = machine_name_of(file)
        version = await hosts.version(name, await hosts.bundle(file), file)
        return version, await Explorer(hosts, version, hosts.chart(version), plan).explore()

    return hosts, *hosts.submit(explore()).result()


def plan_of(options: ExploreOptions, *, until_covered: bool) -> Plan:
    """The plan that these options make."""
    as_ = options.get("as_")
    callers: Sequence[Claims | None] = (
        [as_] if as_ is None or isinstance(as_, Mapping) else list(as_)
    )
    return Plan(
        events=options.get("events", ()),
        without=options.get("without", ()),
        callers=callers,
        context=options.get("context", {}),
        outputs=options.get("outputs", {}),
        with_context=not options.get("ignore_context", False),
        perform=options.get("perform", False),
        until_covered=until_covered,
        situations_max=options.get("situations_max", SITUATIONS_MAX),
        depth_max=options.get("depth_max", DEPTH_MAX),
        seed=options.get("seed", 0),
    )


def _require_state(instance: Instance, step: Step) -> None:
    __tracebackhide__ = True
    if instance.state != step.reading.state:
        raise AssertionError(
            f"after {step.label} {instance.title} is in {instance.state!r}, and the path led to {step.reading.state!r}\n{instance.story}"
        )

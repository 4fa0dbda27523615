"""Tries out what can happen to a machine: breadth-first over the situations that its instances can be in, so that each is reached by a shortest path.

What XState's own graph tools call a state, with its context, is a *situation* here, with the pending timers and children besides. Each step is decided by the runtime of a
server on top of the snapshot before it, and nothing is committed. Effects are performed only where that is asked for; what children would answer is not waited for but tried
out: that they come to their end, and that they fail.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from statekeep.domain.errors import MachineError, StatekeepError
from statekeep.domain.event import Delivery, Event
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId
from statekeep.domain.step import ChildrenState, Effects, Failed, Outcome, Refused, Stepped
from statekeep.ports.runtime import HostLost
from statekeep.testing.chart import Chart, Coverage
from statekeep.testing.clock import START
from statekeep.testing.handles import Claims
from statekeep.testing.handles import Event as GivenEvent
from statekeep.testing.hosts import Hosts
from statekeep.testing.moves import Examples, Move, MoveKind, all_events
from statekeep.testing.numbers import strangers_from
from statekeep.testing.situations import (
    INSTANCE,
    Possibilities,
    Situation,
    delivery_of,
    start_delivery,
)

SITUATIONS_MAX: Final = 1_000
"""Situations that are gone on from, unless another bound is given. Each costs about a millisecond for every event."""
DEPTH_MAX: Final = 50
"""Moves of the longest path, unless another bound is given."""
TRIED_AT_ONCE: Final = 32
"""Steps that a host is asked for together."""

_ACTION_FAILED: Final = "An action failed"
"""How the host begins to tell that one threw."""
_START_MS: Final = START.timestamp() * 1000
_START: Final = Move(MoveKind.START, label="start")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is tried out.

    `events` are tried beside those of the chart that they do not name, which come without fields; but not those `without`. `callers` each send every event,
    and `allowWrite` is asked; None: nobody is asked. `outputs` are what children may come to, by their names. Situations that
    differ only in their context are the same unless `with_context`. `until_covered`: end as soon as everything in the chart was seen.
    `perform`: carry out effects, too, and notice what fails in them.
    """

    events: Sequence[GivenEvent | Examples] = ()
    without: Sequence[str] = ()
    callers: Sequence[Claims | None] = (None,)
    context: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    with_context: bool = True
    perform: bool = False
    until_covered: bool = False
    situations_max: int = SITUATIONS_MAX
    depth_max: int = DEPTH_MAX
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A move that the machine threw at. `before` is None where that was its creation."""

    before: Situation | None
    move: Move
    error: StatekeepError

    @property
    def labels(self) -> list[str]:
        """Of all moves up to this one."""
        return [*labels_to(self.before), self.move.label]

    def __str__(self) -> str:
        stack = getattr(self.error, "stack", None)
        return f"{self.error}\nafter {', '.join(self.labels)}" + (f"\n{stack}" if stack else "")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What was written to stderr by the effects of a move, the news that an action threw among it."""

    after: Situation
    text: str

    @property
    def is_failure(self) -> bool:
        """Did an action throw?"""
        return self.text.startswith(_ACTION_FAILED)


@dataclass(slots=True)
class Exploration:
    """What came of it."""

    coverage: Coverage
    situations: list[Situation] = field(default_factory=list)
    """In the order in which they were found."""
    covering: list[Situation] = field(default_factory=list)
    """Those whose last move saw something in the chart for the first time."""
    failures: list[Failure] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    refused: int = 0
    """Moves that `allowWrite` did not let pass."""
    is_exhaustive: bool = False
    """Was every situation found, and every move tried in each?"""
    dead_ends: list[Any] = field(default_factory=list)
    """State values that are not final and that no move leads out of, whatever the context."""

    @property
    def distinct_failures(self) -> list[Failure]:
        """Of those that threw the same at the same event in the same state, the one with the shortest way."""
        found: dict[tuple[str, str, str], Failure] = {}
        for failure in self.failures:
            state = failure.before.reading.state if failure.before else None
            key = (json.dumps(state, sort_keys=True), failure.move.label, failure.error.message)
            found.setdefault(key, failure)
        return list(found.values())


class Explorer:
    """Explores one version. Hears its hosts (ports.runtime.RuntimeListener)."""

    def __init__(self, hosts: Hosts, version: MachineVersion, chart: Chart, plan: Plan) -> None:
        self._hosts = hosts
        self._runtime = hosts.runtime
        self._version = version
        self._chart = chart
        self._plan = plan
        self._possibilities = Possibilities(
            events=all_events(plan.events, chart.events, plan.without, plan.seed),
            callers=plan.callers,
            outputs=plan.outputs,
            event_types=chart.event_types,
            xstate_major=version.xstate_major,
        )
        self._found: dict[str, Situation] = {}
        self._has_way_out: set[str] = set()
        self._gone_on_from: list[Situation] = []
        self._numbers: Iterator[InstanceId]
        self._printed: dict[InstanceId, list[str]] = {}
        self._result = Exploration(Coverage(chart))

    async def explore(self) -> Exploration:
        """Try everything out, within the bounds of the plan."""
        first_number = self._hosts.new_numbers()
        self._numbers = strangers_from(first_number)
        self._hosts.admit(first_number, self)
        try:
            await self._start()
            await self._go_on()
        finally:
            self._hosts.dismiss(first_number)
        self._result.situations = list(self._found.values())
        self._result.dead_ends = self._dead_ends()
        return self._result

    async def _start(self) -> None:
        number, plan = next(self._numbers), self._plan
        caller = plan.callers[0]
        outcome: Outcome
        try:
            outcome = await self._runtime.create(
                self._version,
                number,
                INSTANCE,
                _json(plan.context),
                None if caller is None else _json(caller),
            )
            tried = await self._tried(_START, start_delivery(), outcome, number, None)
        except MachineError as error:
            tried = _Tried(None, _START, Failed(error))
        finally:
            self._forget(number)
        self._take(tried)

    async def _go_on(self) -> None:
        """Level by level, each with one move more."""
        level = list(self._found.values())
        for _ in range(self._plan.depth_max):
            if not level or self._is_over():
                break
            before = len(self._found)
            for portion in _portions(self._moves_from(level), TRIED_AT_ONCE):
                for tried in await asyncio.gather(*[self._try(*each) for each in portion]):
                    self._take(tried)
                if self._is_over():
                    break
            level = list(self._found.values())[before:]
        self._result.is_exhaustive = len(self._gone_on_from) == len(self._found) > 0 and not level

    def _moves_from(self, level: Sequence[Situation]) -> Iterator[tuple[Situation, Move]]:
        for situation in level:
            if len(self._gone_on_from) >= self._plan.situations_max:
                return
            yield from ((situation, move) for move in self._possibilities.moves(situation))
            self._gone_on_from.append(situation)

    def _is_over(self) -> bool:
        return self._plan.until_covered and self._result.coverage.is_complete

    async def _try(self, situation: Situation, move: Move) -> _Tried:
        number = next(self._numbers)
        delivery = delivery_of(move, situation, xstate_major=self._version.xstate_major)
        try:
            [outcome] = await self._runtime.step(
                self._version, situation.standing(number), [delivery]
            )
            return await self._tried(move, delivery, outcome, number, situation)
        except StatekeepError as error:
            return _Tried(situation, move, Failed(error))
        finally:
            self._forget(number)

    async def _tried(
        self,
        move: Move,
        delivery: Delivery,
        outcome: Outcome,
        number: InstanceId,
        before: Situation | None,
    ) -> _Tried:
        """Raises MachineError where what came of it exceeds a bound."""
        if not isinstance(outcome, Stepped):
            return _Tried(before, move, outcome)
        now_ms = before.now_ms if before else _START_MS
        timer = before.next_timer if before and move.kind is MoveKind.TIMER else None
        now_ms = max(now_ms, timer.due_at) if timer else now_ms
        after = Situation.after(move, outcome, delivery, now_ms, before)
        complaints: list[str] = []
        if self._plan.perform and outcome.effects is not Effects.NONE:
            complaints = await self._performed(number, after.revision)
        return _Tried(before, move, outcome, after, complaints)

    async def _performed(self, number: InstanceId, revision: int) -> list[str]:
        """What that wrote to stderr. Children that begin end with the session."""
        printed = self._printed[number] = []
        try:
            await self._runtime.perform_children(self._version, number, revision)
        except HostLost:
            return ["the process of the machine died of its effects"]
        finally:
            del self._printed[number]
        return printed

    def _forget(self, number: InstanceId) -> None:
        self._runtime.discard(self._version, number)

    def _take(self, tried: _Tried) -> None:
        result = self._result
        if isinstance(tried.outcome, Failed):
            result.failures.append(Failure(tried.before, tried.move, tried.outcome.error))
        elif isinstance(tried.outcome, Refused):
            result.refused += 1
        elif tried.after is not None:
            self._take_situation(tried.before, tried.after)
            result.complaints += [Complaint(tried.after, text) for text in tried.complaints]

    def _take_situation(self, before: Situation | None, after: Situation) -> None:
        if self._result.coverage.note(after.step):
            self._result.covering.append(after)
        identity = after.identity(with_context=self._plan.with_context)
        if before is not None:
            came_from = before.identity(with_context=self._plan.with_context)
            if came_from != identity:
                self._has_way_out.add(came_from)
        self._found.setdefault(identity, after)

    def _dead_ends(self) -> list[Any]:
        closed: dict[str, tuple[Any, bool]] = {}
        for situation in self._gone_on_from:
            identity = situation.identity(with_context=self._plan.with_context)
            state = situation.reading.state
            key = json.dumps(state, sort_keys=True)
            is_closed = not situation.reading.done and identity not in self._has_way_out
            closed[key] = (state, is_closed and closed.get(key, (None, True))[1])
        return [state for state, is_closed in closed.values() if is_closed]

    # What hosts report of instances that are only tried out

    def logged(
        self,
        version: MachineVersion,
        instance_id: InstanceId | None,
        stream: int,
        ts: float,
        text: str,
    ) -> None:
        if stream == 2 and instance_id in self._printed:
            self._printed[instance_id].append(text)

    def child_sent(
        self,
        instance_id: InstanceId,
        event: Event,
        handle: int,
        children: ChildrenState,
        child: str | None,
    ) -> None:
        """Answers of children are tried out, not waited for."""

    def children_changed(self, instance_id: InstanceId, children: ChildrenState) -> None:
        """The same."""

    def host_lost(self, instance_ids: Sequence[InstanceId]) -> None:
        """Whoever waits for the host hears of it."""


class _Tried(NamedTuple):
    """A move, and what came of it. `after` is there where it was accepted."""

    before: Situation | None
    move: Move
    outcome: Outcome
    after: Situation | None = None
    complaints: Sequence[str] = ()


def labels_to(situation: Situation | None) -> list[str]:
    """Of the moves from the start to there."""
    return [each.move.label for each in situation.way] if situation else []


def covering_ways(exploration: Exploration) -> list[list[Situation]]:
    """Shortest ways that together see all that was seen, none of which is the beginning of another. Where nothing is in the chart, the start alone."""
    ends = exploration.covering or exploration.situations[:1]
    passed = {id(each) for end in ends for each in end.way[:-1]}
    return [end.way for end in ends if id(end) not in passed]


def _portions(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while portion := list(itertools.islice(iterator, size)):
        yield portion


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(value), ensure_ascii=False).encode()

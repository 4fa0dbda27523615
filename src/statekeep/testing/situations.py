"""Where an instance can stand, and how one gets there. Nothing of it is stored or performed: these are values of `Runtime.step` on top of each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from statekeep.application.creation import INITIALIZATION
from statekeep.domain.event import Delivery, Event, Origin
from statekeep.domain.message import Address
from statekeep.domain.names import InstanceId, InstanceName
from statekeep.domain.step import Stepped
from statekeep.domain.timer import Timer
from statekeep.domain.turn import CommitDraft, lost_child_delivery
from statekeep.ports.runtime import Standing
from statekeep.runtimes import protocol
from statekeep.testing.decoding import read_instance, read_message, read_transition
from statekeep.testing.handles import Claims
from statekeep.testing.labels import label_of
from statekeep.testing.moves import Move, MoveKind
from statekeep.testing.readings import Reading

NOBODY: Final = InstanceId(0)
INSTANCE: Final = InstanceName("explored")
"""What the instance is called whose possibilities are explored."""


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """An instance after some moves."""

    reading: Reading
    snapshot: bytes
    revision: int
    timers: Mapping[int, Timer]
    """Its own ones. Messages to other instances are on their way, and no business of its."""
    next_timer_seq: int
    due: tuple[str, ...]
    """Children that have not answered."""
    now_ms: float
    step: Stepped
    """How it came out of the one before."""
    move: Move
    before: Situation | None = None

    @classmethod
    def after(
        cls,
        move: Move,
        stepped: Stepped,
        delivery: Delivery,
        now_ms: float,
        before: Situation | None,
    ) -> Situation:
        """What the move leads to. Raises MachineError or TooLarge where a bound is exceeded."""
        draft = CommitDraft(
            NOBODY,
            revision=before.revision if before else 0,
            ts=now_ms,
            timers=dict(before.timers) if before else {},
            next_timer_seq=before.next_timer_seq if before else 0,
        )
        draft.add(delivery, stepped, now_ms=now_ms)
        messages = [timer for timer in draft.timers.values() if timer.message is not None]
        timers = {seq: timer for seq, timer in draft.timers.items() if timer.message is None}
        entries = [
            entry for entry in draft.commit().entries if entry.origin is not Origin.HOUSEKEEPING
        ]
        reading = read_instance(
            draft.snapshot,
            draft.view.view,
            timers=timers.values(),
            now_ms=now_ms,
            sent=(
                *(before.reading.sent if before else ()),
                *[read_message(timer, now_ms) for timer in messages],
            ),
            log=(),
            transitions=(
                *(before.reading.transitions if before else ()),
                *[read_transition(each.event, each.snapshot, each.ts) for each in entries],
            ),
        )
        return cls(
            reading,
            draft.snapshot,
            draft.revision,
            timers,
            draft.next_timer_seq,
            stepped.due,
            now_ms,
            stepped,
            move,
            before,
        )

    def standing(self, stranger: InstanceId) -> Standing:
        """It, under a number of its own."""
        return Standing(stranger, INSTANCE, self.revision, self.snapshot)

    @property
    def way(self) -> list[Situation]:
        """From the start to here."""
        before = self.before.way if self.before else []
        return [*before, self]

    @property
    def depth(self) -> int:
        """Moves since the start."""
        return self.before.depth + 1 if self.before else 0

    def identity(self, *, with_context: bool) -> str:
        """Equal for situations from which everything goes on alike. Without the context, which may grow for ever, only as far as states tell."""
        saved = json.loads(self.snapshot)
        # How it came here: the last event, and the order in which states were entered.
        for part in ("event", "order", *(() if with_context else ("context", "output"))):
            saved.pop(part, None)
        pending = sorted(
            (it.event["type"], it.due_in.total_seconds()) for it in self.reading.timers
        )
        return json.dumps([saved, pending, self.due], sort_keys=True)

    @property
    def next_timer(self) -> Timer | None:
        """The one that is due first."""
        living = (timer for timer in self.timers.values() if not timer.is_dead)
        return min(living, key=lambda timer: (timer.due_at, timer.seq), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Possibilities:
    """What may happen to an instance: `events`, sent by each of `callers` (None: nobody asks `allowWrite`), and `outputs` of children by their names."""

    events: Sequence[Mapping[str, Any]]
    callers: Sequence[Claims | None] = (None,)
    outputs: Mapping[str, Sequence[Any]]
    event_types: frozenset[str]
    """Those that the chart has transitions for. A child whose answer nobody waits for gives none."""
    xstate_major: int

    def moves(self, situation: Situation) -> Iterator[Move]:
        """In an order that is always the same."""
        if situation.reading.done:
            return
        for event in self.events:
            for caller in self.callers:
                label = _event_label(event)
                if len(self.callers) > 1 and caller is not None:
                    label += f" as {caller.get('sub', dict(caller))}"
                yield Move(MoveKind.EVENT, event, caller, label=label)
        timer = situation.next_timer
        if timer is not None:
            event = json.loads(timer.event)
            yield Move(MoveKind.TIMER, event, label=label_of(event["type"]))
        for child in (*situation.due, *situation.reading.children):
            yield from self._answers(child)

    def _answers(self, child: str) -> Iterator[Move]:
        done = protocol.done_event(child, b"null", xstate_major=self.xstate_major).type
        failed = lost_child_delivery(child, "", xstate_major=self.xstate_major).event.type
        if done in self.event_types:
            outputs = self.outputs.get(child, (None,))
            for output in outputs:
                suffix = "" if output is None else f" with {json.dumps(output)}"
                yield Move(
                    MoveKind.DONE,
                    {"type": done, "output": output},
                    child=child,
                    label=f"{child} done{suffix}",
                )
        if failed in self.event_types:
            yield Move(MoveKind.FAILED, {"type": failed}, child=child, label=f"{child} failed")


def start_delivery() -> Delivery:
    """The first one of an instance."""
    return Delivery(INITIALIZATION, Origin.CREATION)


def delivery_of(move: Move, situation: Situation, *, xstate_major: int) -> Delivery:
    """A move as it comes to the instance. Answers of children are not asked about: whatever they say, they may."""
    match move.kind:
        case MoveKind.TIMER:
            timer = situation.next_timer
            assert timer is not None
            event = Event("(timer)", timer.event)
            return Delivery(event, Origin.TIMER, timer_seq=timer.seq, hops=timer.hops)
        case MoveKind.DONE:
            assert move.child is not None
            output = _json(move.event["output"])
            event = protocol.done_event(move.child, output, xstate_major=xstate_major)
            return Delivery(event, Origin.CHILD)
        case MoveKind.FAILED:
            assert move.child is not None
            persistent = situation.reading.children.get(move.child)
            address = persistent and Address(persistent.machine_name, persistent.name)
            return lost_child_delivery(
                move.child, "it failed", xstate_major=xstate_major, address=address
            )
        case _:
            auth = None if move.as_ is None else _json(dict(move.as_))
            event = Event(move.event["type"], _json(dict(move.event)))
            return Delivery(event, Origin.CLIENT, auth)


def _event_label(event: Mapping[str, Any]) -> str:
    fields = ", ".join(
        f"{key}={_json(value).decode()}" for key, value in event.items() if key != "type"
    )
    type_: str = event["type"]
    return f"{type_}({fields})" if fields else type_


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

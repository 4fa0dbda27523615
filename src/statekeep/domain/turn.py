"""Rules of one turn: what is written once events were accepted, and which events come of children that never answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from statekeep.domain.commit import Commit, JournalEntry, KeyUse, NewInstance
from statekeep.domain.event import Delivery, Event, LostChild, Origin, Receipt
from statekeep.domain.index import NO_INDEX_ENTRIES, IndexEntries, index_changes
from statekeep.domain.instance import InstanceView
from statekeep.domain.message import Address
from statekeep.domain.migration import Upgraded, timer_changes, timer_moves
from statekeep.domain.names import InstanceId
from statekeep.domain.step import CHILDREN, NO_EFFECTS, Macrostep, Stepped
from statekeep.domain.timer import (
    NO_TIMER_CHANGES,
    SetTimer,
    Timer,
    TimerChanges,
    TimerOp,
    apply_timer_ops,
)

TS_STEP_MS = 0.001
"""Two entries of an instance are at least this far apart, whatever the clock says: `ts` grows strictly (SPEC 2)."""


_NO_VIEW: Final = InstanceView(0, 0.0, b"")

_INSIDE = frozenset((Origin.CHILD, Origin.SELF, Origin.LOST_CHILD))
"""Where an event comes of the one before: it is part of what that led to."""


class CommitDraft:
    """Collects what events did to one instance until it is written as one Commit.

    Starts at the newest computed revision. `add` either takes an event whole or raises and leaves the draft as it was.
    """

    def __init__(
        self,
        instance_id: InstanceId,
        *,
        revision: int,
        ts: float,
        timers: dict[int, Timer],
        next_timer_seq: int,
        hops: int = 0,
        index_entries: IndexEntries = NO_INDEX_ENTRIES,
        entries_of: Callable[[bytes], IndexEntries] | None = None,
    ) -> None:
        self._instance_id = instance_id
        self._base_revision = revision
        self.revision = revision
        self.ts = ts
        self.timers = timers
        """Pending timers once the draft is written."""
        self.next_timer_seq = next_timer_seq
        self.hops = hops
        """Of the event that was added last."""
        self.index_entries = index_entries
        """Once the draft is written."""
        self._indexed_before = index_entries
        self._entries_of = entries_of
        """The index entries of a snapshot. None where there is nothing to index; raises where a bound is exceeded."""
        self.due: tuple[str, ...] = ()
        self.live = 0
        self.effects = NO_EFFECTS
        self.snapshot = b""
        self.view = _NO_VIEW
        """After the newest entry."""
        self.is_silent = True
        """Has there been no transition, so that nobody is to be told?"""
        self._entries: list[JournalEntry] = []
        self._timers_set: dict[int, Timer] = {}
        self._timers_removed: list[int] = []
        self._received: list[Receipt] = []

    @property
    def is_empty(self) -> bool:
        """Was nothing accepted?"""
        return not self._entries

    def add(self, delivery: Delivery, stepped: Stepped, *, now_ms: float) -> InstanceView:
        """Take what one delivery did at `now_ms`, rounded to microseconds; returns the view after it. Raises MachineError or TooLarge where a bound is exceeded."""
        hops = self.hops if delivery.origin in _INSIDE else delivery.hops
        entries = NO_INDEX_ENTRIES
        if self._entries_of is not None:
            entries = self._entries_of(stepped.macrosteps[-1].snapshot)
        if stepped.timer_ops or delivery.timer_seq is not None:
            self._change_timers(delivery.timer_seq, stepped.timer_ops, now_ms, hops)
        if delivery.dead_letter is not None:
            self._bury(delivery.dead_letter)
        self.hops = hops
        if delivery.receipt is not None:
            self._received.append(delivery.receipt)
        for macrostep in stepped.macrosteps:
            self._add_macrostep(delivery, macrostep, now_ms)
        if stepped.is_done:
            self._drop_timers(now_ms)
        self.index_entries = entries
        self.due = stepped.due
        self.live = stepped.live
        if stepped.effects is not NO_EFFECTS and self.effects is not CHILDREN:
            self.effects = stepped.effects
        return self.view

    def upgrade(
        self, upgraded: Upgraded, event: bytes, index_entries: IndexEntries, *, now_ms: float
    ) -> None:
        """Take the instance as it is in another version, with the entries that it has there, recorded as a transition by `event`."""
        moves = timer_moves(upgraded, self.timers, now_ms=now_ms)
        changes = timer_changes(moves, self.timers, next_seq=self.next_timer_seq, now_ms=now_ms)
        self._apply(changes)
        self.next_timer_seq += len(changes.set)
        delivery = Delivery(Event("(upgrade)", event), Origin.UPGRADE)
        macrostep = Macrostep(None, upgraded.snapshot, upgraded.view)
        self._add_macrostep(delivery, macrostep, now_ms)
        self.index_entries = index_entries

    def commit(
        self,
        *,
        unanswered: tuple[str, ...] = (),
        keys: tuple[KeyUse, ...] = (),
        new: NewInstance | None = None,
    ) -> Commit:
        """The draft as the one thing that is written. `unanswered` are children that are not due any more, and whose last word is not in it."""
        assert self._entries
        before, after = self._indexed_before, self.index_entries
        return Commit(
            self._instance_id,
            self._base_revision,
            tuple(self._entries),
            (*self.due, *unanswered) if unanswered else self.due,
            self._timer_changes(),
            self.next_timer_seq,
            keys,
            new,
            tuple(self._received),
            None if before is after else index_changes(before, after),
        )

    def _timer_changes(self) -> TimerChanges:
        if not self._timers_set and not self._timers_removed:
            return NO_TIMER_CHANGES
        return TimerChanges(tuple(self._timers_set.values()), tuple(self._timers_removed))

    def _add_macrostep(self, delivery: Delivery, macrostep: Macrostep, now_ms: float) -> None:
        self.revision += 1
        self.ts = now_ms if now_ms > self.ts else round(self.ts + TS_STEP_MS, 3)
        self.snapshot = macrostep.snapshot
        origin, event = delivery.origin, delivery.event.json
        if macrostep.is_silent:
            origin = Origin.HOUSEKEEPING
        elif macrostep.event is not None:
            event = macrostep.event
            if delivery.lost_child is None:
                origin = Origin.SELF
        self._entries.append(JournalEntry(self.revision, self.ts, origin, event, self.snapshot))
        self.view = InstanceView(self.revision, self.ts, macrostep.view)
        self.is_silent = self.is_silent and macrostep.is_silent

    def _bury(self, dead: Timer) -> None:
        if dead.seq in self.timers:
            # No number is used twice.
            buried = dead._replace(seq=self.next_timer_seq)
            self.next_timer_seq += 1
            self._apply(TimerChanges((buried,), (dead.seq,)))

    def _drop_timers(self, now_ms: float) -> None:
        """A finished machine takes no events, its own delayed ones included, and sends none. What it has sent arrives."""
        dropped = [seq for seq, timer in self.timers.items() if not timer.is_out(now_ms)]
        self._apply(TimerChanges((), tuple(dropped)))

    def _change_timers(
        self, fired: int | None, ops: tuple[TimerOp, ...], now_ms: float, hops: int
    ) -> None:
        pending: Mapping[int, Timer] = self.timers
        if fired is not None:
            pending = {seq: timer for seq, timer in pending.items() if seq != fired}
        changes = apply_timer_ops(
            pending, ops, next_seq=self.next_timer_seq, now_ms=now_ms, hops=hops
        )
        if fired is not None:
            changes = TimerChanges(changes.set, (fired, *changes.removed))
        self._apply(changes)
        self.next_timer_seq += sum(isinstance(op, SetTimer) for op in ops)

    def _apply(self, changes: TimerChanges) -> None:
        timers = dict(self.timers)
        for seq in changes.removed:
            del timers[seq]
            if self._timers_set.pop(seq, None) is None:
                self._timers_removed.append(seq)
        for timer in changes.set:
            timers[timer.seq] = timer
            self._timers_set[timer.seq] = timer
        self.timers = timers


def lost_child_delivery(
    child_id: str, why: str, *, xstate_major: int, address: Address | None = None
) -> Delivery:
    """The error event of a child that was due and never answered (SPEC 6), or of the instance with that address that could not be made."""
    name = f"xstate.error.actor.{child_id}" if xstate_major == 5 else f"error.platform.{child_id}"
    # Names of children may hold anything that JSON has to escape; the host sends the real event along with its answer.
    lost = LostChild(child_id, why, address)
    return Delivery(Event(name, b"{}"), Origin.LOST_CHILD, lost_child=lost)

"""Delayed events of instances, and what setting and cancelling does to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from statekeep.domain.errors import MachineError
from statekeep.domain.limits import HOPS_FORGOTTEN_AFTER, TIMERS_PER_INSTANCE_MAX
from statekeep.domain.message import Message

_HOPS_FORGOTTEN_AFTER_MS = HOPS_FORGOTTEN_AFTER.total_seconds() * 1000


class Timer(NamedTuple):
    """An event that is due once.

        `seq` numbers the timers of an instance in the order they were set and is never used again; `send_id` is the author's name for it, which is not unique:
        XState fires every one of two delayed sends with the same id. `due_at` is in ms since the epoch. `after` is JSON that names
        the delayed transition it belongs to, where it is one. `tries` counts failed deliveries, `failure` says why the last one failed. `message` is there
    where it is not for the instance itself but for another one; `event` is then what that message brings. `hops` counts the messages that led to it.
    """

    seq: int
    send_id: str
    due_at: float
    event: bytes
    after: bytes | None = None
    tries: int = 0
    is_dead: bool = False
    message: Message | None = None
    hops: int = 0
    failure: str | None = None

    def is_out(self, now_ms: float) -> bool:
        """Has it left its instance? A message that is due is on its way, and cannot be taken back."""
        return self.message is not None and (self.due_at <= now_ms or self.tries > 0)


class SetTimer(NamedTuple):
    """Decided in a macrostep: send `event` to the machine itself, or as `message` to another, after `delay_ms`."""

    send_id: str
    delay_ms: float
    event: bytes
    after: bytes | None = None
    message: Message | None = None


class CancelTimer(NamedTuple):
    """Decided in a macrostep: forget the newest pending timer of that id, if there is one."""

    send_id: str


TimerOp = SetTimer | CancelTimer


class TimerChanges(NamedTuple):
    """What a commit does to the timers of one instance."""

    set: tuple[Timer, ...]
    removed: tuple[int, ...]


NO_TIMER_CHANGES = TimerChanges((), ())


def apply_timer_ops(
    pending: Mapping[int, Timer],
    ops: Sequence[TimerOp],
    *,
    next_seq: int,
    now_ms: float,
    hops: int = 0,
) -> TimerChanges:
    """What is left of `ops` once they are applied in order: a timer that is set and cancelled again does not appear.

    A cancel takes the newest timer with its id, as XState does. `hops` are those of the event that was handled: a timer inherits them unless it waits
    for long, and a message counts as one more. Raises MachineError where an instance would have too many.
    """
    added: dict[int, Timer] = {}
    removed: list[int] = []
    cancellable = _by_id(pending, now_ms) if CancelTimer in map(type, ops) else {}
    for op in ops:
        if isinstance(op, SetTimer):
            timer = added[next_seq] = _timer(next_seq, op, now_ms, hops)
            if not timer.is_out(now_ms):
                cancellable.setdefault(op.send_id, []).append(next_seq)
            next_seq += 1
        elif seqs := cancellable.get(op.send_id):
            seq = seqs.pop()
            if added.pop(seq, None) is None:
                removed.append(seq)
    if _is_too_many(pending, len(added) - len(removed)):
        raise MachineError(f"an instance has at most {TIMERS_PER_INSTANCE_MAX} pending timers")
    return TimerChanges(tuple(added.values()), tuple(removed))


def _is_too_many(pending: Mapping[int, Timer], more: int) -> bool:
    if len(pending) + more <= TIMERS_PER_INSTANCE_MAX:
        return False
    # Dead letters are counted only where it matters: an event should not cost a look at every timer.
    living = sum(not timer.is_dead for timer in pending.values())
    return living + more > TIMERS_PER_INSTANCE_MAX


def _timer(seq: int, op: SetTimer, now_ms: float, hops: int) -> Timer:
    due_at = now_ms + op.delay_ms
    if op.delay_ms >= _HOPS_FORGOTTEN_AFTER_MS:
        hops = 0
    if op.message is None:
        return Timer(seq, op.send_id, due_at, op.event, op.after, hops=hops)
    return Timer(seq, op.send_id, due_at, op.event, message=op.message, hops=hops + 1)


def _by_id(timers: Mapping[int, Timer], now_ms: float) -> dict[str, list[int]]:
    """Those that can be cancelled, the newest last."""
    found: dict[str, list[int]] = {}
    for seq in sorted(timers):
        timer = timers[seq]
        if not (timer.is_dead or timer.is_out(now_ms)):
            found.setdefault(timer.send_id, []).append(seq)
    return found

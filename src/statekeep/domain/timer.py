"""Delayed events of instances, and what setting and cancelling does to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from statekeep.domain.errors import MachineError
from statekeep.domain.limits import TIMERS_PER_INSTANCE_MAX


class Timer(NamedTuple):
    """An event that is due once.

    `seq` numbers the timers of an instance in the order they were set and is never used again; `send_id` is the author's name for it, which is not unique:
    XState fires every one of two delayed sends with the same id. `due_at` is in ms since the epoch. `after` is JSON that names
    the delayed transition it belongs to, where it is one. `tries` counts failed deliveries.
    """

    seq: int
    send_id: str
    due_at: float
    event: bytes
    after: bytes | None = None
    tries: int = 0
    is_dead: bool = False


class SetTimer(NamedTuple):
    """Decided in a macrostep: send `event` to the machine itself after `delay_ms`."""

    send_id: str
    delay_ms: float
    event: bytes
    after: bytes | None


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
    pending: Mapping[int, Timer], ops: Iterable[TimerOp], *, next_seq: int, now_ms: float
) -> TimerChanges:
    """What is left of `ops` once they are applied in order: a timer that is set and cancelled again does not appear.

    A cancel takes the newest timer with its id, as XState does. Raises MachineError where an instance would have too many.
    """
    added: dict[int, Timer] = {}
    removed: list[int] = []
    for op in ops:
        if isinstance(op, SetTimer):
            added[next_seq] = Timer(next_seq, op.send_id, now_ms + op.delay_ms, op.event, op.after)
            next_seq += 1
            continue
        seq = _newest(added, op.send_id)
        if seq is not None:
            del added[seq]
            continue
        seq = _newest(pending, op.send_id, without=removed)
        if seq is not None:
            removed.append(seq)
    if len(pending) - len(removed) + len(added) > TIMERS_PER_INSTANCE_MAX:
        raise MachineError(f"an instance has at most {TIMERS_PER_INSTANCE_MAX} pending timers")
    return TimerChanges(tuple(added.values()), tuple(removed))


def _newest(timers: Mapping[int, Timer], send_id: str, without: Iterable[int] = ()) -> int | None:
    candidates = [
        seq
        for seq, timer in timers.items()
        if timer.send_id == send_id and not timer.is_dead and seq not in without
    ]
    return max(candidates, default=None)

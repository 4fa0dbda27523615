"""From what the engine has of an instance to what a reading shows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from statekeep.domain.instance import InstanceKey
from statekeep.domain.names import InstanceName, MachineName
from statekeep.domain.timer import Timer as PendingTimer
from statekeep.ports.clock import datetime_of
from statekeep.testing.hosts import ORGANIZATION
from statekeep.testing.readings import LogLine, Reading, Sent, Timer, Transition


def read_instance(
    snapshot: bytes,
    view: bytes,
    *,
    timers: Iterable[PendingTimer],
    now_ms: float,
    sent: tuple[Sent, ...],
    log: tuple[LogLine, ...],
    transitions: tuple[Transition, ...],
) -> Reading:
    """An instance with this snapshot and view, at that time."""
    # Python's own decoder takes names with half a surrogate pair.
    saved, seen = json.loads(snapshot), json.loads(view)
    return Reading(
        state=saved["value"],
        context=saved["context"],
        public_context=seen.get("publicContext"),
        tags=tuple(seen["tags"]),
        done=seen["done"],
        output=saved.get("output"),
        timers=_pending(timers, now_ms),
        sent=sent,
        log=log,
        transitions=transitions,
        children=_persistent_children(saved),
    )


def read_transition(event: bytes, snapshot: bytes, ts: float) -> Transition:
    """A journal entry."""
    return Transition(json.loads(event), json.loads(snapshot)["value"], datetime_of(ts))


def read_message(timer: PendingTimer, now_ms: float) -> Sent:
    """A timer that is a message, as it was sent at that time."""
    message = timer.message
    assert message is not None
    delay = timedelta(milliseconds=timer.due_at - now_ms)
    machine, name = message.to
    return Sent(machine, name, json.loads(timer.event), delay, kind=message.kind.value)


def _pending(timers: Iterable[PendingTimer], now_ms: float) -> tuple[Timer, ...]:
    own = [timer for timer in timers if timer.message is None and not timer.is_dead]
    return tuple(
        Timer(
            json.loads(timer.event),
            datetime_of(timer.due_at),
            timedelta(milliseconds=timer.due_at - now_ms),
        )
        for timer in sorted(own, key=lambda timer: (timer.due_at, timer.seq))
    )


def _persistent_children(snapshot: dict[str, Any]) -> dict[str, InstanceKey]:
    return {
        child_id: InstanceKey(
            ORGANIZATION,
            MachineName(child["machineName"]),
            InstanceName(child["machineInstanceName"]),
        )
        for child_id, child in snapshot.get("children", {}).items()
        if child["kind"] == "instance"
    }

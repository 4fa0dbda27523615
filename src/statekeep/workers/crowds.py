"""What is due, by organization and instance, so that nobody waits for somebody else's slow machines.

What must stay true here:

- of an instance, what is due comes in the order in which it was added;
- an organization has at most so much under way, and an instance of it a part of that: the rest waits, and takes turns;
- what waits is bounded. Where there is more it is turned away and stays in the store, and so does all that comes after it, lest it overtakes, until the crowd has caught up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from statekeep.domain.names import InstanceId

FIRING_MAX: Final = 512
"""Timers of an organization that are delivered and not yet handled."""
FIRING_PER_INSTANCE_MAX: Final = 128
"""The same of one instance: enough for two full bursts at whoever gets its messages."""
WAITING_MAX: Final = 10_000
"""Timers of an organization that are due, in memory, and wait for their turn."""

Due = tuple[float, InstanceId, int]
"""When a timer is due, of which instance it is, and its number there: timers are in this order."""


class Crowd:
    """What is due of one organization."""

    def __init__(self) -> None:
        self.delivering: asyncio.Task[None] | None = None
        self.catching_up: asyncio.Task[None] | None = None
        self.is_behind = False
        """Is something due that was turned away?"""
        self.turned_away: list[Due] = []
        """Since the crowd began to catch up: what of it is not met on the way has to be added at the end."""
        self._waiting: dict[InstanceId, dict[int, None]] = {}
        self._waiting_count = 0
        self._under_way: dict[InstanceId, set[int]] = {}
        self._under_way_count = 0
        self._turns: deque[InstanceId] = deque()
        """Instances of which something waits and may go, each once."""

    @property
    def is_empty(self) -> bool:
        """Does nothing wait, and is nothing under way?"""
        tasks = self.delivering or self.catching_up
        return not (self._waiting or self._under_way or tasks or self.is_behind)

    @property
    def may_catch_up(self) -> bool:
        """Is there room for much of what was turned away, and nobody reading that yet?"""
        has_room = self._waiting_count <= WAITING_MAX // 2
        return self.is_behind and has_room and self.catching_up is None

    @property
    def is_ready(self) -> bool:
        """May something go?"""
        return bool(self._turns) and self._under_way_count < FIRING_MAX

    def add(self, instance_id: InstanceId, seq: int) -> bool:
        """Let it wait for its turn, unless it does already or is under way. False, and nothing is added, where too many wait."""
        if self._waiting_count >= WAITING_MAX:
            return False
        waiting = self._waiting.get(instance_id, {})
        if seq not in waiting and seq not in self._under_way.get(instance_id, ()):
            waiting[seq] = None
            self._waiting[instance_id] = waiting
            self._waiting_count += 1
            if len(waiting) == 1:
                self._line_up(instance_id)
        return True

    def turn_away(self, due: Due) -> None:
        """It is due, and has to be read from the store again."""
        self.is_behind = True
        if self.catching_up is not None:
            self.turned_away.append(due)

    def take(self) -> tuple[InstanceId, int] | None:
        """The next one, which is under way from now on. None where nothing may go."""
        if not self.is_ready:
            return None
        instance_id = self._turns.popleft()
        waiting = self._waiting[instance_id]
        seq = next(iter(waiting))
        del waiting[seq]
        self._waiting_count -= 1
        self._under_way.setdefault(instance_id, set()).add(seq)
        self._under_way_count += 1
        if waiting:
            self._line_up(instance_id)
        else:
            del self._waiting[instance_id]
        return instance_id, seq

    def handled(self, instance_id: InstanceId, seq: int) -> None:
        """One that was under way is not any more."""
        under_way = self._under_way[instance_id]
        was_full = len(under_way) == FIRING_PER_INSTANCE_MAX
        under_way.remove(seq)
        self._under_way_count -= 1
        if not under_way:
            del self._under_way[instance_id]
        if was_full and instance_id in self._waiting:
            self._turns.append(instance_id)

    def _line_up(self, instance_id: InstanceId) -> None:
        if len(self._under_way.get(instance_id, ())) < FIRING_PER_INSTANCE_MAX:
            self._turns.append(instance_id)

"""What is due, by organization and instance, so that nobody waits for somebody else's slow machines.

What must stay true here:

- of an instance, what is due comes in the order in which it was added;
- an organization has at most so much under way, and an instance of it a part of that: the rest waits, and takes turns;
- what waits is bounded. Where there is more it stays in the store, and nothing is added until there is room to read that again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Final

from statekeep.domain.names import InstanceId

FIRING_MAX: Final = 512
"""Timers of an organization that are delivered and not yet handled."""
FIRING_PER_INSTANCE_MAX: Final = 128
"""The same of one instance: enough for two full bursts at whoever gets its messages."""
WAITING_MAX: Final = 10_000
"""Timers of an organization that are due, in memory, and wait for their turn."""


class Crowd:
    """What is due of one organization."""

    def __init__(self) -> None:
        self.delivering: asyncio.Task[None] | None = None
        self.has_more = False
        """Is something due that was turned away?"""
        self._waiting: dict[InstanceId, dict[int, None]] = {}
        self._waiting_count = 0
        self._under_way: Counter[InstanceId] = Counter()
        self._under_way_count = 0
        self._turns: deque[InstanceId] = deque()
        """Instances of which something waits and may go, each once."""

    @property
    def is_empty(self) -> bool:
        """Does nothing wait, and is nothing under way?"""
        return not (self._waiting or self._under_way or self.delivering or self.has_more)

    @property
    def is_ready(self) -> bool:
        """May something go?"""
        return bool(self._turns) and self._under_way_count < FIRING_MAX

    def add(self, instance_id: InstanceId, seq: int) -> None:
        """Let it wait for its turn. Nothing where it does already; turned away where too many do."""
        if self.has_more or self._waiting_count >= WAITING_MAX:
            self.has_more = True
            return
        waiting = self._waiting.setdefault(instance_id, {})
        if seq not in waiting:
            waiting[seq] = None
            self._waiting_count += 1
            if len(waiting) == 1:
                self._line_up(instance_id)

    def take(self) -> tuple[InstanceId, int] | None:
        """The next one, which is under way from now on. None where nothing may go."""
        if not self.is_ready:
            return None
        instance_id = self._turns.popleft()
        waiting = self._waiting[instance_id]
        seq = next(iter(waiting))
        del waiting[seq]
        self._waiting_count -= 1
        self._under_way[instance_id] += 1
        self._under_way_count += 1
        if waiting:
            self._line_up(instance_id)
        else:
            del self._waiting[instance_id]
        return instance_id, seq

    def handled(self, instance_id: InstanceId) -> None:
        """One that was under way is not any more."""
        was_full = self._under_way[instance_id] == FIRING_PER_INSTANCE_MAX
        self._under_way[instance_id] -= 1
        self._under_way_count -= 1
        if not self._under_way[instance_id]:
            del self._under_way[instance_id]
        if was_full and instance_id in self._waiting:
            self._turns.append(instance_id)

    def has_room_again(self) -> bool:
        """Was something turned away that may be read again now? Says so once."""
        if not self.has_more or self._waiting_count > WAITING_MAX // 2:
            return False
        self.has_more = False
        return True

    def _line_up(self, instance_id: InstanceId) -> None:
        if self._under_way[instance_id] < FIRING_PER_INSTANCE_MAX:
            self._turns.append(instance_id)

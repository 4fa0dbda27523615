"""Tells of the transitions of all instances, for whoever runs the server at their own terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import ClassVar, NamedTuple

from statekeep.application.residents import Residents
from statekeep.domain.errors import HistoryGone
from statekeep.domain.instance import InstanceKey
from statekeep.domain.limits import FEED_INSTANCES_MAX, FEED_NEWS_MAX
from statekeep.domain.names import InstanceId
from statekeep.ports.notifier import InstanceChanged, Notification
from statekeep.ports.snapshots import ReadStateValue
from statekeep.ports.store import InstanceStore, Transition
from statekeep.workers.worker import Worker


class ToldTransition(NamedTuple):
    """A transition that is durable. `event` and `state_value` are JSON."""

    key: InstanceKey
    event: bytes
    state_value: bytes


OnTransition = Callable[[ToldTransition], None]
"""Called on the server's loop: it must neither block nor raise."""


class TransitionFeed(Worker):
    """Calls `on_transition` with each transition from now on, in the order of each instance. `hear` is for the notifier.

    Nobody's `allowRead` is asked, so this is for the operator alone. It never holds up a sender: a feed that is behind leaves out what is oldest.
    """

    task: ClassVar[str] = "transitions could not be told"

    def __init__(
        self,
        store: InstanceStore,
        residents: Residents,
        on_transition: OnTransition,
        *,
        read_state_value: ReadStateValue,
    ) -> None:
        super().__init__()
        self._store = store
        self._residents = residents
        self._on_transition = on_transition
        self._read_state_value = read_state_value
        self._news: deque[InstanceChanged] = deque(maxlen=FEED_NEWS_MAX)
        self._told: dict[InstanceId, int] = {}
        """The revision up to which instances were told of, the one that changed last at the end."""

    def hear(self, notification: Notification) -> None:
        """Something happened to an instance."""
        if isinstance(notification, InstanceChanged):
            self._news.append(notification)
            self.look()

    async def work(self) -> None:
        """Tell of all that was heard."""
        while self._news:
            await self._tell_of(self._news.popleft())

    async def _tell_of(self, change: InstanceChanged) -> None:
        # Several transitions may be one commit; of an instance that was not heard of yet its last is told.
        told = self._told.pop(change.instance_id, change.revision - 1)
        resident = await self._residents.find_by_id(change.instance_id)
        if resident is None:
            return
        # Retention may have been faster.
        with suppress(HistoryGone):
            async with aclosing(self._store.transitions_after(resident.id, told)) as portions:
                async for portion in portions:
                    for transition in portion:
                        self._tell(resident.key, transition)
                        told = transition.revision
        self._remember(resident.id, max(told, change.revision))

    def _tell(self, key: InstanceKey, transition: Transition) -> None:
        state_value = self._read_state_value(transition.snapshot)
        self._on_transition(ToldTransition(key, transition.event, state_value))

    def _remember(self, instance_id: InstanceId, revision: int) -> None:
        self._told[instance_id] = revision
        if len(self._told) > FEED_INSTANCES_MAX:
            del self._told[next(iter(self._told))]

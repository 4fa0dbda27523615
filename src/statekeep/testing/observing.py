"""Between the hosts and the worlds: who hears what, and what was seen of a chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from statekeep.domain.event import Delivery, Event
from statekeep.domain.machine import MachineVersion
from statekeep.domain.message import Parent
from statekeep.domain.names import InstanceId, InstanceName
from statekeep.domain.step import ChildrenState, Outcome, Stepped
from statekeep.ports.runtime import RuntimeListener, Standing
from statekeep.runtimes.runtime import HostRuntime
from statekeep.testing.numbers import is_stranger, world_of


class ObservedRuntime(HostRuntime):
    """Tells of everything that is accepted by an instance of a world."""

    def __init__(self, on_stepped: Callable[[MachineVersion, Stepped], None]) -> None:
        super().__init__()
        self._on_stepped = on_stepped

    async def create(
        self,
        version: MachineVersion,
        instance_id: InstanceId,
        name: InstanceName,
        context: bytes,
        auth: bytes | None,
        parent: Parent | None = None,
    ) -> Outcome:
        outcome = await super().create(version, instance_id, name, context, auth, parent)
        self._tell(version, instance_id, [outcome])
        return outcome

    def create_at_once(
        self,
        version: MachineVersion,
        instance_id: InstanceId,
        name: InstanceName,
        context: bytes,
        auth: bytes | None,
        then: Callable[[Outcome], None],
    ) -> bool:
        # Every outcome passes `create`.
        return False

    async def step(
        self, version: MachineVersion, standing: Standing, deliveries: Sequence[Delivery]
    ) -> Sequence[Outcome]:
        outcomes = await super().step(version, standing, deliveries)
        self._tell(version, standing.instance_id, outcomes)
        return outcomes

    def step_at_once(
        self,
        version: MachineVersion,
        standing: Standing,
        delivery: Delivery,
        then: Callable[[Outcome], None],
    ) -> bool:
        # Every outcome passes `step`.
        return False

    def _tell(
        self, version: MachineVersion, instance_id: InstanceId, outcomes: Sequence[Outcome]
    ) -> None:
        if not is_stranger(instance_id):
            for outcome in outcomes:
                if isinstance(outcome, Stepped):
                    self._on_stepped(version, outcome)


class Dispatcher:
    """Tells each world what concerns it (ports.runtime.RuntimeListener)."""

    def __init__(self, worlds: dict[int, RuntimeListener]) -> None:
        self._worlds = worlds

    def child_sent(
        self,
        instance_id: InstanceId,
        event: Event,
        handle: int,
        children: ChildrenState,
        child: str | None,
    ) -> None:
        world = self._world_of(instance_id)
        if world is not None:
            world.child_sent(instance_id, event, handle, children, child)

    def children_changed(self, instance_id: InstanceId, children: ChildrenState) -> None:
        world = self._world_of(instance_id)
        if world is not None:
            world.children_changed(instance_id, children)

    def host_lost(self, instance_ids: Sequence[InstanceId]) -> None:
        for instance_id in instance_ids:
            world = self._world_of(instance_id)
            if world is not None:
                world.host_lost([instance_id])

    def logged(
        self,
        version: MachineVersion,
        instance_id: InstanceId | None,
        stream: int,
        ts: float,
        text: str,
    ) -> None:
        concerned = self._worlds.values() if instance_id is None else [self._world_of(instance_id)]
        for world in concerned:
            if world is not None:
                world.logged(version, instance_id, stream, ts, text)

    def _world_of(self, instance_id: InstanceId) -> RuntimeListener | None:
        return self._worlds.get(world_of(instance_id))

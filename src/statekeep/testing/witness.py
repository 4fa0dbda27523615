"""What one world has heard of its instances: transitions that became durable, messages that were sent, lines that were printed."""

from __future__ import annotations

from collections.abc import Callable

from statekeep.application.resident import Resident
from statekeep.domain.instance import InstanceKey
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId, MachineName, OrganizationId
from statekeep.domain.timer import Timer as PendingTimer
from statekeep.domain.timer import TimerChanges
from statekeep.ports.notifier import Notification
from statekeep.ports.store import Store
from statekeep.testing.clock import VirtualClock
from statekeep.testing.decoding import read_instance, read_message, read_transition
from statekeep.testing.readings import LogLine, Reading, Sent, Transition


class Witness:
    """Takes notes (ports.notifier.Notifier, ports.author_log.AuthorLog), and makes readings of them.

    Timers are handed on to `on_timers`, but for messages to machines that the world does not have: those are noted and go nowhere.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        has_machine: Callable[[MachineName], bool],
        on_timers: Callable[[OrganizationId, InstanceId, TimerChanges], None],
    ) -> None:
        self._clock = clock
        self._has_machine = has_machine
        self._on_timers = on_timers
        self._log: list[tuple[InstanceKey | None, LogLine]] = []
        self._sent: dict[InstanceId, dict[int, tuple[PendingTimer, Sent]]] = {}
        self._transitions: dict[InstanceId, tuple[int, list[Transition]]] = {}
        self.changed: set[InstanceId] = set()
        """Instances of which something happened since their last reading."""

    @property
    def log(self) -> tuple[LogLine, ...]:
        """Every line, in the order in which they came."""
        return tuple([line for _, line in self._log])

    def publish(self, notification: Notification) -> None:
        self.changed.add(notification.instance_id)

    def write(
        self,
        version: MachineVersion,
        instance: InstanceKey | None,
        *,
        is_error: bool,
        ts: float,
        text: str,
    ) -> None:
        name = None if instance is None else instance.name
        self._log.append((instance, LogLine(text, is_error, name)))

    def schedule(
        self, organization_id: OrganizationId, instance_id: InstanceId, changes: TimerChanges
    ) -> None:
        """These changes to the timers of an instance have become durable."""
        self.changed.add(instance_id)
        sent = self._sent.setdefault(instance_id, {})
        for seq in changes.removed:
            if seq in sent and not sent[seq][0].is_out(self._clock.now_ms()):
                del sent[seq]
        sent.update(
            {
                timer.seq: (timer, read_message(timer, self._clock.now_ms()))
                for timer in changes.set
                if timer.message is not None
            }
        )
        within = [timer for timer in changes.set if self._stays_within(timer)]
        self._on_timers(organization_id, instance_id, changes._replace(set=tuple(within)))

    def lines_after(self, count: int) -> list[str]:
        """What was written since there were so many lines."""
        return [line.text for _, line in self._log[count:]]

    async def read(self, resident: Resident, view: bytes, store: Store) -> Reading:
        """The instance as it is now; `view` is its newest."""
        self.changed.discard(resident.id)
        return read_instance(
            resident.snapshot,
            view,
            timers=resident.timers.values(),
            now_ms=self._clock.now_ms(),
            sent=tuple([sent for _, sent in self._sent.get(resident.id, {}).values()]),
            log=tuple([line for key, line in self._log if key == resident.key]),
            transitions=await self._read_transitions(resident.id, store),
        )

    def _stays_within(self, timer: PendingTimer) -> bool:
        return timer.message is None or self._has_machine(timer.message.to.machine_name)

    async def _read_transitions(
        self, instance_id: InstanceId, store: Store
    ) -> tuple[Transition, ...]:
        revision, known = self._transitions.get(instance_id, (0, []))
        async for portion in store.transitions_after(instance_id, revision):
            for entry in portion:
                revision = entry.revision
                known.append(read_transition(entry.event, entry.snapshot, entry.ts))
        self._transitions[instance_id] = (revision, known)
        return tuple(known)

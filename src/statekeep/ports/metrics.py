"""What the server counts about itself while it works: plain numbers that one event loop changes and a scrape reads.

Not a protocol but values: they are counted on the path of every event, where even a call costs more than the counting, and the locks of a
metrics library ten times as much. What can be asked for when somebody looks (queues, hosts, sizes) is not counted here at all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from statekeep.domain.event import Origin
from statekeep.domain.limits import METRIC_MACHINES_MAX
from statekeep.domain.machine import MachineVersion

LATENCY_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0),
)
"""Upper bounds of what takes from a fraction of a millisecond to a settle timeout."""
BATCH_WRITES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
LATENESS_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 3600.0)

OTHER_MACHINES: Final = ("(other)", "(other)")
"""Stands for the organization and the machine of all that came once there were too many to tell apart."""

_STATUSES: Final = 600


class EventOutcome(IntEnum):
    """What came of an event."""

    ACCEPTED = 0
    """It is durable."""
    REFUSED = 1
    """`allowWrite` did not answer true."""
    IGNORED = 2
    """The instance is finished."""
    FAILED = 3
    """The machine threw, a bound was exceeded, or the instance is paused or gone."""
    OVERLOADED = 4
    """There was no room for it: the sender may come again."""


class Histogram:
    """How often a value fell under each bound, and the sum of all."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Those up to each bound and past the one before; the last one is for what is past all."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """Of all values."""
        return sum(self.counts)


class Metrics:
    """Counts since the start of the process. Everybody adds to their own attribute; nobody takes away.

    With `per_machine` events are counted by organization and machine too, for the first METRIC_MACHINES_MAX machines that get one.
    """

    def __init__(self, *, per_machine: bool = False) -> None:
        self.events = [[0] * len(Origin) for _ in EventOutcome]
        """By outcome and origin; creations are among them."""
        self.by_machine: dict[tuple[str, str], list[int]] | None = {} if per_machine else None
        """By organization and machine, then by outcome."""
        self.event_seconds = Histogram(LATENCY_SECONDS)
        """From the mailbox to the disk."""
        self.settle_seconds = Histogram(LATENCY_SECONDS)
        """From the disk until the instance had settled, of senders who had to wait for that."""
        self.settle_timeouts = 0
        """Senders who got the newest state because the instance did not settle in time."""
        self.batch_writes = Histogram(BATCH_WRITES)
        self.commit_seconds = Histogram(LATENCY_SECONDS)
        self.writes_failed = 0
        self.timer_lateness_seconds = Histogram(LATENESS_SECONDS)
        """Between when a timer was due and when it was put into its mailbox, each try."""
        self.timers_failed = 0
        """Deliveries that will be tried again, or are dead letters now; messages are among them."""
        self.dead_timers = 0
        self.dead_messages = 0
        self.messages_delivered = 0
        self.messages_failed = 0
        self.hosts_started = 0
        self.hosts_restarted = 0
        """Those of them that took the place of one that had died."""
        self.host_starts_failed = 0
        self.hosts_died = 0
        self.host_start_seconds = Histogram(LATENCY_SECONDS)
        self.host_request_seconds = Histogram(LATENCY_SECONDS)
        self.http_responses = [0] * _STATUSES
        """By status."""
        self.requests_limited = 0
        self.tokens_exchanged = 0
        self.exchanges_refused = 0

    def count_machine(self, version: MachineVersion, outcome: EventOutcome, count: int) -> None:
        """Count events of one machine. Only where `by_machine` is not None."""
        assert self.by_machine is not None
        name = (version.organization_id, version.machine_name)
        counts = self.by_machine.get(name)
        if counts is None:
            known: tuple[str, str] = name
            if len(self.by_machine) >= METRIC_MACHINES_MAX:
                known = OTHER_MACHINES
            counts = self.by_machine.setdefault(known, [0] * len(EventOutcome))
        counts[outcome] += count


class Gauges(NamedTuple):
    """What is so at the moment of a scrape."""

    mailbox_letters: int
    writes_waiting: int
    timers_held: int
    residents: int
    resident_bytes: int
    hosts: dict[str, int]
    """By what they do."""
    hosts_pinned: int
    host_requests_waiting: int
    sockets: int
    watchers: int
    instances_watched: int
    database_bytes: int
    wal_bytes: int

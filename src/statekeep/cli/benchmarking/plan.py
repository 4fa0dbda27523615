"""What the load generator is told, and what it tells: one line of JSON each. Both of its sides import this and little else."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

NAME: Final = "{name}"
"""Where the name of an instance goes in a path or a body."""
PROOF: Final = "{proof}"
"""Where a body proves that the deletion of this instance is meant."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Requests about instances of a machine, for a number of connections, each of which sends the next once it has the answer to the last.

    They are alike but for the instance: `count` of them from number `first` on, at random and over and over, or, with `is_once`, each of them once and in order.
    Nothing more is sent once `seconds` are over.
    """

    url: str
    token: str
    machine: str
    method: str
    path: str
    body: str
    first: int = 0
    count: int
    is_once: bool = False
    connections: int
    seconds: float


def instance_name(number: int) -> str:
    """The instance with that number."""
    return f"i{number}"


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far it is: after so many seconds, so many answers."""

    seconds: float
    answered: int


class Load(msgspec.Struct, frozen=True, tag="load"):
    """What the generator saw. `was_stopped` where it was told to end early."""

    seconds: float
    """How long requests were sent."""
    sent: int
    answered: int
    """With a status of success, those included that came after `seconds`, to requests that had been sent before."""
    answered_in_time: int
    latencies_us: dict[int, int]
    """How many of those that were answered took how many microseconds, from the request's last byte being written to the answer's last byte being read."""
    failures: dict[str, int]
    """All others: by their status, or by what happened to the connection."""
    cpu_share: float
    """Of one core, which is all that the generator can use."""
    was_stopped: bool

    def latency_ms(self, quantile: float) -> float | None:
        """The time within which that share of the requests was answered, in milliseconds. None where none was."""
        rank = quantile * self.answered
        seen = 0
        for microseconds, count in sorted(self.latencies_us.items()):
            seen += count
            if seen >= rank:
                return microseconds / 1000
        return None


Report: TypeAlias = Progress | Load

"""Traces over the path of an event, for whoever wants to see where its time goes.

Where nothing is traced there is no tracer, and each point of the path asks no more than whether it is None.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Protocol

from statekeep.domain.errors import StatekeepError
from statekeep.domain.instance import InstanceKey
from statekeep.domain.names import InstanceId
from statekeep.domain.timer import Timer


class Stage(Enum):
    """Parts of the path, in their order. Some are passed more than once, and some not at all."""

    MAILBOX = "mailbox"
    """It waits behind other events."""
    HOST = "host step"
    """The host asks `allowWrite` and takes the transition."""
    COMMIT = "commit"
    """The transition waits for its batch and its batch for the disk."""
    EFFECTS = "effects"
    """What was decided is performed, and the instance settles."""
    REPLY = "reply"
    """The answer is put together and sent."""


class Caller(NamedTuple):
    """What a request says of the trace that it is part of: headers of W3C Trace Context."""

    traceparent: str | None
    tracestate: str | None


class EventTrace(Protocol):
    """One event, from whoever sends it to their answer. Nothing here raises."""

    def about(self, key: InstanceKey, event_type: str) -> None:
        """Which event it is, for which instance."""
        ...

    def reached(self, stage: Stage) -> None:
        """It enters this stage and leaves the one before."""
        ...

    def failed(self, error: BaseException) -> None:
        """Nothing came of it. It still has to be ended."""
        ...

    def ended(self, status: int | None = None) -> None:
        """It is over, for a request with an answer of this HTTP status. All that follows is ignored."""
        ...


class Tracer(Protocol):
    """Begins traces. None stands for an event that is not sampled."""

    def request(self, route: str, caller: Caller) -> EventTrace | None:
        """A request arrived that sends an event or creates an instance."""
        ...

    def delivery(self, what: str, cause: tuple[InstanceId, int]) -> EventTrace | None:
        """A timer or a message (`what`) is due. `cause` is its number: the instance that set it, and which of its timers it is."""
        ...

    def caused(self, trace: EventTrace, instance_id: InstanceId, timers: tuple[Timer, ...]) -> None:
        """The traced event set these timers, or sent these messages: their traces will be linked to its own."""
        ...


def failure_of(error: BaseException) -> str:
    """A name for what went wrong, fit for a trace: messages of errors may quote what authors and callers keep private."""
    code = error.code if isinstance(error, StatekeepError) else None
    return code or type(error).__name__

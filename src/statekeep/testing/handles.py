"""What both shells say of an instance, and how they take what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from statekeep.bundling import BuildFailed
from statekeep.domain.errors import StatekeepError
from statekeep.ports.clock import datetime_of
from statekeep.testing.clock import START, VirtualClock
from statekeep.testing.hosts import shared_hosts
from statekeep.testing.readings import LogLine, Reading, Sent, Timer, Transition
from statekeep.testing.world import SETTLE_TIMEOUT, CoreInstance, CoreWorld, NeverAtRest

Claims = Mapping[str, Any]
"""What the authorisers of machines get to see as `authContext`."""
Event = str | Mapping[str, Any]
"""The name of an event, or all of it: a mapping with a `type`."""

FOR_AUTHORS: Final = (StatekeepError, BuildFailed, NeverAtRest)
"""What is wrong with their machines, or with what they ask for."""
TRANSITIONS_SHOWN_MAX: Final = 20
"""Of a long story a message tells the end."""
LINES_SHOWN_MAX: Final = 50
"""Of what was printed, too."""


class WorldHandle:
    """A server in small, in this process: machines, their instances, and a clock that stands still.

    A context manager; `close` ends it. Author code runs in the hosts that a server would run it in, without network unless that is allowed. `now` is when
    the world begins. Operations wait at most `settle_timeout` for promises and other children; these are stopped then, as on a server.
    """

    def __init__(
        self,
        *,
        now: datetime = START,
        allow_network: bool = False,
        settle_timeout: timedelta = SETTLE_TIMEOUT,
    ) -> None:
        self._hosts = shared_hosts(allow_network=allow_network)
        clock = VirtualClock(now)

        async def open_() -> CoreWorld:
            return await CoreWorld.opened(self._hosts, clock, settle_timeout)

        self._core = self._hosts.submit(open_()).result()

    def close_now(self) -> None:
        """Forget everything, from wherever. Safe to call twice."""
        self._hosts.submit(self._core.close()).result()

    @property
    def now(self) -> datetime:
        """The time in this world."""
        return datetime_of(self._core.clock.now_ms())

    @property
    def log(self) -> tuple[LogLine, ...]:
        """What the code of all instances printed, and what failed in it."""
        return self._core.witness.log

    @property
    def story(self) -> str:
        """How each instance came to be where it is, and what was printed."""
        handles = map(InstanceHandle, self._core.instances.values())
        parts = [f"{each.title}: {each.state!r}\n{each.story}" for each in handles]
        return "\n".join([*parts, *[f"{line}" for line in self.log[-LINES_SHOWN_MAX:]]])


class InstanceHandle:
    """An instance as it was when the world was last at rest."""

    def __init__(self, core: CoreInstance) -> None:
        self._core = core

    @property
    def name(self) -> str:
        """Of the instance, within its machine."""
        return self._core.key.name

    @property
    def machine_name(self) -> str:
        """Of its machine."""
        return self._core.key.machine_name

    @property
    def reading(self) -> Reading:
        """All of the following at once. It stays as it is when the instance goes on."""
        return self._core.reading

    @property
    def state(self) -> Any:
        """The state value: a string, or a dictionary where states are nested or parallel."""
        return self.reading.state

    @property
    def context(self) -> Any:
        """The whole context, which no caller of a server gets to see."""
        return self.reading.context

    @property
    def public_context(self) -> Any:
        """What callers may see of it: its key `public`. None where there is none."""
        return self.reading.public_context

    @property
    def tags(self) -> tuple[str, ...]:
        """Of all active states."""
        return self.reading.tags

    @property
    def done(self) -> bool:
        """Has it reached its final state?"""
        return self.reading.done

    @property
    def output(self) -> Any:
        """What the final state left. None before."""
        return self.reading.output

    @property
    def timers(self) -> tuple[Timer, ...]:
        """What is pending of its own delayed transitions and sends, the next one first."""
        return self.reading.timers

    @property
    def sent(self) -> tuple[Sent, ...]:
        """Every message to another instance so far, and the persistent children that were spawned; those that were cancelled in time are left out."""
        return self.reading.sent

    @property
    def log(self) -> tuple[LogLine, ...]:
        """What its code printed, and what failed in it."""
        return self.reading.log

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """Everything that happened to it, oldest first."""
        return self.reading.transitions

    def matches(self, state: str) -> bool:
        """Is this state active? A path with dots, as in `paid.shipping`."""
        return self.reading.matches(state)

    def assert_state(self, expected: Any) -> None:
        """The state value is this, or the state at this path is active. Else the message tells how the instance came where it is."""
        __tracebackhide__ = True
        is_active = isinstance(expected, str) and self.matches(expected)
        if self.state != expected and not is_active:
            raise AssertionError(
                f"{self.title} is in {self.state!r}, not in {expected!r}\n{self.story}"
            )

    @property
    def story(self) -> str:
        """How it came to be where it is, a line for each transition."""
        told = self.transitions[-TRANSITIONS_SHOWN_MAX:]
        width = max((len(it.label) for it in told), default=0)
        lines = [f"  {it.at:%Y-%m-%d %H:%M:%S}  {it.label:{width}} -> {it.state!r}" for it in told]
        if len(told) < len(self.transitions):
            lines.insert(0, f"  ... {len(self.transitions) - len(told)} before")
        return "\n".join(lines)

    def __repr__(self) -> str:
        path = ", ".join(it.label for it in self.transitions[-TRANSITIONS_SHOWN_MAX:])
        return f"<{self.title}: {self.state!r} after {path}>"

    @property
    def title(self) -> str:
        """Its machine and its name."""
        return f"{self.machine_name} {self.name}"

    def _claims(self, as_: Claims | None) -> Claims:
        return self._core.claims if as_ is None else as_

    def _require(self, allowed: bool, expected: bool, what: str, function: str) -> None:
        __tracebackhide__ = True
        if allowed is not expected:
            answer = "answered true" if allowed else "did not answer true"
            raise AssertionError(
                f"{what} {self.title} in {self.state!r}: {function} {answer}\n{self.story}"
            )


def whole_event(event: Event, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event with its `type`."""
    return {"type": event, **fields} if isinstance(event, str) else {**event, **fields}


def instant_after(
    clock: VirtualClock, duration: timedelta | None, units: Mapping[str, float]
) -> float:
    """That much later, in ms since the epoch. Raises ValueError where that is in the past."""
    length = (duration or timedelta()) + timedelta(**units)
    if length < timedelta():
        raise ValueError("time does not go back")
    return clock.now_ms() + length / timedelta(milliseconds=1)


def instant_of(clock: VirtualClock, at: datetime) -> float:
    """That time, in ms since the epoch. Raises ValueError where it is in the past, or has no time zone."""
    if at.tzinfo is None:
        raise ValueError("a time needs a time zone: datetime(..., tzinfo=UTC)")
    ms = at.timestamp() * 1000
    if ms < clock.now_ms():
        raise ValueError(f"it is {datetime_of(clock.now_ms())} already: time does not go back")
    return ms

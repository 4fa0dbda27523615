"""One delivery to a host that is at hand and holds the instance: nearly every event. No coroutine, and no turn of the event loop between the host's
answer and what follows from it. Whatever is out of the ordinary is asked again in the ordinary way, by a task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from statekeep.domain.errors import StatekeepError
from statekeep.domain.event import Delivery
from statekeep.domain.machine import MachineVersion
from statekeep.domain.step import Failed, Outcome
from statekeep.ports.runtime import Standing
from statekeep.runtimes.host import Host
from statekeep.runtimes.process import HostDied
from statekeep.runtimes.protocol import HostFrame

_log = logging.getLogger(__name__)


class Stepping(Protocol):
    """What a direct step needs of the runtime that takes it."""

    def direct_outcome(
        self, host: Host, standing: Standing, frames: list[HostFrame]
    ) -> Outcome | None:
        """What the frames say, None where the host does not hold the instance. Raises StatekeepError where they say that nothing came of it."""
        ...

    async def step(
        self, version: MachineVersion, standing: Standing, deliveries: Sequence[Delivery]
    ) -> Sequence[Outcome]:
        """The ordinary way."""
        ...

    async def step_carefully(
        self, version: MachineVersion, standing: Standing, deliveries: Sequence[Delivery]
    ) -> Sequence[Outcome]:
        """The way after a host has died."""
        ...

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold on to a task until it is done."""
        ...


class DirectStep:
    """Where the host's answer goes, and what calls `then` with the outcome: once, whatever happens."""

    __slots__ = ("_delivery", "_host", "_runtime", "_standing", "_then", "_version")

    def __init__(
        self,
        runtime: Stepping,
        host: Host,
        version: MachineVersion,
        standing: Standing,
        delivery: Delivery,
        then: Callable[[Outcome], None],
    ) -> None:
        self._runtime = runtime
        self._host = host
        self._version = version
        self._standing = standing
        self._delivery = delivery
        self._then = then

    def done(self) -> bool:
        """Nobody takes it back."""
        return False

    def set_result(self, frames: list[HostFrame], /) -> None:
        """The host has answered."""
        try:
            outcome = self._runtime.direct_outcome(self._host, self._standing, frames)
        except StatekeepError as error:
            outcome = Failed(error)
        except Exception:
            _log.exception("the answer of a host could not be read")
            outcome = Failed(StatekeepError("an internal error kept the event from being handled"))
        if outcome is None:
            self._ask_again(self._runtime.step)
        else:
            self._then(outcome)

    def set_exception(self, death: HostDied, /) -> None:
        """The host is gone."""
        self._ask_again(self._runtime.step_carefully)

    def _ask_again(self, step: _Step) -> None:
        self._runtime.keep(asyncio.get_running_loop().create_task(self._answer(step)))

    async def _answer(self, step: _Step) -> None:
        outcome: Outcome = Failed(StatekeepError("the event was given up"))
        try:
            [outcome] = await step(self._version, self._standing, [self._delivery])
        except StatekeepError as error:
            outcome = Failed(error)
        finally:
            self._then(outcome)


class _Step(Protocol):
    async def __call__(
        self, version: MachineVersion, standing: Standing, deliveries: Sequence[Delivery]
    ) -> Sequence[Outcome]: ...

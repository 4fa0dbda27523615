"""What a host that is at hand decides about one instance: nearly every event, and most creations. No coroutine, and no turn of the event loop between
the host's answer and what follows from it. Whatever is out of the ordinary is asked again in the ordinary way, by a task.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

from statekeep.domain.errors import StatekeepError
from statekeep.domain.event import Delivery
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId
from statekeep.domain.step import Failed, Outcome
from statekeep.ports.runtime import Standing
from statekeep.runtimes.host import Host
from statekeep.runtimes.process import HostDied
from statekeep.runtimes.protocol import HostFrame

_log = logging.getLogger(__name__)


class Deciding(Protocol):
    """What a direct request needs of the runtime that makes it."""

    def direct_outcome(
        self, host: Host, standing: Standing, frames: list[HostFrame]
    ) -> Outcome | None:
        """What the frames say, None where the host does not hold the instance. Raises StatekeepError where they say that nothing came of it."""
        ...

    def created(self, host: Host, instance_id: InstanceId, frames: list[HostFrame]) -> Outcome:
        """What the frames say of a new instance. Raises StatekeepError where they say that nothing came of it."""
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

    async def create_carefully(
        self, version: MachineVersion, instance_id: InstanceId, request: bytes
    ) -> Outcome:
        """The same for a new instance."""
        ...

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold on to a task until it is done."""
        ...


class _Direct(ABC):
    """Where the host's answer goes, and what calls `then` with the outcome: once, whatever happens."""

    __slots__ = ("_host", "_runtime", "_then", "_version")

    def __init__(
        self,
        runtime: Deciding,
        host: Host,
        version: MachineVersion,
        then: Callable[[Outcome], None],
    ) -> None:
        self._runtime = runtime
        self._host = host
        self._version = version
        self._then = then

    def done(self) -> bool:
        """Nobody takes it back."""
        return False

    def set_result(self, frames: list[HostFrame], /) -> None:
        """The host has answered."""
        try:
            outcome = self._outcome_of(frames)
        except StatekeepError as error:
            outcome = Failed(error)
        except Exception:
            _log.exception("the answer of a host could not be read")
            outcome = Failed(StatekeepError("an internal error kept the event from being handled"))
        if outcome is None:
            self._ask_again(self._ask())
        else:
            self._then(outcome)

    def set_exception(self, death: HostDied, /) -> None:
        """The host is gone."""
        self._ask_again(self._ask_carefully())

    @abstractmethod
    def _outcome_of(self, frames: list[HostFrame]) -> Outcome | None:
        """None where it has to be asked again."""

    @abstractmethod
    async def _ask(self) -> Outcome: ...

    @abstractmethod
    async def _ask_carefully(self) -> Outcome: ...

    def _ask_again(self, asking: Coroutine[None, None, Outcome]) -> None:
        self._runtime.keep(asyncio.get_running_loop().create_task(self._answer(asking)))

    async def _answer(self, asking: Coroutine[None, None, Outcome]) -> None:
        outcome: Outcome = Failed(StatekeepError("the event was given up"))
        try:
            outcome = await asking
        except StatekeepError as error:
            outcome = Failed(error)
        finally:
            self._then(outcome)


class DirectStep(_Direct):
    """A delivery to an instance that the host holds."""

    __slots__ = ("_delivery", "_standing")

    def __init__(
        self,
        runtime: Deciding,
        host: Host,
        version: MachineVersion,
        standing: Standing,
        delivery: Delivery,
        then: Callable[[Outcome], None],
    ) -> None:
        super().__init__(runtime, host, version, then)
        self._standing = standing
        self._delivery = delivery

    def _outcome_of(self, frames: list[HostFrame]) -> Outcome | None:
        return self._runtime.direct_outcome(self._host, self._standing, frames)

    async def _ask(self) -> Outcome:
        [outcome] = await self._runtime.step(self._version, self._standing, [self._delivery])
        return outcome

    async def _ask_carefully(self) -> Outcome:
        [outcome] = await self._runtime.step_carefully(
            self._version, self._standing, [self._delivery]
        )
        return outcome


class DirectCreation(_Direct):
    """The initial macrostep of an instance, which is entrusted to the host until that has answered."""

    __slots__ = ("_instance_id", "_request")

    def __init__(
        self,
        runtime: Deciding,
        host: Host,
        version: MachineVersion,
        instance_id: InstanceId,
        request: bytes,
        then: Callable[[Outcome], None],
    ) -> None:
        super().__init__(runtime, host, version, then)
        self._instance_id = instance_id
        self._request = request
        host.entrust(instance_id)

    def _outcome_of(self, frames: list[HostFrame]) -> Outcome:
        self._host.discharge(self._instance_id)
        return self._runtime.created(self._host, self._instance_id, frames)

    async def _ask(self) -> Outcome:
        return await self._ask_carefully()

    async def _ask_carefully(self) -> Outcome:
        return await self._runtime.create_carefully(self._version, self._instance_id, self._request)

"""Worlds for tests that are coroutines: what `blocking` has for plain functions, name for name.

The event loop of the test is not the one that the world runs on, so that neither holds up the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from statekeep.domain.names import MachineName
from statekeep.testing.handles import (
    FOR_AUTHORS,
    Claims,
    Event,
    InstanceHandle,
    WorldHandle,
    instant_after,
    instant_of,
    whole_event,
)
from statekeep.testing.world import FIRED_PER_ADVANCE_MAX, CoreInstance

Result = TypeVar("Result")


class AsyncWorld(WorldHandle):
    __doc__ = WorldHandle.__doc__

    async def machine(
        self, source: str | Path | None = None, *, name: str | None = None, code: str | None = None
    ) -> AsyncMachine:
        """The machine in a file, bundled with all that it imports, or in `code`: one module, which needs a name.

        The same again is the same machine. Raises BuildFailed where the file cannot be bundled, InvalidCode where it is no machine, and AlreadyExists where another one
        has its name.
        """
        loaded = await self._do(self._core.load(source, name, code))
        return AsyncMachine(self, loaded)

    def instance(self, machine: str, name: str) -> AsyncInstance:
        """An instance that something else started, such as a persistent child. Raises LookupError where there is none."""
        return AsyncInstance(self, self._core.find(machine, name))

    @property
    def instances(self) -> list[AsyncInstance]:
        """All, in the order in which they were started."""
        return [AsyncInstance(self, core) for core in self._core.instances.values()]

    async def advance(
        self,
        duration: timedelta | None = None,
        *,
        timers_max: int = FIRED_PER_ADVANCE_MAX,
        **units: float,
    ) -> None:
        """Let that much time go by: a timedelta, or its units (`days=730`). What is due on the way happens, each at its time.

        Raises NeverAtRest where that is more than `timers_max` timers.
        """
        __tracebackhide__ = True
        to_ms = instant_after(self._core.clock, duration, units)
        await self._do(self._core.advance(to_ms, fired_max=timers_max))

    async def advance_to(self, at: datetime, *, timers_max: int = FIRED_PER_ADVANCE_MAX) -> None:
        """Let time go by until then."""
        __tracebackhide__ = True
        await self._do(self._core.advance(instant_of(self._core.clock, at), fired_max=timers_max))

    async def advance_to_next_timer(self) -> None:
        """Let time go by until the next timer of any instance has fired. Raises LookupError where none is pending."""
        __tracebackhide__ = True
        await self._do(self._core.advance_to_next())

    async def close(self) -> None:
        """Forget everything. Safe to call twice."""
        await self._do(self._core.close())

    async def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        __tracebackhide__ = True
        try:
            return await asyncio.wrap_future(self._hosts.submit(work))
        except FOR_AUTHORS as error:
            # Where in the server it came from says nothing to those whose machine it is about.
            raise error.with_traceback(None) from error.__cause__

    async def __aenter__(self) -> AsyncWorld:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncMachine:
    """A machine of a world."""

    def __init__(self, world: AsyncWorld, name: MachineName) -> None:
        self.world = world
        self.name = name

    async def start(
        self,
        name: str | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        as_: Claims | None = None,
    ) -> AsyncInstance:
        """Create an instance as somebody with these claims would, and wait until it has settled. Whoever sends it events later is the same, unless they say who they are.

        Raises RejectedByMachineAuthorizer where `allowWrite` says no, and MachineError where the machine throws.
        """
        __tracebackhide__ = True
        started = self.world._core.start(self.name, name, context or {}, as_ or {})
        return AsyncInstance(self.world, await self.world._do(started))

    async def may_start(
        self,
        as_: Claims,
        name: str | None = None,
        *,
        context: Mapping[str, Any] | None = None,
    ) -> bool:
        """Would `allowWrite` let somebody with these claims create that instance?"""
        asked = self.world._core.may_start(self.name, name, context or {}, as_)
        return await self.world._do(asked)

    def __repr__(self) -> str:
        return f"<machine {self.name}>"


class AsyncInstance(InstanceHandle):
    """An instance of a world. What it says of itself is as of when the world was last at rest."""

    def __init__(self, world: AsyncWorld, core: CoreInstance) -> None:
        super().__init__(core)
        self.world = world

    @property
    def children(self) -> dict[str, AsyncInstance]:
        """Its persistent children of machines in this world, by its names for them."""
        found = self.world._core.children_of(self._core)
        return {child_id: AsyncInstance(self.world, core) for child_id, core in found.items()}

    async def send(
        self, event: Event, *, as_: Claims | None = None, **fields: Any
    ) -> AsyncInstance:
        """Send an event, with these fields beside its type, as somebody with these claims would, and wait until it has settled.

        Raises RejectedByMachineAuthorizer where `allowWrite` says no, and MachineError where the machine throws: nothing changed then.
        """
        __tracebackhide__ = True
        whole = whole_event(event, fields)
        await self.world._do(self.world._core.send(self._core, whole, self._claims(as_)))
        return self

    async def advance(
        self,
        duration: timedelta | None = None,
        *,
        timers_max: int = FIRED_PER_ADVANCE_MAX,
        **units: float,
    ) -> AsyncInstance:
        """Let that much time go by in the whole world, as `AsyncWorld.advance` does."""
        __tracebackhide__ = True
        await self.world.advance(duration, timers_max=timers_max, **units)
        return self

    async def may_read(self, as_: Claims) -> bool:
        """Would `allowRead` let somebody with these claims see it?"""
        return await self.world._do(self.world._core.may_read(self._core, as_))

    async def may_write(self, as_: Claims, event: Event, **fields: Any) -> bool:
        """Would `allowWrite` let somebody with these claims send that event? Nothing happens."""
        whole = whole_event(event, fields)
        return await self.world._do(self.world._core.may_write(self._core, whole, as_))

    async def assert_may_read(self, as_: Claims) -> None:
        """`allowRead` answers true."""
        __tracebackhide__ = True
        self._require(await self.may_read(as_), True, f"{dict(as_)} may not read", "allowRead")

    async def assert_may_not_read(self, as_: Claims) -> None:
        """`allowRead` does not answer true."""
        __tracebackhide__ = True
        self._require(await self.may_read(as_), False, f"{dict(as_)} may read", "allowRead")

    async def assert_may_write(self, as_: Claims, event: Event, **fields: Any) -> None:
        """`allowWrite` answers true."""
        __tracebackhide__ = True
        what = f"{dict(as_)} may not send {whole_event(event, fields)} to"
        self._require(await self.may_write(as_, event, **fields), True, what, "allowWrite")

    async def assert_may_not_write(self, as_: Claims, event: Event, **fields: Any) -> None:
        """`allowWrite` does not answer true."""
        __tracebackhide__ = True
        what = f"{dict(as_)} may send {whole_event(event, fields)} to"
        self._require(await self.may_write(as_, event, **fields), False, what, "allowWrite")

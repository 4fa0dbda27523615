"""Watching instances: every state that may be seen, to whoever may see it (SPEC 5).

What must stay true here:

- nobody is shown a state unless `allowRead` was asked about that very state with their own auth context;
- a change costs its sender the same however many watch, and whatever they are doing;
- a watcher that waits or is behind holds no states, only the number of the revision it has seen: what is watched may leave memory like all else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final, NamedTuple

from statekeep.application.resident import Resident
from statekeep.application.residents import Residents
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import (
    NotFound,
    Overloaded,
    RejectedByMachineAuthorizer,
    StatekeepError,
)
from statekeep.domain.instance import InstanceKey, InstanceView
from statekeep.domain.limits import READERS_ASKED_ABOUT_AT_ONCE, WATCHER_REST
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId, InstanceName, MachineName
from statekeep.ports.notifier import InstanceChanged, Notification
from statekeep.ports.runtime import Runtime, Standing
from statekeep.ports.store import InstanceStore, Transition, VersionSpan

_REST_SECONDS = WATCHER_REST.total_seconds()
_SHARED_REVISIONS_MAX: Final = 256
"""Who is farther behind reads alone: its journal would be walked twice, and nobody else is likely to be just as far."""

Identify = Callable[[], Awaitable[AuthContext]]
"""Who watches, asked before each state is shown: a token expires, a key is deleted, a member leaves."""


class Watching:
    """Lets callers follow instances. Made on a running loop; `hear` is for the notifier."""

    def __init__(self, residents: Residents, runtime: Runtime, store: InstanceStore) -> None:
        self._residents = residents
        self._runtime = runtime
        self._journals = _Journals(store)
        self._loop = asyncio.get_running_loop()
        self._channels: dict[InstanceId, _Channel] = {}
        self._questions: dict[tuple[InstanceId, int], _Question] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._closed_because: StatekeepError | None = None

    @property
    def watchers(self) -> int:
        """Subscriptions and streams that follow an instance now."""
        return sum(channel.watchers for channel in self._channels.values())

    @property
    def instances_watched(self) -> int:
        """Instances that somebody follows."""
        return len(self._channels)

    def hear(self, notification: Notification) -> None:
        """Something happened to an instance; nearly always one that nobody watches."""
        channel = self._channels.get(notification.instance_id)
        if channel is None:
            return
        if isinstance(notification, InstanceChanged):
            channel.changed(notification.revision)
        else:
            channel.end(NotFound("the instance was deleted"))

    async def newest_states(
        self, identify: Identify, machine: MachineName, instance: InstanceName
    ) -> AsyncGenerator[InstanceView, None]:
        """The state as it is, then the newest one whenever there is one; a reader that takes its time misses those between.

        Ends only by an error: NotFound (also once the instance is deleted), RejectedByMachineAuthorizer, MissingScope, what `identify` raises,
        MachineError, and Overloaded when the server shuts down or has no room for the machine.
        """
        channel, _ = await self._begin(identify, machine, instance)
        seen = 0
        try:
            while True:
                await channel.news(seen)
                view = await self._newer(channel, seen, identify)
                if view is not None:
                    seen = view.revision
                    yield view
                del view
        finally:
            self._leave(channel)

    async def all_states(
        self,
        identify: Identify,
        machine: MachineName,
        instance: InstanceName,
        *,
        after: int | None,
        pulse_seconds: float | None = None,
    ) -> AsyncGenerator[InstanceView | None, None]:
        """Every state past the revision `after`, in order and without a gap, however far behind the reader is.

        Begins with the state as it is where `after` is None, or no revision of this instance. None comes whenever nothing did for `pulse_seconds`,
        and at once to a reader that missed nothing: it has begun, since it may see the state as it is.
        Ends as `newest_states` does.
        """
        channel, revision = await self._begin(identify, machine, instance)
        if after is not None and after > revision:
            after = None
        try:
            # From here on a deletion is heard of; it may have happened before.
            if await self._missed_nothing(channel, after, identify) and pulse_seconds is not None:
                yield None
            reading = _Reading(self._journals, channel, instance, self._current, after)
            while True:
                yield await self._next(reading, pulse_seconds, identify)
        finally:
            self._leave(channel)

    def close(self) -> None:
        """End every stream of states, and let none begin."""
        self._closed_because = Overloaded("the server is shutting down", retry_after_seconds=2)
        for channel in self._channels.values():
            channel.end(self._closed_because)

    async def _begin(
        self, identify: Identify, machine: MachineName, instance: InstanceName
    ) -> tuple[_Channel, int]:
        """The channel of an instance, and the revision that it has now."""
        organization_id = require_scope(await identify(), "state.read")
        resident = await self._residents.require(InstanceKey(organization_id, machine, instance))
        if self._closed_because is not None:
            raise self._closed_because
        channel = self._channels.get(resident.id)
        if channel is None:
            channel = self._channels[resident.id] = _Channel(resident.id, self._loop)
        channel.watchers += 1
        channel.revision = max(channel.revision, resident.view.revision)
        return channel, resident.view.revision

    def _leave(self, channel: _Channel) -> None:
        channel.watchers -= 1
        if not channel.watchers and self._channels.get(channel.instance_id) is channel:
            del self._channels[channel.instance_id]

    async def _newer(self, channel: _Channel, seen: int, identify: Identify) -> InstanceView | None:
        """The state as it is, if that is a later one."""
        resident = await self._current(channel.instance_id)
        if resident.view.revision <= seen:
            return None
        return await self._show(_newest_of(resident), await identify())

    async def _missed_nothing(
        self, channel: _Channel, after: int | None, identify: Identify
    ) -> bool:
        """Is that the newest revision? Raises what showing its state does."""
        newest = await self._current(channel.instance_id)
        if after != newest.view.revision:
            return False
        await self._show(_newest_of(newest), await identify())
        return True

    async def _next(
        self, reading: _Reading, pulse_seconds: float | None, identify: Identify
    ) -> InstanceView | None:
        glimpse = await reading.next(pulse_seconds)
        caller = await identify()
        return None if glimpse is None else await self._show(glimpse, caller)

    async def _current(self, instance_id: InstanceId) -> Resident:
        resident = await self._residents.find_by_id(instance_id)
        if resident is None:
            raise NotFound("the instance was deleted")
        return resident

    async def _show(self, glimpse: _Glimpse, caller: AuthContext) -> InstanceView:
        """The state, if the caller may see it. Whoever wants to know in the same turn of the loop is asked about together."""
        require_scope(caller, "state.read")
        about = (glimpse.standing.instance_id, glimpse.standing.revision)
        question = self._questions.get(about)
        if question is None:
            question = self._questions[about] = _Question(glimpse)
            self._loop.call_soon(self._ask, about)
        view = await question.answer_for(caller.claims)
        if view is None:
            raise RejectedByMachineAuthorizer("the machine's allowRead said no")
        return view

    def _ask(self, about: tuple[InstanceId, int]) -> None:
        asking = self._loop.create_task(self._questions.pop(about).ask(self._runtime))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)


class _Glimpse(NamedTuple):
    """A state that nobody was asked about yet."""

    version: MachineVersion
    standing: Standing
    ts: float


def _newest_of(resident: Resident) -> _Glimpse:
    return _Glimpse(resident.version, resident.committed(), resident.view.ts)


class _Channel:
    """An instance that somebody watches, and whoever waits for it to change.

    Telling all of them takes time in which nobody else is served, so they rest before they are told again: many watchers of a
    busy instance get fewer updates, and senders always at least half of the server.
    """

    def __init__(self, instance_id: InstanceId, loop: asyncio.AbstractEventLoop) -> None:
        self.instance_id = instance_id
        self.revision = 0
        """The newest that was heard of."""
        self.watchers = 0
        self._loop = loop
        self._waiting: set[asyncio.Future[bool]] = set()
        self._rests_until = 0.0
        self._wake: asyncio.TimerHandle | None = None
        self._ended_because: StatekeepError | None = None

    def changed(self, revision: int) -> None:
        """There is something to see."""
        self.revision = revision
        if self._waiting and self._wake is None:
            self._wake = self._loop.call_at(self._rests_until, self._wake_all)

    def end(self, reason: StatekeepError) -> None:
        """There will not be anything to see any more."""
        self._ended_because = reason
        self._wake_all()

    async def news(self, seen: int, patience_seconds: float | None = None) -> bool:
        """Wait for a revision past `seen`; False where none came for that long. Raises the error that ended the channel."""
        while self._ended_because is None:
            is_resting = self._loop.time() < self._rests_until
            if self.revision > seen and not is_resting:
                return True
            if not await self._woken(seen, patience_seconds):
                return False
            if self.revision > seen and self._ended_because is None:
                return True
        raise self._ended_because

    async def _woken(self, seen: int, patience_seconds: float | None) -> bool:
        waiting: asyncio.Future[bool] = self._loop.create_future()
        impatience = None
        if patience_seconds is not None:
            impatience = self._loop.call_later(patience_seconds, _resolve, waiting, False)
        self._waiting.add(waiting)
        if self.revision > seen:
            self.changed(self.revision)
        try:
            return await waiting
        finally:
            self._waiting.discard(waiting)
            if impatience is not None:
                impatience.cancel()

    def _wake_all(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        waiting, self._waiting = self._waiting, set()
        self._rests_until = self._loop.time() + _REST_SECONDS * len(waiting)
        for future in waiting:
            _resolve(future, True)


def _resolve(future: asyncio.Future[bool], result: bool) -> None:
    if not future.done():
        future.set_result(result)


class _Reading:
    """One reader that misses nothing: of the newest state where that is the next one, of the journal where it is not."""

    def __init__(
        self,
        journals: _Journals,
        channel: _Channel,
        name: InstanceName,
        current: Callable[[InstanceId], Awaitable[Resident]],
        after: int | None,
    ) -> None:
        self._journals = journals
        self._channel = channel
        self._instance_id = channel.instance_id
        self._name = name
        self._current = current
        self._seen = after
        self._portions: AsyncGenerator[Sequence[Transition], None] | None = None
        self._portion: deque[Transition] = deque()
        self._spans: Sequence[VersionSpan] = ()
        self._reads_up_to = 0

    async def next(self, patience_seconds: float | None) -> _Glimpse | None:
        """The state after the one before; None where there is none for that long."""
        while True:
            if self._portion:
                return self._take()
            if self._portions is not None:
                await self._read_on()
                continue
            seen = -1 if self._seen is None else self._seen
            if not await self._channel.news(seen, patience_seconds):
                return None
            glimpse = await self._look()
            if glimpse is not None:
                return glimpse

    async def _look(self) -> _Glimpse | None:
        """The newest state where it is the next one. Where it is not, begin to read the journal."""
        resident = await self._current(self._instance_id)
        newest = resident.view.revision
        if self._seen is None or newest == self._seen + 1:
            self._seen = newest
            return _newest_of(resident)
        if newest > self._seen:
            await self._begin(self._seen, newest)
        return None

    async def _begin(self, seen: int, newest: int) -> None:
        self._reads_up_to = newest
        if newest - seen <= _SHARED_REVISIONS_MAX:
            await self._add(await self._journals.first_portion_after(self._instance_id, seen))
        last = self._portion[-1].revision if self._portion else seen
        # It may have been read for others, before the newest was there.
        if last < newest:
            self._portions = self._journals.portions_after(self._instance_id, last)

    def _take(self) -> _Glimpse:
        transition = self._portion.popleft()
        self._seen = transition.revision
        standing = Standing(self._instance_id, self._name, transition.revision, transition.snapshot)
        return _Glimpse(self._version_at(transition.revision), standing, transition.ts)

    def _version_at(self, revision: int) -> MachineVersion:
        """The version that made the state, which is the one that knows who may see it."""
        return next(
            span.version for span in reversed(self._spans) if span.first_revision <= revision
        )

    async def _read_on(self) -> None:
        assert self._portions is not None
        assert self._seen is not None
        try:
            await self._add(await anext(self._portions))
        except StopAsyncIteration:
            self._portions = None
            # Revisions at the end may be of no interest to anybody.
            self._seen = max(self._seen, self._reads_up_to)

    async def _add(self, portion: Sequence[Transition]) -> None:
        # Read after the portion: it knows of every upgrade that the portion may be of.
        self._spans = await self._journals.version_spans(self._instance_id)
        if self._spans:
            self._portion.extend(portion)


class _Journals:
    """Journals, and what is being read of them at the moment: a crowd that missed the same reads it once."""

    def __init__(self, store: InstanceStore) -> None:
        self.portions_after = store.transitions_after
        self.version_spans = store.version_spans
        self._reading: dict[tuple[InstanceId, int], asyncio.Task[Sequence[Transition]]] = {}

    async def first_portion_after(
        self, instance_id: InstanceId, revision: int
    ) -> Sequence[Transition]:
        """The first portion of `portions_after`, as it was at some time since somebody began to ask; empty where there is none."""
        about = (instance_id, revision)
        reading = self._reading.get(about)
        if reading is None:
            reading = self._reading[about] = asyncio.create_task(self._read(*about))
            reading.add_done_callback(lambda _: self._reading.pop(about))
        # Whoever leaves must not take the others' portion along.
        return await asyncio.shield(reading)

    async def _read(self, instance_id: InstanceId, revision: int) -> Sequence[Transition]:
        async with aclosing(self.portions_after(instance_id, revision)) as portions:
            return await anext(portions, ())


class _Question:
    """Who of some may see a state."""

    def __init__(self, glimpse: _Glimpse) -> None:
        self._glimpse = glimpse
        self._askers: dict[bytes, list[asyncio.Future[InstanceView | None]]] = {}
        self._loop = asyncio.get_running_loop()

    def answer_for(self, claims: bytes) -> asyncio.Future[InstanceView | None]:
        """The state, the same object for all, or None for those who may not see it."""
        answer: asyncio.Future[InstanceView | None] = self._loop.create_future()
        self._askers.setdefault(claims, []).append(answer)
        return answer

    async def ask(self, runtime: Runtime) -> None:
        """Ask the machine, a crowd at a time, so that senders get a turn in between."""
        everybody = list(self._askers)
        try:
            for first in range(0, len(everybody), READERS_ASKED_ABOUT_AT_ONCE):
                await self._ask_about(
                    runtime, everybody[first : first + READERS_ASKED_ABOUT_AT_ONCE]
                )
        except StatekeepError as error:
            self._fail(error)
        except BaseException:
            self._fail(StatekeepError("an internal error ended the question"))
            raise

    async def _ask_about(self, runtime: Runtime, some: Sequence[bytes]) -> None:
        version, standing, ts = self._glimpse
        answer = await runtime.read(version, standing, some)
        view = InstanceView(standing.revision, ts, answer.view)
        for claims, is_allowed in zip(some, answer.is_allowed, strict=True):
            for asker in self._askers.pop(claims):
                with suppress(asyncio.InvalidStateError):
                    asker.set_result(view if is_allowed else None)

    def _fail(self, error: StatekeepError) -> None:
        for askers in self._askers.values():
            for asker in askers:
                with suppress(asyncio.InvalidStateError):
                    asker.set_exception(error)
        self._askers.clear()

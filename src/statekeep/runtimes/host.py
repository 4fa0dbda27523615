"""One host as the runtime sees it: calls with answers, a watchdog, and what it is believed to hold.

Every call is answered, or fails with HostDied when the process ends. A host that owes an answer and shows no sign of life for longer than the
step timeout is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import msgspec

from statekeep.domain.limits import HOST_SESSIONS_MAX
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId
from statekeep.ports.metrics import Metrics
from statekeep.runtimes import protocol
from statekeep.runtimes.process import HostDied, HostProcess
from statekeep.runtimes.protocol import BadFrame, HostFrame, bad_frame

_GRACE_SECONDS: Final = 0.05
"""Between finding a host silent and ending it, so that what waits in the pipe is read first: the server may have been the slow one."""


class HostObserver(Protocol):
    """Hears of what nobody asked for."""

    def reported(self, host: Host, frame: HostFrame) -> None:
        """A report. Raises BadFrame or msgspec.DecodeError where it makes no sense."""
        ...

    def rested(self, host: Host) -> None:
        """It has answered everything."""
        ...

    def ended(self, host: Host) -> None:
        """The process is gone; all its calls have failed already."""
        ...


class Answered(Protocol):
    """Where the answers to a request go, once. A future is one."""

    def done(self) -> bool:
        """Does nobody wait for them any more?"""
        ...

    def set_result(self, result: list[HostFrame], /) -> None:
        """All of them."""
        ...

    def set_exception(self, exception: HostDied, /) -> None:
        """The host ended before."""
        ...


class Call:
    """A request that is under way. `frames` collects its answers, as many as `expects`."""

    __slots__ = ("answered", "expects", "frames", "is_use", "may_wait", "sent_at")

    def __init__(
        self,
        expects: int,
        sent_at: float,
        is_use: bool,
        may_wait: bool,
        answered: Answered,
    ) -> None:
        self.expects = expects
        self.sent_at = sent_at
        self.is_use = is_use
        self.may_wait = may_wait
        self.answered = answered
        self.frames: list[HostFrame] = []


class Host:
    """A host for one version, once `process` runs.

    `sessions` maps instances to the revision the host is believed to hold; a wrong belief costs a round trip, no more.
    `children` counts the live children of those instances that have any. `undone` holds the instances for which effects were decided here
    and not performed yet: only this process can perform them.
    """

    def __init__(
        self,
        version: MachineVersion,
        observer: HostObserver,
        *,
        step_timeout_seconds: float,
        metrics: Metrics | None = None,
    ) -> None:
        self.version = version
        self.process = HostProcess(self._on_line, self._on_end)
        self.sessions: dict[InstanceId, int] = {}
        self.children: dict[InstanceId, int] = {}
        self.undone: set[InstanceId] = set()
        self.pending: dict[int, asyncio.Future[HostFrame]] = {}
        """Requests whose answer is a promise of the author's, by their ids. Whoever asked takes them out."""
        self.mapping: Counter[InstanceId] = Counter()
        """Instances about which a response mapper is being asked, and how often."""
        self.migrations: set[str] = set()
        """Those whose code it was given. A wrong belief costs a round trip, no more."""
        self._entrusted: dict[InstanceId, int] = {}
        self.is_alive = True
        self.has_loaded = False
        """Whoever starts it says when: until then what takes long is the author's module, and no event."""
        self.was_alone = False
        """When it died: whether it owed exactly one answer, so that nothing else can be to blame."""
        self._observer = observer
        self._step_timeout = step_timeout_seconds
        self._observe_request = (metrics or Metrics()).host_request_seconds.observe
        self._calls: dict[int, Call] = {}
        self._next_id = 1
        self._loop = asyncio.get_running_loop()
        self.last_used = self._loop.time()
        self._last_line_at = self.last_used
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Does it owe answers or effects, or keep children alive?"""
        return bool(self._calls or self.children or self.undone or self.pending)

    def ask(
        self, request: bytes, *, expects: int = 1, is_use: bool = True, may_wait: bool = False
    ) -> asyncio.Future[list[HostFrame]]:
        """Send a request. The answers come in order; a single frame that refuses the whole request ends it early.

        Fails with HostDied when the host ends first. `is_use` says whether it keeps the host from being idle.
        Where it `may_wait` the answer may be that there will be one: `pending` then has a future for it.
        """
        answered: asyncio.Future[list[HostFrame]] = self._loop.create_future()
        if not self.is_alive:
            answered.set_exception(HostDied(self.process.reason))
            return answered
        self.ask_for(answered, request, expects=expects, is_use=is_use, may_wait=may_wait)
        return answered

    def ask_for(
        self,
        answered: Answered,
        request: bytes,
        *,
        expects: int = 1,
        is_use: bool = True,
        may_wait: bool = False,
    ) -> None:
        """The same of a host that is alive, for anything that is told at once when the answers are there, and does not raise."""
        request_id = self._next_id
        self._next_id += 1
        now = self._loop.time()
        if is_use:
            self.last_used = now
        self._calls[request_id] = Call(expects, now, is_use, may_wait, answered)
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(self._step_timeout, self._check)
        self.process.send(b'{"id":%d,%b}\n' % (request_id, request))

    def tell(self, request: bytes) -> None:
        """Send a request that is not answered."""
        if self.is_alive:
            self.process.send(b"{%b}\n" % request)

    async def retire(self) -> None:
        """End it once it has done all it was asked, and what its actions have asked of others is answered, or too late."""
        try:
            await self.ask(protocol.PING)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._step_timeout):
                    await self.ask(protocol.REST)
        except HostDied:
            return
        self.process.kill("it was no longer needed")
        await self.process.ended()

    @contextmanager
    def entrusted(self, instance_id: InstanceId) -> Iterator[None]:
        """For as long as it is asked about an instance that it may not hold yet: until it answers it speaks of it already."""
        self.entrust(instance_id)
        try:
            yield
        finally:
            self.discharge(instance_id)

    def entrust(self, instance_id: InstanceId) -> None:
        """The same until `discharge`."""
        self._entrusted[instance_id] = self._entrusted.get(instance_id, 0) + 1

    def discharge(self, instance_id: InstanceId) -> None:
        """It has answered."""
        asked = self._entrusted.pop(instance_id) - 1
        if asked:
            self._entrusted[instance_id] = asked

    def knows(self, instance_id: InstanceId) -> bool:
        """Was the instance entrusted to it?"""
        return (
            instance_id in self.sessions
            or instance_id in self._entrusted
            or instance_id in self.mapping
        )

    def remember_session(self, instance_id: InstanceId, revision: int) -> None:
        """The host now holds this revision."""
        self.sessions.pop(instance_id, None)
        self.sessions[instance_id] = revision
        if len(self.sessions) > 2 * HOST_SESSIONS_MAX:
            self._forget_oldest_sessions()

    def _forget_oldest_sessions(self) -> None:
        """The host has forgotten them too by now, unless something of theirs is alive in it."""
        for instance_id in list(self.sessions)[:HOST_SESSIONS_MAX]:
            if instance_id not in self.children and instance_id not in self.undone:
                del self.sessions[instance_id]

    def forget_session(self, instance_id: InstanceId) -> None:
        """The host holds nothing of the instance any more."""
        self.sessions.pop(instance_id, None)
        self.children.pop(instance_id, None)
        self.undone.discard(instance_id)

    def note_children(self, instance_id: InstanceId, live: int) -> None:
        """Keep count of live children: they pin the host."""
        if live:
            self.children[instance_id] = live
        else:
            self.children.pop(instance_id, None)

    def finish(self, request_id: int, frame: HostFrame) -> None:
        """What a pending answer came to. Nothing where nobody waits for it any more."""
        pending = self.pending.get(request_id)
        if pending is not None and not pending.done():
            pending.set_result(frame)

    def _on_line(self, line: bytes) -> None:
        self._last_line_at = self._loop.time()
        try:
            frame = protocol.decode_frame(line)
            if frame.re is None:
                self._observer.reported(self, frame)
            else:
                self._on_reply(frame.re, frame)
        except (msgspec.DecodeError, RecursionError, BadFrame) as error:
            self.process.kill(f"it broke the protocol: {error}")

    def _on_reply(self, request_id: int, frame: HostFrame) -> None:
        call = self._calls.get(request_id)
        if call is None:
            raise bad_frame("an answer to nothing")
        if frame.pending and not call.may_wait:
            raise bad_frame("an answer that is put off")
        call.frames.append(frame)
        if len(call.frames) < call.expects and frame.need is None and frame.error is None:
            return
        del self._calls[request_id]
        if call.is_use and self.has_loaded:
            # `_on_line` has just looked at the clock.
            self._observe_request(self._last_line_at - call.sent_at)
        if not call.answered.done():
            if frame.pending:
                self.pending[request_id] = self._loop.create_future()
            call.answered.set_result(call.frames)
        if not self._calls:
            self._observer.rested(self)

    def _on_end(self) -> None:
        self.is_alive = False
        calls = list(self._calls.values())
        self._calls.clear()
        if self._watchdog is not None:
            self._watchdog.cancel()
        owed = [call.expects - len(call.frames) for call in calls if call.is_use]
        self.was_alone = owed == [1] and not self.pending
        for call in calls:
            if not call.answered.done():
                call.answered.set_exception(HostDied(self.process.reason))
        for pending in self.pending.values():
            if not pending.done():
                pending.set_exception(HostDied(self.process.reason))
        self._observer.ended(self)

    def _check(self) -> None:
        self._watchdog = None
        if not self._calls:
            return
        remaining = self._silent_until() - self._loop.time()
        if remaining > 0:
            self._watchdog = self._loop.call_later(remaining, self._check)
        else:
            self._watchdog = self._loop.call_later(_GRACE_SECONDS, self._judge)

    def _judge(self) -> None:
        self._watchdog = None
        if self._calls and self._silent_until() <= self._loop.time():
            self.process.kill(self._offence())
        elif self._calls:
            self._check()

    def _offence(self) -> str:
        if self.has_loaded:
            return f"it did not answer within {self._step_timeout:g} s"
        return (
            f"loading it took longer than {self._step_timeout:g} s (the step timeout);"
            " has it a loop or a top-level await that never ends?"
        )

    def _silent_until(self) -> float:
        """The instant until which silence is no offence."""
        oldest = next(iter(self._calls.values())).sent_at
        return max(oldest, self._last_line_at) + self._step_timeout

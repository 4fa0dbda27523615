"""A bounded set of warm hosts, one for each version in use.

A host is started when its version is first asked for and ends when idle for long, or when another version needs its place. Hosts that keep children
alive are never ended for that, which is why there is a bound for each organization too: nobody can pin the whole pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from statekeep.domain.errors import InvalidCode, MachineError, Overloaded
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import OrganizationId, VersionId
from statekeep.ports.metrics import Metrics
from statekeep.runtimes import protocol
from statekeep.runtimes.host import Host, HostObserver
from statekeep.runtimes.javascript.launch import DenoLauncher
from statekeep.runtimes.process import HostDied
from statekeep.runtimes.protocol import HostLimits, LoadedFrame
from statekeep.runtimes.rehearsals import original


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Bounds of the pool and of each host in it."""

    hosts_max: int
    pinned_hosts_per_organization_max: int
    idle_seconds: float
    wait_seconds: float
    """How long a request waits for a place before it is told to come back."""
    start_timeout_seconds: float
    step_timeout_seconds: float
    data_mib_max: int
    host_limits: HostLimits
    observe: bool = False
    """Do hosts tell which transitions are taken?"""


class PoolSizes(NamedTuple):
    """Hosts by what they do, and requests that wait for a place."""

    running: int
    starting: int
    """Those that only look at code that is being published among them."""
    retiring: int
    pinned: int
    """Of the running ones, those that keep children alive and cannot go."""
    waiting: int


class Pool:
    """Hosts by version. Must be closed."""

    def __init__(
        self,
        launcher: DenoLauncher,
        code_of: Callable[[MachineVersion], Awaitable[bytes]],
        observer: HostObserver,
        settings: PoolSettings,
        socket_dir: Path,
        metrics: Metrics | None = None,
    ) -> None:
        self._launcher = launcher
        self._code_of = code_of
        self._observer = observer
        self._settings = settings
        self._socket_dir = socket_dir
        self._metrics = metrics or Metrics()
        self._died: set[VersionId] = set()
        """Versions whose last host died, and has no successor yet."""
        self._hosts: dict[VersionId, Host] = {}
        self._starting: dict[VersionId, asyncio.Task[Host]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._inspecting = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._places = itertools.count()
        self._reaper: asyncio.Task[None] | None = None

    @property
    def sizes(self) -> PoolSizes:
        """How many there are of what, at the moment."""
        return PoolSizes(
            running=len(self._hosts),
            starting=len(self._starting) + self._inspecting,
            retiring=len(self._retiring),
            pinned=sum(bool(host.children) for host in self._hosts.values()),
            waiting=len(self._waiting),
        )

    def warm(self, version_id: VersionId) -> Host | None:
        """The running host of a version, if there is one."""
        return self._hosts.get(version_id)

    def has(self, version_id: VersionId) -> bool:
        """Is there a host of the version, or will there be one soon?"""
        return version_id in self._hosts or version_id in self._starting

    async def host(self, version: MachineVersion) -> Host:
        """The running host of a version, started if need be.

        Raises Overloaded where there is no place and none comes free in time, and MachineError where the code cannot be loaded any more.
        """
        while True:
            host = self._hosts.get(version.id)
            if host is not None:
                return host
            starting = self._starting.get(version.id)
            if starting is None:
                await self._make_room(version)
                if version.id in self._hosts or version.id in self._starting:
                    continue
                starting = asyncio.create_task(self._start(version))
                self._starting[version.id] = starting
            # Shielded: others may wait for the same start.
            return await asyncio.shield(starting)

    async def inspect(
        self, version: MachineVersion, code: bytes, observer: HostObserver | None = None
    ) -> LoadedFrame:
        """Load code in a host of its own and end that again. Raises InvalidCode with the reason."""
        text = _text_of(code)
        load = protocol.load(text, self._settings.host_limits)
        return await self._inspect(version, text, load, observer or Deaf())

    async def _inspect(
        self, version: MachineVersion, imports: str, load: bytes, observer: HostObserver
    ) -> LoadedFrame:
        await self._make_room(version)
        self._inspecting += 1
        host = Host(version, observer, step_timeout_seconds=self._settings.step_timeout_seconds)
        try:
            return await self._load(host, imports, load)
        except HostDied as death:
            raise InvalidCode(
                f"the code could not be loaded: {death.reason}", parameter="code"
            ) from death
        finally:
            host.process.kill("inspected")
            await host.process.ended()
            self._inspecting -= 1
            self._wake_one()

    async def inspect_migration(
        self, version: MachineVersion, code: bytes, observer: HostObserver | None = None
    ) -> None:
        """The same for a migration. It may import nothing: which modules there are depends on the version whose host will load it."""
        load = protocol.load_migration(_text_of(code), self._settings.host_limits)
        await self._inspect(version, "", load, observer or Deaf())

    def forget(self, host: Host) -> None:
        """A host is gone: its place is free."""
        if self._hosts.get(host.version.id) is host:
            del self._hosts[host.version.id]
            self._metrics.hosts_died += 1
            self._died.add(host.version.id)
            self._wake_one()

    def settled(self) -> None:
        """A host may have become free to go: let someone who waits look again."""
        if self._waiting:
            self._wake_one()

    def start_reaper(self) -> None:
        """Begin to end idle hosts and to ask the others for a sign of life."""
        self._reaper = asyncio.create_task(self._reap())

    async def close(self) -> None:
        """End all hosts once they have done what they were asked."""
        if self._reaper is not None:
            self._reaper.cancel()
        for task in self._starting.values():
            task.cancel()
        await asyncio.gather(*self._starting.values(), return_exceptions=True)
        await asyncio.gather(*[host.retire() for host in list(self._hosts.values())])
        await asyncio.gather(*self._retiring)

    async def _start(self, version: MachineVersion) -> Host:
        host = Host(
            version,
            self._observer,
            step_timeout_seconds=self._settings.step_timeout_seconds,
            metrics=self._metrics,
        )
        began_at = asyncio.get_running_loop().time()
        try:
            text = _text_of(await self._code_of(original(version)))
            settings = self._settings
            load = protocol.load(text, settings.host_limits, observe=settings.observe)
            await self._load(host, text, load)
            self._hosts[version.id] = host
            self._started(version, began_at)
        except HostDied as death:
            self._metrics.host_starts_failed += 1
            raise MachineError(
                f"no host for version {original(version).id} could be started: {death.reason}"
            ) from death
        except BaseException:
            host.process.kill("its start was given up")
            raise
        finally:
            del self._starting[version.id]
            if version.id not in self._hosts:
                self._wake_one()
        return host

    def _started(self, version: MachineVersion, began_at: float) -> None:
        self._metrics.hosts_started += 1
        seconds = asyncio.get_running_loop().time() - began_at
        self._metrics.host_start_seconds.observe(seconds)
        if version.id in self._died:
            self._died.discard(version.id)
            self._metrics.hosts_restarted += 1

    async def _load(self, host: Host, imports: str, load: bytes) -> LoadedFrame:
        """Start a process that can import what the text `imports` does, and have it load a module."""
        path = self._socket_dir / f"{next(self._places)}.sock"
        await host.process.start(
            self._launcher.command(imports, path),
            self._launcher.environment(),
            path,
            data_mib=self._settings.data_mib_max,
            timeout_seconds=self._settings.start_timeout_seconds,
        )
        [frame] = await host.ask(load)
        if frame.error is not None:
            raise protocol.error_of(frame.error)
        if frame.ok is None:
            raise HostDied("it did not say what it loaded")
        host.has_loaded = True
        return frame.ok

    async def _make_room(self, version: MachineVersion) -> None:
        deadline = asyncio.get_running_loop().time() + self._settings.wait_seconds
        self._check_organization(version.organization_id)
        while self._size() >= self._settings.hosts_max:
            # Of those that are on their way out, one is for each who waits: whoever is woken for nothing must not send another one off.
            if len(self._retiring) <= len(self._waiting):
                self._retire_idlest()
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                async with asyncio.timeout_at(deadline):
                    await place
            except BaseException as error:
                self._stop_waiting(place)
                if isinstance(error, TimeoutError):
                    raise Overloaded(
                        "all hosts for machine code are busy", retry_after_seconds=5
                    ) from None
                raise

    def _stop_waiting(self, place: asyncio.Future[None]) -> None:
        if place in self._waiting:
            self._waiting.remove(place)
        elif not place.cancelled():
            # It was woken, and leaves all the same: the place is for the next one.
            self._wake_one()

    def _size(self) -> int:
        live = len(self._hosts) + len(self._starting)
        return live + len(self._retiring) + self._inspecting

    def _retire_idlest(self) -> None:
        idle = min(
            (host for host in self._hosts.values() if not host.is_busy),
            key=lambda host: host.last_used,
            default=None,
        )
        if idle is not None:
            self._retire(idle)

    def _check_organization(self, organization_id: OrganizationId) -> None:
        pinned = Counter(
            host.version.organization_id
            for host in self._hosts.values()
            if host.children or host.pending
        )
        if pinned[organization_id] >= self._settings.pinned_hosts_per_organization_max:
            raise Overloaded(
                "the organization's running children keep too many hosts busy",
                retry_after_seconds=5,
            )

    def _retire(self, host: Host) -> None:
        del self._hosts[host.version.id]
        task = asyncio.create_task(host.retire())
        self._retiring.add(task)

        def retired(task: asyncio.Task[None]) -> None:
            self._retiring.discard(task)
            self._wake_one()

        task.add_done_callback(retired)

    def _wake_one(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return

    async def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        interval = min(self._settings.idle_seconds, self._settings.step_timeout_seconds)
        while True:
            await asyncio.sleep(interval)
            for host in list(self._hosts.values()):
                if host.is_busy or loop.time() - host.last_used < self._settings.idle_seconds:
                    # A loop in a promise's callback holds no request up until the next one comes.
                    _expect_nothing(host.ask(protocol.PING, is_use=False))
                else:
                    self._retire(host)


def _text_of(code: bytes) -> str:
    try:
        return code.decode()
    except UnicodeDecodeError as error:
        raise InvalidCode("the code is not UTF-8", parameter="code") from error


class Deaf:
    """Observes a host that nobody waits for."""

    def reported(self, host: Host, frame: protocol.HostFrame) -> None:
        """Logs of code that is only being looked at are nobody's."""

    def rested(self, host: Host) -> None:
        """Nobody waits for its place."""

    def ended(self, host: Host) -> None:
        """Nothing depends on it."""


def _expect_nothing(answered: asyncio.Future[list[protocol.HostFrame]]) -> None:
    def swallow(done: asyncio.Future[list[protocol.HostFrame]]) -> None:
        with contextlib.suppress(HostDied, asyncio.CancelledError):
            done.result()

    answered.add_done_callback(swallow)

"""What all worlds of a process share: an event loop in a thread of its own, and the processes that run machine code.

Worlds come and go with each test; a host takes a tenth of a second to start, so it stays for whoever tests the same code next. Each world has its own range of
instance numbers, by which it gets what hosts report.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import tempfile
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from statekeep.bundling import Bundler, Dialect
from statekeep.domain.event import Event
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import (
    InstanceId,
    MachineName,
    OrganizationId,
    VersionId,
)
from statekeep.domain.step import ChildrenState
from statekeep.ports.clock import datetime_of
from statekeep.ports.runtime import RuntimeListener
from statekeep.runtimes import protocol
from statekeep.runtimes.local import HostOptions, running_hosts
from statekeep.runtimes.process import HostDied
from statekeep.runtimes.runtime import HostRuntime

ORGANIZATION: Final = OrganizationId("org_tests")
"""Whose machines are tested."""
INSTANCES_PER_WORLD_MAX: Final = 10_000_000
"""Numbers that one world may give out, instances that were only tried out among them."""

Result = TypeVar("Result")


class Hosts:
    """An event loop and the hosts on it. Begins with the first call, and ends with `close` or the process."""

    def __init__(self, *, allow_network: bool = False) -> None:
        self._allow_network = allow_network
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="statekeep-testing", daemon=True)
        self._stack = AsyncExitStack()
        self._starting = threading.Lock()
        self._is_open = False
        self._worlds: dict[int, RuntimeListener] = {}
        self._worlds_made = 0
        self._code: dict[VersionId, bytes] = {}
        self._bundler: Bundler | None = None
        self._versions: dict[VersionId, MachineVersion] = {}
        self.runtime: HostRuntime

    def submit(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Have the event loop do it."""
        with self._starting:
            if not self._is_open:
                self._thread.start()
                asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
                self._is_open = True
                atexit.register(self.close)
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End all hosts, and the event loop. Safe to call twice."""
        with self._starting:
            if not self._is_open:
                return
            self._is_open = False
        atexit.unregister(self.close)
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # On the event loop

    def new_numbers(self) -> int:
        """The first of the numbers that a new world may give its instances."""
        self._worlds_made += 1
        return self._worlds_made * INSTANCES_PER_WORLD_MAX

    def admit(self, first_number: int, world: RuntimeListener) -> None:
        """Let the world with those numbers hear what becomes of its instances."""
        self._worlds[first_number // INSTANCES_PER_WORLD_MAX] = world

    def dismiss(self, first_number: int) -> None:
        """The world whose numbers begin there hears nothing more."""
        self._worlds.pop(first_number // INSTANCES_PER_WORLD_MAX, None)

    async def bundle(self, source: Path) -> bytes:
        """The module that becomes of a machine file. Raises BuildFailed with the places in the author's files."""
        if self._bundler is None:
            self._bundler = await self._stack.enter_async_context(Bundler())
        bundle = await self._bundler.bundle(source, Dialect.of(source))
        return bundle.code

    async def version(self, name: MachineName, code: bytes) -> MachineVersion:
        """The version that this code is of a machine of that name, loaded. Raises InvalidCode where it cannot be."""
        digest = hashlib.sha256(code)
        version_id = VersionId(f"ver_{name}_{digest.hexdigest()}")
        if version_id not in self._versions:
            self._code[version_id] = code
            version = MachineVersion(
                version_id, 0, ORGANIZATION, name, datetime_of(0), None, {}, 5, digest.digest()
            )
            outline = msgspec.json.decode(await self.runtime.describe(version))
            self._versions[version_id] = replace(version, xstate_major=outline["major"])
        return self._versions[version_id]

    async def flush(self, version: MachineVersion) -> None:
        """Whatever its host was told before is done, and what that reported is heard."""
        host = self.runtime.pool.warm(version.id)
        if host is not None:
            with suppress(HostDied):
                await host.ask(protocol.PING, is_use=False)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _open(self) -> None:
        async def code_of(version: MachineVersion) -> bytes:
            return self._code[version.id]

        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="statekeep-"))
        options = HostOptions(cache_dir=Path(folder), allow_network=self._allow_network)
        self.runtime = await self._stack.enter_async_context(running_hosts(options, code_of))
        self.runtime.listener = _Dispatcher(self._worlds)


class _Dispatcher:
    """Tells each world what concerns it (ports.runtime.RuntimeListener)."""

    def __init__(self, worlds: dict[int, RuntimeListener]) -> None:
        self._worlds = worlds

    def child_sent(
        self,
        instance_id: InstanceId,
        event: Event,
        handle: int,
        children: ChildrenState,
        child: str | None,
    ) -> None:
        world = self._world_of(instance_id)
        if world is not None:
            world.child_sent(instance_id, event, handle, children, child)

    def children_changed(self, instance_id: InstanceId, children: ChildrenState) -> None:
        world = self._world_of(instance_id)
        if world is not None:
            world.children_changed(instance_id, children)

    def host_lost(self, instance_ids: Sequence[InstanceId]) -> None:
        for instance_id in instance_ids:
            world = self._world_of(instance_id)
            if world is not None:
                world.host_lost([instance_id])

    def logged(
        self,
        version: MachineVersion,
        instance_id: InstanceId | None,
        stream: int,
        ts: float,
        text: str,
    ) -> None:
        concerned = self._worlds.values() if instance_id is None else [self._world_of(instance_id)]
        for world in concerned:
            if world is not None:
                world.logged(version, instance_id, stream, ts, text)

    def _world_of(self, instance_id: InstanceId) -> RuntimeListener | None:
        return self._worlds.get(instance_id // INSTANCES_PER_WORLD_MAX)


_shared: dict[bool, Hosts] = {}


def shared_hosts(*, allow_network: bool) -> Hosts:
    """Those of this process, with or without a way out to the network."""
    if allow_network not in _shared:
        _shared[allow_network] = Hosts(allow_network=allow_network)
    return _shared[allow_network]


def close_shared_hosts() -> None:
    """End them; whoever asks again gets new ones."""
    while _shared:
        _shared.popitem()[1].close()

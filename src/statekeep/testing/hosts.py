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
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from statekeep.bundling import Bundler, Dialect
from statekeep.domain import limits
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import (
    MachineName,
    OrganizationId,
    VersionId,
)
from statekeep.domain.step import Stepped
from statekeep.ports.clock import datetime_of
from statekeep.ports.runtime import RuntimeListener
from statekeep.runtimes import protocol
from statekeep.runtimes.local import HostOptions, running_hosts
from statekeep.runtimes.process import HostDied
from statekeep.runtimes.runtime import HostRuntime
from statekeep.testing.chart import Chart, Coverage
from statekeep.testing.numbers import INSTANCES_PER_WORLD_MAX
from statekeep.testing.observing import Dispatcher, ObservedRuntime

ORGANIZATION: Final = OrganizationId("org_tests")
"""Whose machines are tested."""
Result = TypeVar("Result")


class Hosts:
    """An event loop and the hosts on it. Begins with the first call, and ends with `close` or the process."""

    def __init__(
        self, *, allow_network: bool = False, step_timeout: timedelta = limits.STEP_TIMEOUT
    ) -> None:
        self._allow_network = allow_network
        self._step_timeout = step_timeout
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
        self._charts: dict[VersionId, Chart] = {}
        self.coverage: dict[VersionId, Coverage] = {}
        """What was seen of each version that came from a file."""
        self.files: dict[VersionId, Path] = {}
        """Where these came from."""
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

    async def version(
        self, name: MachineName, code: bytes, source: Path | None = None
    ) -> MachineVersion:
        """The version that this code, from that file, is of a machine of that name, loaded. Raises InvalidCode where it cannot be."""
        digest = hashlib.sha256(code)
        version_id = VersionId(f"ver_{name}_{digest.hexdigest()}")
        if version_id not in self._versions:
            self._code[version_id] = code
            version = MachineVersion(
                version_id, 0, ORGANIZATION, name, datetime_of(0), None, {}, 5, digest.digest()
            )
            chart = Chart(await self.runtime.describe(version))
            self._charts[version_id] = chart
            self._versions[version_id] = replace(version, xstate_major=chart.xstate_major)
        if source is not None and version_id not in self.files:
            self.files[version_id] = source
            self.coverage[version_id] = Coverage(self._charts[version_id])
        return self._versions[version_id]

    def chart(self, version: MachineVersion) -> Chart:
        """The statechart of a version that was loaded."""
        return self._charts[version.id]

    async def flush(self, version: MachineVersion) -> None:
        """Whatever its host was told before is done, and what that reported is heard."""
        host = self.runtime.pool.warm(version.id)
        if host is not None:
            with suppress(HostDied):
                await host.ask(protocol.PING, is_use=False)

    def cover(self, version: MachineVersion, steps: Iterable[Stepped]) -> None:
        """Count that as seen by tests, if the version came from a file."""
        for stepped in steps:
            self._note(version, stepped)

    def _note(self, version: MachineVersion, stepped: Stepped) -> None:
        coverage = self.coverage.get(version.id)
        if coverage is not None:
            coverage.note(stepped)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _open(self) -> None:
        async def code_of(version: MachineVersion) -> bytes:
            return self._code[version.id]

        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="statekeep-"))
        options = HostOptions(
            cache_dir=Path(folder),
            step_timeout=self._step_timeout,
            allow_network=self._allow_network,
            observe=True,
        )
        hosts = running_hosts(options, code_of, runtime=ObservedRuntime(self._note))
        self.runtime = await self._stack.enter_async_context(hosts)
        self.runtime.listener = Dispatcher(self._worlds)


_shared: dict[bool, Hosts] = {}


def shared_hosts(*, allow_network: bool) -> Hosts:
    """Those of this process, with or without a way out to the network."""
    if allow_network not in _shared:
        _shared[allow_network] = Hosts(allow_network=allow_network)
    return _shared[allow_network]


def shared_coverage() -> Iterator[tuple[Path, Coverage]]:
    """What was seen of the machine files that were loaded in this process, by file."""
    for hosts in _shared.values():
        for version_id, coverage in hosts.coverage.items():
            yield hosts.files[version_id], coverage


def close_shared_hosts() -> None:
    """End them; whoever asks again gets new ones."""
    while _shared:
        _shared.popitem()[1].close()

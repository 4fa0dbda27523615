"""Hosts on this machine, put together: the launcher, a pool of its own and the runtime on top."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from statekeep.domain import limits
from statekeep.domain.machine import MachineVersion
from statekeep.ports.metrics import Metrics
from statekeep.runtimes.javascript.launch import DenoLauncher
from statekeep.runtimes.pool import Pool, PoolSettings
from statekeep.runtimes.protocol import HostLimits
from statekeep.runtimes.runtime import HostRuntime

_PREFIX: Final = "statekeep-"
_FOLDER_BYTES_MAX: Final = 80
"""Leaves the sockets 20 for their names: systems take 103 (macOS) to 107 bytes of a path (unix(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """What whoever runs hosts may choose. `cache_dir` is for compiled code that outlives a host."""

    cache_dir: Path
    hosts_max: int = limits.HOSTS_MAX
    heap_mib: int = limits.HOST_HEAP_MIB_MAX
    step_timeout: timedelta = limits.STEP_TIMEOUT
    allow_private_network: bool = False
    allow_network: bool = True
    """Without it author code reaches nothing outside its process."""
    observe: bool = False
    """Do macrosteps tell which transitions they took?"""


@asynccontextmanager
async def running_hosts(
    options: HostOptions,
    code_of: Callable[[MachineVersion], Awaitable[bytes]],
    metrics: Metrics | None = None,
    *,
    runtime: HostRuntime | None = None,
) -> AsyncIterator[HostRuntime]:
    """A runtime whose hosts end with the context. Its listener has to be set before the first request. `runtime` is the one to be given hosts, by default a new one.

    Raises FileNotFoundError where the package was not built.
    """
    launcher = DenoLauncher(
        cache_dir=options.cache_dir,
        heap_mib=options.heap_mib,
        allow_private_network=options.allow_private_network,
        allow_network=options.allow_network,
    )
    runtime = runtime or HostRuntime()
    with socket_folder() as sockets:
        runtime.pool = Pool(
            launcher, code_of, runtime, _pool_settings(options), Path(sockets), metrics
        )
        runtime.pool.start_reaper()
        try:
            yield runtime
        finally:
            await runtime.close()


def socket_folder() -> tempfile.TemporaryDirectory[str]:
    """A private folder for the sockets of hosts, whose paths have to be short: among the temporary files, or in /tmp where those lie too deep."""
    folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
    if len(os.fsencode(folder.name)) <= _FOLDER_BYTES_MAX:
        return folder
    folder.cleanup()
    return tempfile.TemporaryDirectory(prefix=_PREFIX, dir="/tmp")


def _pool_settings(options: HostOptions) -> PoolSettings:
    return PoolSettings(
        hosts_max=options.hosts_max,
        pinned_hosts_per_organization_max=max(1, options.hosts_max * 3 // 4),
        idle_seconds=limits.HOST_IDLE_TIMEOUT.total_seconds(),
        wait_seconds=limits.HOST_WAIT_TIMEOUT.total_seconds(),
        start_timeout_seconds=limits.HOST_START_TIMEOUT.total_seconds(),
        step_timeout_seconds=options.step_timeout.total_seconds(),
        data_mib_max=limits.HOST_DATA_MIB_MAX,
        host_limits=HostLimits(
            context_bytes=limits.CONTEXT_BYTES_MAX,
            snapshot_bytes=limits.SNAPSHOT_BYTES_MAX,
            json_depth=limits.JSON_DEPTH_MAX,
            macrosteps=limits.MACROSTEPS_PER_EVENT_MAX,
            log_bytes=limits.LOG_BYTES_PER_EVENT_MAX,
            sessions=limits.HOST_SESSIONS_MAX,
            session_bytes=limits.HOST_SESSION_BYTES_MAX,
            deny_private_network=not options.allow_private_network,
        ),
        observe=options.observe,
    )

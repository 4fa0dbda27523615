"""Runtimes held to their contract: the real one, with real hosts."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from statekeep.domain import limits
from statekeep.domain.event import Delivery, Event, Origin
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import (
    InstanceId,
    InstanceName,
    MachineName,
    OrganizationId,
    VersionId,
)
from statekeep.domain.step import ChildrenState, Outcome, Stepped
from statekeep.ports.runtime import Standing
from statekeep.runtimes.javascript.launch import DenoLauncher
from statekeep.runtimes.pool import Pool, PoolSettings
from statekeep.runtimes.protocol import HostLimits
from statekeep.runtimes.runtime import HostRuntime

STEP_TIMEOUT_SECONDS = 1.0
ME = b'{"sub":"me"}'
NAME = InstanceName("one")


@dataclass
class Listener:
    """Remembers what hosts report."""

    sent: list[tuple[InstanceId, Event, int, ChildrenState, str | None]] = field(
        default_factory=list
    )
    changed: list[tuple[InstanceId, ChildrenState]] = field(default_factory=list)
    lost: list[InstanceId] = field(default_factory=list)
    logs: list[tuple[InstanceId | None, int, str]] = field(default_factory=list)

    def child_sent(self, instance_id, event, handle, children, child) -> None:
        self.sent.append((instance_id, event, handle, children, child))

    def children_changed(self, instance_id, children) -> None:
        self.changed.append((instance_id, children))

    def host_lost(self, instance_ids) -> None:
        self.lost.extend(instance_ids)

    def logged(self, version, instance_id, stream, ts, text) -> None:
        self.logs.append((instance_id, stream, text))


class Bench:
    """A runtime, versions for it, and instances that stand somewhere."""

    def __init__(self, runtime: HostRuntime, listener: Listener) -> None:
        self.runtime = runtime
        self.listener = listener
        self.code: dict[VersionId, bytes] = {}
        self.standing: dict[InstanceId, Standing] = {}

    def version(self, code: str, *, organization: str = "org_a") -> MachineVersion:
        """A published version."""
        version_id = VersionId(f"ver_{len(self.code)}")
        self.code[version_id] = code.encode()
        return MachineVersion(
            version_id,
            1,
            OrganizationId(organization),
            MachineName("machine"),
            datetime(2026, 1, 1, tzinfo=UTC),
            None,
            {},
            5,
            b"",
        )

    async def created(
        self, version: MachineVersion, number: int = 1, auth: bytes | None = ME, **context: Any
    ) -> Outcome:
        """The outcome of a creation, remembered where it came about."""
        instance_id = InstanceId(number)
        json = msgspec.json.encode(context)
        outcome = await self.runtime.create(version, instance_id, NAME, json, auth)
        self.remember(instance_id, 0, outcome)
        return outcome

    async def step(
        self, version: MachineVersion, *deliveries: Delivery, number: int = 1
    ) -> list[Outcome]:
        """Outcomes on top of where the instance stands."""
        standing = self.standing[InstanceId(number)]
        outcomes = list(await self.runtime.step(version, standing, deliveries))
        revision = standing.revision
        for outcome in outcomes:
            revision = self.remember(InstanceId(number), revision, outcome)
        return outcomes

    def remember(self, instance_id: InstanceId, revision: int, outcome: Outcome) -> int:
        """Let the instance stand where the outcome of a step from `revision` left it."""
        if isinstance(outcome, Stepped):
            revision += len(outcome.macrosteps)
            snapshot = outcome.macrosteps[-1].snapshot
            self.standing[instance_id] = Standing(instance_id, NAME, revision, snapshot)
        return revision


def sent(type_: str, auth: bytes | None = ME, **fields: Any) -> Delivery:
    """An event from a caller, or with no `auth` from a timer."""
    event = Event(type_, msgspec.json.encode({"type": type_, **fields}))
    return Delivery(event, Origin.CLIENT if auth else Origin.TIMER, auth)


def view_of(outcome: Outcome) -> Any:
    """What a caller would see."""
    assert isinstance(outcome, Stepped), outcome
    return msgspec.json.decode(outcome.macrosteps[-1].view)


@pytest.fixture
async def make_bench() -> AsyncIterator[Callable[..., Bench]]:
    """Benches that are closed in the end."""
    benches: list[Bench] = []
    with tempfile.TemporaryDirectory(prefix="statekeep-") as folder:

        def make(
            *,
            hosts_max: int = 2,
            pinned_max: int = 2,
            wait_seconds: float = 5,
            private_network: bool = False,
        ) -> Bench:
            place = Path(folder) / str(len(benches))
            place.mkdir()
            runtime, listener = HostRuntime(), Listener()
            bench = Bench(runtime, listener)

            async def code_of(version: MachineVersion) -> bytes:
                return bench.code[version.id]

            settings = PoolSettings(
                hosts_max=hosts_max,
                pinned_hosts_per_organization_max=pinned_max,
                idle_seconds=60,
                wait_seconds=wait_seconds,
                start_timeout_seconds=30,
                step_timeout_seconds=STEP_TIMEOUT_SECONDS,
                data_mib_max=limits.HOST_DATA_MIB_MAX,
                host_limits=HostLimits(
                    limits.CONTEXT_BYTES_MAX,
                    limits.SNAPSHOT_BYTES_MAX,
                    limits.JSON_DEPTH_MAX,
                    limits.MACROSTEPS_PER_EVENT_MAX,
                    limits.LOG_BYTES_PER_EVENT_MAX,
                    limits.HOST_SESSIONS_MAX,
                    limits.HOST_SESSION_BYTES_MAX,
                    deny_private_network=not private_network,
                ),
            )
            launcher = DenoLauncher(
                cache_dir=Path(folder) / "cache",
                heap_mib=limits.HOST_HEAP_MIB_MAX,
                allow_private_network=private_network,
            )
            runtime.listener = listener
            runtime.pool = Pool(launcher, code_of, runtime, settings, place)
            benches.append(bench)
            return bench

        yield make
        for bench in benches:
            await bench.runtime.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """One with room for two hosts."""
    return make_bench()

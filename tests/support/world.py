"""A server without HTTP, processes or disk: the real engine on the memory store and the toy runtime."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from statekeep.application.blast_radius import BlastRadii
from statekeep.application.bulk_upgrades import BulkUpgrades
from statekeep.application.bulk_upgrading import BulkUpgrader
from statekeep.application.dead_letters import DeadLetters
from statekeep.application.desired_versions import DesiredVersions
from statekeep.application.dry_runs import DryRuns
from statekeep.application.engine import Engine
from statekeep.application.index_filling import IndexFiller
from statekeep.application.watching import Watching
from statekeep.domain.access import SCOPES, AuthContext
from statekeep.domain.commit import Commit
from statekeep.domain.event import Event
from statekeep.domain.instance import InstanceKey
from statekeep.domain.machine import MachineVersion, Organization
from statekeep.domain.migration import Migration
from statekeep.domain.names import (
    EmailAddress,
    InstanceName,
    MachineName,
    MigrationId,
    OrganizationId,
    UserId,
    VersionId,
)
from statekeep.domain.people import User
from statekeep.ports.metrics import Metrics
from statekeep.ports.notifier import InstanceChanged, InstanceDeleted, Notification
from statekeep.runtimes.snapshots import (
    read_context,
    read_leaves,
    read_places,
    read_state_value,
)
from statekeep.storage.memory.store import MemoryStore
from statekeep.workers.bulk_upgrades import BulkUpgrading
from statekeep.workers.index_filling import IndexFilling
from statekeep.workers.timers import TimerService
from tests.support.entropy import SeededEntropy

ORGANIZATION = OrganizationId("org_a")
MACHINE = MachineName("toy")
NAME = InstanceName("one")
KEY = InstanceKey(ORGANIZATION, MACHINE, NAME)
CALLER = AuthContext(ORGANIZATION, UserId("usr_a"), SCOPES, b'{"sub":"me"}')
STRANGER = AuthContext(ORGANIZATION, UserId("usr_b"), SCOPES, b'{"sub":"stranger"}')
THEN = datetime(2026, 1, 1, tzinfo=UTC)


class SlowStore(MemoryStore):
    """Commits are durable when the test says so. `fail_next` makes the next ones fail."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = False
        self.waiting: deque[tuple[Commit, asyncio.Future[None]]] = deque()
        self.commits: list[Commit] = []
        self.fail_next: BaseException | None = None
        self.upgrade_over = asyncio.Event()
        """A bulk upgrade came to its end."""

    async def change_bulk_upgrade(self, job_id, status, *, reason=None, finished_at=None):
        changed = await super().change_bulk_upgrade(
            job_id, status, reason=reason, finished_at=finished_at
        )
        if finished_at is not None:
            self.upgrade_over.set()
        return changed

    def commit(
        self, commit: Commit, on_done: Callable[[asyncio.Future[None]], None] | None = None
    ) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        if on_done is not None:
            future.add_done_callback(on_done)
        self.waiting.append((commit, future))
        if not self.is_slow:
            self.release()
        return future

    def release(self, count: int = 1_000_000) -> None:
        """The oldest commits reach the disk."""
        while self.waiting and count:
            count -= 1
            commit, future = self.waiting.popleft()
            if self.fail_next is not None:
                future.set_exception(self.fail_next)
                continue
            try:
                self._apply(commit)
            except Exception as error:
                future.set_exception(error)
            else:
                self.commits.append(commit)
                future.set_result(None)


class Recorder:
    """Listens to everything a test may want to know."""

    def __init__(self) -> None:
        self.changes: list[InstanceChanged] = []
        self.deletions: list[InstanceDeleted] = []
        self.watching: Watching | None = None
        self.logs: list[str] = []
        self.timers: list[tuple[int, int]] = []

    def publish(self, notification: Notification) -> None:
        if isinstance(notification, InstanceChanged):
            self.changes.append(notification)
        else:
            self.deletions.append(notification)
        if self.watching is not None:
            self.watching.hear(notification)

    def write(self, version, instance, *, is_error, ts, text) -> None:
        self.logs.append(text)


class ManualClock:
    """Time stands still unless moved."""

    def __init__(self) -> None:
        self.ms = 1_000_000.0

    def now_ms(self) -> float:
        return self.ms


class World:
    """The engine with everything around it in sight."""

    def __init__(
        self,
        runtime,
        *,
        settle_timeout_seconds=60.0,
        store=None,
        residents_max=100,
        hops_max=100,
        tracer=None,
        clock=None,
    ):
        self.metrics = Metrics(per_machine=True)
        self.runtime = runtime
        self.store = store or SlowStore()
        self.clock = clock or ManualClock()
        self.recorder = Recorder()
        self.timers = TimerService(self.store, self.clock, retry_after_seconds=0.01)
        self.engine = Engine(
            self.store,
            runtime,
            self.recorder,
            self.clock,
            self.recorder,
            read_context=read_context,
            on_timers=self.timers.schedule,
            settle_timeout_seconds=settle_timeout_seconds,
            residents_max=residents_max,
            hops_max=hops_max,
            metrics=self.metrics,
            tracer=tracer,
        )
        self.residents = self.engine.residents
        self.indexing = self.engine.indexing
        self.paths = self.engine.paths
        self.turns = self.engine.turns
        self.creation = self.engine.creation
        self.messages = self.engine.messages
        self.instances = self.engine.instances
        self.desired_versions = DesiredVersions(self.store, self.residents, self.paths)
        self.filler = IndexFiller(self.store, self.residents, self.turns, self.indexing)
        self.filling = IndexFilling(self.store, self.filler)
        self.upgrading = BulkUpgrading(
            self.store, BulkUpgrader(self.store, self.residents, self.turns, self.clock)
        )
        entropy = SeededEntropy()
        self.bulk_upgrades = BulkUpgrades(
            self.store, self.paths, self.clock, entropy, on_change=self.upgrading.look
        )
        self.dry_runs = DryRuns(self.store, runtime, self.paths, self.indexing, self.clock, entropy)
        self.blast_radii = BlastRadii(
            self.store,
            runtime,
            read_places=read_places,
            read_state_value=read_state_value,
            read_leaves=read_leaves,
        )
        self.watching = self.recorder.watching = Watching(self.residents, runtime, self.store)
        self.dead_letters = DeadLetters(
            self.store, self.residents, self.clock, on_timers=self.timers.schedule
        )
        self.timers.instances = self.instances
        runtime.listener = self.instances

    async def set_up(self):
        """One organization, one machine, one version."""
        await self.store.create_user(User(UserId("usr_a"), EmailAddress("a@example.com"), THEN))
        organization = Organization(ORGANIZATION, "a", THEN, allow_anonymous_access=False)
        await self.store.create_organization(organization, UserId("usr_a"))
        await self.store.create_machine(ORGANIZATION, MACHINE, (), THEN)
        machine = await self.store.machine(ORGANIZATION, MACHINE)
        assert machine is not None
        version = MachineVersion(
            VersionId("ver_1"), machine.id, ORGANIZATION, MACHINE, THEN, None, {}, 5, b"h"
        )
        await self.store.create_version(version, b"code", make_current=True)
        return self

    async def add_version(self, name, *, xstate_major=5):
        """Another one of the machine, not current."""
        machine = await self.store.machine(ORGANIZATION, MACHINE)
        assert machine is not None
        version = MachineVersion(
            VersionId(name), machine.id, ORGANIZATION, MACHINE, THEN, None, {}, xstate_major, b"h"
        )
        await self.store.create_version(version, b"code", make_current=False)
        return version

    async def add_migration(self, start, target, code=b"code"):
        """One from version to version, by their names."""
        machine = await self.store.machine(ORGANIZATION, MACHINE)
        assert machine is not None
        number = len(await self.store.migrations(machine.id))
        migration_id = MigrationId(f"mig_{number}")
        migration = Migration(
            migration_id, machine.id, VersionId(start), VersionId(target), THEN, b"h"
        )
        await self.store.create_migration(migration, code)
        self.desired_versions.look_again(machine.id)
        return migration

    async def desire(self, version, *, name=NAME, caller=CALLER):
        await self.desired_versions.set(caller, MACHINE, InstanceName(name), VersionId(version))

    async def history(self, name=NAME):
        """Types of the recorded events, oldest first."""
        page = await self.instances.transitions(CALLER, MACHINE, InstanceName(name), None)
        return [msgspec.json.decode(entry.event)["type"] for entry in reversed(page.items)]

    def restarted(self, runtime, **options):
        """Another server on the same store."""
        return World(runtime, store=self.store, **options)

    async def create(self, name=NAME, **context):
        json = msgspec.json.encode(context)
        return await self.instances.create(CALLER, MACHINE, InstanceName(name), json, None)

    async def send(self, type_, *, name=NAME, caller=CALLER, key=None, trace=None, **fields):
        event = Event(type_, msgspec.json.encode({"type": type_, **fields}))
        return await self.instances.send_event(
            caller, MACHINE, InstanceName(name), event, idempotency_key=key, trace=trace
        )

    def sending(self, type_, **options):
        """The same, under way."""
        return asyncio.ensure_future(self.send(type_, **options))

    async def logs(self, *events, name=NAME):
        """Wait until a reader sees that the machine took exactly these."""
        for _ in range(10_000):
            if (seen := await self.log(name)) == [*events]:
                return
            await asyncio.sleep(0)
        assert seen == [*events]

    async def log(self, name=NAME):
        """Events the machine took, as a reader sees them."""
        view = await self.instances.read(CALLER, MACHINE, InstanceName(name))
        return log_of(view)

    def resident(self, name=NAME):
        return self.residents.at_hand(InstanceKey(ORGANIZATION, MACHINE, InstanceName(name)))


def log_of(view):
    """The events in a view of the toy machine."""
    return msgspec.json.decode(view.view)["publicContext"]["log"]


async def until(condition):
    """Let the event loop run until `condition()` holds. Bounded: what never happens fails the test."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came about")

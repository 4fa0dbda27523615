"""What moves instances, put together on the ports of one server."""

from __future__ import annotations

from collections.abc import Callable

from statekeep.application.creation import Creation
from statekeep.application.indexing import Indexing
from statekeep.application.instances import Instances
from statekeep.application.messages import Messages
from statekeep.application.migration_paths import MigrationPaths
from statekeep.application.residents import Residents
from statekeep.application.turns import Turns
from statekeep.application.upgrades import Upgrades
from statekeep.domain import limits
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.timer import TimerChanges
from statekeep.ports.author_log import AuthorLog
from statekeep.ports.clock import Clock
from statekeep.ports.metrics import Metrics
from statekeep.ports.notifier import Notifier
from statekeep.ports.runtime import Runtime
from statekeep.ports.snapshots import ReadContext
from statekeep.ports.store import Store
from statekeep.ports.tracing import Tracer


class Engine:
    """Instances and all that they need to be moved. Made on a running event loop.

    Nothing fires timers here: `on_timers` hears of those that have become durable, and whoever it belongs to calls `instances.fire_timer`. `instances` has
    to become the runtime's listener. `messages` has to be closed in the end.
    """

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        notifier: Notifier,
        clock: Clock,
        author_log: AuthorLog,
        *,
        read_context: ReadContext,
        on_timers: Callable[[OrganizationId, InstanceId, TimerChanges], None],
        settle_timeout_seconds: float = limits.SETTLE_TIMEOUT.total_seconds(),
        residents_max: int = limits.RESIDENT_INSTANCES_MAX,
        resident_bytes_max: int = limits.RESIDENT_BYTES_MAX,
        hops_max: int = limits.MESSAGE_HOPS_MAX,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.residents = Residents(store, count_max=residents_max, bytes_max=resident_bytes_max)
        self.indexing = Indexing(read_context)
        self.paths = MigrationPaths(store)
        self.turns = Turns(
            runtime,
            store,
            notifier,
            clock,
            author_log,
            self.indexing,
            settle_timeout_seconds=settle_timeout_seconds,
            on_timers=on_timers,
            on_growth=self.residents.resized,
            on_void=self.residents.remove,
            upgrades=Upgrades(runtime, store, self.paths, self.indexing, clock, author_log),
            metrics=metrics,
            tracer=tracer,
        )
        self.creation = Creation(store, runtime, self.residents, self.turns, clock)
        self.messages = Messages(
            store,
            runtime,
            self.residents,
            self.turns,
            self.creation,
            hops_max=hops_max,
            metrics=metrics,
            tracer=tracer,
        )
        self.instances = Instances(
            store,
            runtime,
            self.residents,
            self.turns,
            notifier,
            clock,
            author_log,
            self.creation,
            self.messages,
            metrics=metrics,
            tracer=tracer,
        )

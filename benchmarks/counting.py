"""What counting for the metrics costs an event, beside what the same would cost with prometheus_client's own objects.

    python benchmarks/counting.py [--engine-only]

`engine` is an event from the use case to its answer, with a store in memory and a runtime that decides at once: what there is to an event
besides HTTP, the host and the disk, so the smallest thing that counting could be compared with. With --engine-only it can be run against another
checkout (PYTHONPATH=there/src) to see the difference that counting makes there. Medians; only ratios within a run mean anything.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from statekeep.application.creation import Creation
from statekeep.application.indexing import Indexing
from statekeep.application.instances import Instances
from statekeep.application.messages import Messages
from statekeep.application.residents import Residents
from statekeep.application.turns import Turns
from statekeep.author_output import AuthorOutput
from statekeep.domain.access import SCOPES, AuthContext
from statekeep.domain.event import Event
from statekeep.domain.machine import MachineVersion, Organization
from statekeep.domain.names import (
    EmailAddress,
    InstanceName,
    MachineName,
    OrganizationId,
    UserId,
    VersionId,
)
from statekeep.domain.people import User
from statekeep.domain.step import Macrostep, Outcome, Stepped
from statekeep.notifiers.local import LocalNotifier
from statekeep.runtimes.snapshots import read_context
from statekeep.storage.memory.store import MemoryStore
from statekeep.system import SystemClock

ROUNDS = 15
EVENTS = 2_000
INSTANCES = 100
COUNTED = 100_000
ORGANIZATION, MACHINE = OrganizationId("org_a"), MachineName("toggle")
CALLER = AuthContext(ORGANIZATION, UserId("usr_a"), SCOPES, b"{}")
EVENT = Event("toggle", b'{"type":"toggle"}')
STEPPED = Stepped((Macrostep(None, b'{"value":"on","context":{}}', b'{"state":"on"}'),))


class Deciding:
    """As much of a runtime as events need."""

    async def create(self, *_: object) -> Outcome:
        """Always the same."""
        return STEPPED

    async def step(self, _version: object, _standing: object, some: Sequence[object]) -> object:
        """Always the same."""
        return [STEPPED] * len(some)

    def step_at_once(
        self,
        _version: object,
        _standing: object,
        _delivery: object,
        then: Callable[[Outcome], None],
    ) -> bool:
        """The same."""
        asyncio.get_running_loop().call_soon(then, STEPPED)
        return True


async def engine() -> tuple[Instances, list[InstanceName]]:
    """An engine with instances in memory."""
    store, clock, notifier, log = MemoryStore(), SystemClock(), LocalNotifier(), AuthorOutput()
    await store.open()
    then = datetime(2026, 1, 1, tzinfo=UTC)
    await store.create_user(User(UserId("usr_a"), EmailAddress("a@example.com"), then))
    await store.create_organization(Organization(ORGANIZATION, "a", then, False), UserId("usr_a"))
    await store.create_machine(ORGANIZATION, MACHINE, (), then)
    machine = await store.machine(ORGANIZATION, MACHINE)
    assert machine is not None
    owner = (machine.id, ORGANIZATION, MACHINE)
    version = MachineVersion(VersionId("ver_1"), *owner, then, None, {}, 5, b"h")
    await store.create_version(version, b"code", make_current=True)
    runtime = Deciding()
    residents = Residents(store, count_max=10_000, bytes_max=1 << 30)
    turns = Turns(
        runtime,  # type: ignore[arg-type]
        store,
        notifier,
        clock,
        log,
        Indexing(read_context),
        settle_timeout_seconds=90,
        on_timers=lambda *_: None,
        on_growth=residents.resized,
        on_void=residents.remove,
    )
    creation = Creation(store, runtime, residents, turns, clock)  # type: ignore[arg-type]
    messages = Messages(store, runtime, residents, turns, creation, hops_max=10)  # type: ignore[arg-type]
    instances = Instances(
        store,
        runtime,  # type: ignore[arg-type]
        residents,
        turns,
        notifier,
        clock,
        log,
        creation,
        messages,
    )
    names = [InstanceName(f"k{n}") for n in range(INSTANCES)]
    for name in names:
        await instances.create(CALLER, MACHINE, name, b"{}", None)
    return instances, names


async def engine_us() -> float:
    """Microseconds of an event."""
    rounds, loop = [], asyncio.get_running_loop()
    for _ in range(ROUNDS):
        instances, names = await engine()
        begun = time.perf_counter()
        for _ in range(EVENTS // INSTANCES):
            answers = [loop.create_future() for _ in names]
            for name, answer in zip(names, answers, strict=True):
                instances.post_event(CALLER, MACHINE, name, EVENT, answer)
            await asyncio.gather(*answers)
        rounds.append((time.perf_counter() - begun) / EVENTS * 1e6)
    return statistics.median(rounds)


def ours(*, is_batch_shared: bool) -> Callable[[], None]:
    """What is counted for an event, calls included: in a batch that many share, which is the case under load, or in one of its own."""
    from statekeep.domain.event import Origin
    from statekeep.ports.metrics import EventOutcome, Metrics

    metrics, now = Metrics(), asyncio.new_event_loop().time
    accepted, observe = metrics.events[EventOutcome.ACCEPTED], metrics.event_seconds.observe
    observe_request, origin = metrics.host_request_seconds.observe, Origin.CLIENT

    def count() -> None:
        # The turn looks at the clock anyway when it answers.
        posted_at = now()
        observe_request(0.001)
        accepted[origin] += 1
        observe(posted_at)
        metrics.http_responses[200] += 1
        if not is_batch_shared:
            metrics.batch_writes.observe(1)
            metrics.commit_seconds.observe(0.0003)

    return count


def theirs() -> Callable[[], None]:
    """The same with prometheus_client for a shared batch, its labels looked up in advance."""
    from prometheus_client import CollectorRegistry, Counter, Histogram

    registry, now = CollectorRegistry(), asyncio.new_event_loop().time
    events = Counter("e", "e", ["outcome", "origin"], registry=registry).labels("a", "c")
    answers = Counter("a", "a", ["code"], registry=registry).labels("2xx")
    seconds, steps = [Histogram(name, name, registry=registry) for name in ("s", "h")]

    def count() -> None:
        posted_at = now()
        steps.observe(0.001)
        events.inc()
        seconds.observe(posted_at)
        answers.inc()

    return count


def us_of(count: Callable[[], None]) -> float:
    """Microseconds of a call, that of a call which does nothing taken off."""

    def one(work: Callable[[], None]) -> float:
        begun = time.perf_counter()
        for _ in range(COUNTED):
            work()
        return (time.perf_counter() - begun) / COUNTED * 1e6

    return statistics.median([one(count) - one(lambda: None) for _ in range(ROUNDS)])


def main() -> None:
    """Measure and print."""
    whole = asyncio.run(engine_us())
    print(f"engine              {whole:6.2f} microseconds an event")
    if "--engine-only" in sys.argv:
        return
    own, library = us_of(ours(is_batch_shared=True)), us_of(theirs())
    alone = us_of(ours(is_batch_shared=False))
    print(f"counting            {own:6.2f}   {own / whole:.1%} of the engine")
    print(f"alone in its batch  {alone:6.2f}   {alone / whole:.1%} of the engine")
    print(f"prometheus_client   {library:6.2f}   {library / own:.1f} times as much")


if __name__ == "__main__":
    main()

"""What is counted while instances move, and how traces of timers and messages hang together."""

from __future__ import annotations

import asyncio

import pytest

from statekeep.application import turns
from statekeep.domain.errors import MachineError, Overloaded, RejectedByMachineAuthorizer
from statekeep.domain.event import Origin
from statekeep.domain.limits import DELIVERY_TRIES_MAX
from statekeep.ports.tracing import Caller
from statekeep.telemetry.opentelemetry import OpenTelemetryTracer
from tests.support.collector import collecting
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import World, until

TOY = ("org_a", "toy")


@pytest.fixture
async def world():
    return await World(ToyRuntime()).set_up()


def counted(world: World, origin: Origin = Origin.CLIENT) -> list[int]:
    """By outcome: accepted, refused, ignored, failed, overloaded."""
    return [counts[origin] for counts in world.metrics.events]


async def test_every_outcome_is_counted_once(world):
    """By origin; the creation is one of its own, and the machine has the sum."""
    await world.create()
    for _ in range(3):
        await world.send("a")
    with pytest.raises(RejectedByMachineAuthorizer):
        await world.send("DENY")
    with pytest.raises(MachineError):
        await world.send("FAIL")
    await world.send("DONE")
    await world.send("late")
    assert counted(world) == [4, 1, 1, 1, 0]
    assert counted(world, Origin.CREATION) == [1, 0, 0, 0, 0]
    assert world.metrics.by_machine == {TOY: [5, 1, 1, 1, 0]}
    assert world.metrics.event_seconds.count == 5


async def test_a_full_mailbox_is_overload(world, monkeypatch):
    """What is shed is counted as such; what waits is no outcome yet, and can be looked at."""
    monkeypatch.setattr(turns, "MAILBOX_LETTERS_MAX", 2)
    await world.create()
    world.runtime.gate.clear()
    deciding = world.sending("a")
    await world.runtime.stepping.wait()
    waiting = [world.sending("a") for _ in range(2)]
    await until(lambda: world.turns.letters_waiting == 2)
    with pytest.raises(Overloaded):
        await world.send("a")
    assert counted(world) == [0, 0, 0, 0, 1]
    world.runtime.gate.set()
    await asyncio.gather(deciding, *waiting)
    assert counted(world) == [3, 0, 0, 0, 1]
    assert world.turns.letters_waiting == 0


async def test_a_commit_that_fails_is_no_event(world):
    """Its events are counted as shed: whoever sent them may come again."""
    await world.create()
    world.store.fail_next = OSError("no disk")
    with pytest.raises(Overloaded):
        await world.send("a")
    assert counted(world) == [0, 0, 0, 0, 1]


async def test_settling_is_timed(world):
    """Of those who had to wait for it; others have nothing to do with it."""
    view = await world.create()
    assert view.revision == 1
    resident = world.resident()
    waiting = world.sending("SPAWN", id="child")
    await until(lambda: resident.wake)
    world.runtime.child_answers(resident.id, "child")
    await waiting
    assert world.metrics.settle_seconds.count == 1
    assert world.metrics.settle_timeouts == 0
    assert counted(world, Origin.CHILD) == [1, 0, 0, 0, 0]


async def test_who_waits_too_long_is_counted():
    """They got an answer, but not the one they waited for."""
    world = await World(ToyRuntime(), settle_timeout_seconds=0.02).set_up()
    await world.create()
    # On a busy machine the creation may have waited too long as well.
    earlier = world.metrics.settle_timeouts
    await world.send("SPAWN", id="child")
    assert world.metrics.settle_timeouts == earlier + 1


async def test_timers_are_counted_with_their_lateness(world):
    """By the clock of the server, in seconds; those that are gone were not fired."""
    await world.create()
    await world.send("SET", id="t", delay=1000, event="tick")
    world.clock.ms += 1500
    handled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    resident = world.resident()
    (seq,) = resident.timers
    assert await world.instances.fire_timer(
        resident.id, seq, lambda error: handled.set_result(None)
    )
    await handled
    assert not await world.instances.fire_timer(resident.id, seq, lambda error: None)
    lateness = world.metrics.timer_lateness_seconds
    assert (lateness.count, round(lateness.total, 6)) == (1, 0.5)
    assert counted(world, Origin.TIMER) == [1, 0, 0, 0, 0]


async def test_dead_letters_are_counted(world):
    """Once each, after the last try."""
    await world.create()
    await world.send("SET", id="t", delay=1000, event="FAIL")
    resident = world.resident()
    (seq,) = resident.timers
    for _ in range(DELIVERY_TRIES_MAX):
        await world.instances.put_off_timer(resident.id, seq, due_at=0, failure="it threw")
    assert world.metrics.timers_failed == DELIVERY_TRIES_MAX
    assert (world.metrics.dead_timers, world.metrics.dead_messages) == (1, 0)


async def test_a_message_is_counted_and_its_trace_linked():
    """Delivered once; the trace of what it does leads back to the event that sent it."""
    with collecting() as collector:
        tracer = OpenTelemetryTracer(collector.url)
        world = await World(ToyRuntime(), tracer=tracer).set_up()
        await world.create("one")
        await world.create("two")
        await world.timers.start()
        trace = tracer.request("POST /machines/{machine}/i/{instance}/events", Caller(None, None))
        assert trace is not None
        await world.send("TELL", name="one", to="two", events=[{"type": "hello"}], trace=trace)
        trace.ended(200)
        await until(lambda: world.metrics.messages_delivered)
        await world.timers.stop()
        await world.messages.close()
        await tracer.close()
    assert counted(world, Origin.MESSAGE) == [1, 0, 0, 0, 0]
    (sent,) = collector.roots("POST /machines/{machine}/i/{instance}/events")
    (message,) = collector.roots("message")
    (link,) = message.links
    assert (link.trace_id, link.span_id) == (sent.trace_id, sent.span_id)
    assert message.trace_id != sent.trace_id
    names = [span.name for span in collector.below(message)]
    assert names == ["mailbox", "host step", "commit", "effects"]

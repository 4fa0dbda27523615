"""Timers fire when due, again when that fails, and survive whoever set them."""

import asyncio
from itertools import pairwise

import pytest

from statekeep.domain import limits
from statekeep.domain.errors import Overloaded
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.timer import Timer, TimerChanges
from statekeep.system import SystemClock
from statekeep.workers import crowds
from statekeep.workers import timers as timers_module
from statekeep.workers.crowds import FIRING_PER_INSTANCE_MAX, WAITING_MAX
from tests.support.builders import a_timer
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, NAME, ORGANIZATION, World, log_of, until


async def a_timely_world():
    """Time runs, and timers with it."""
    return await World(ToyRuntime(), clock=SystemClock()).set_up()


def restarted(world):
    """Another server on the same store, in the same time."""
    return world.restarted(ToyRuntime(), clock=world.clock)


@pytest.fixture
async def world():
    world = await a_timely_world()
    await world.timers.start()
    await world.create()
    yield world
    await world.timers.stop()


class Watch:
    """Waits for what subscribers would be told."""

    def __init__(self, world):
        self.world = world
        self.arrived = asyncio.Event()
        world.recorder.publish = self._publish
        self.view = None

    def _publish(self, change):
        self.view = self.world.residents.at_hand_by_id(change.instance_id).view
        self.arrived.set()

    async def log_becomes(self, expected):
        while self.view is None or log_of(self.view) != expected:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 10)


async def test_a_timer_fires(world):
    """A delayed event arrives after its delay, and only once."""
    watch = Watch(world)
    await world.send("SET", id="t", delay=5, event="ding")
    await watch.log_becomes(["SET", "ding"])
    assert world.resident().timers == {}
    assert await world.store.timers_due_before(1e18, after=None, limit=10) == []


async def test_the_earliest_fires_first(world):
    """Timers fire in the order in which they are due, whatever the order in which they were set."""
    watch = Watch(world)
    await world.send("SET", id="a", delay=30, event="late")
    await world.send("SET", id="b", delay=5, event="soon")
    await watch.log_becomes(["SET", "SET", "soon", "late"])


async def test_a_cancelled_timer_does_not_fire(world):
    """A timer that was cancelled is gone, though the heap still knows it."""
    watch = Watch(world)
    await world.send("SET", id="t", delay=20, event="never")
    await world.send("CANCEL", id="t")
    await world.send("SET", id="u", delay=40, event="after")
    await watch.log_becomes(["SET", "CANCEL", "SET", "after"])


async def test_an_event_before_it_may_cancel_a_timer_that_is_due(world):
    """A timer that is due while an event that cancels it is being decided does not fire."""
    await world.send("SET", id="t", delay=20, event="never")
    world.runtime.gate.clear()
    world.runtime.stepping.clear()
    cancelling = world.sending("CANCEL", id="t")
    await world.runtime.stepping.wait()
    await until_async(lambda: world.resident().mailbox)
    world.runtime.gate.set()
    await cancelling
    await until(lambda: world.resident().turn is None)
    assert await world.log() == ["SET", "CANCEL"]


async def test_what_was_due_while_nobody_ran_fires_at_the_start():
    """A timer of a server that died fires in the next one, late but once."""
    first = await a_timely_world()
    await first.create()
    await first.send("SET", id="t", delay=1, event="ding")
    second = restarted(first)
    watch = Watch(second)
    await second.timers.start()
    await watch.log_becomes(["SET", "ding"])
    await second.timers.stop()


async def test_a_timer_far_ahead_is_not_held_in_memory(world):
    """Timers beyond the window stay in the store."""
    await world.send("SET", id="t", delay=10 * 60_000, event="later")
    assert world.timers._heap == []
    assert len(world.resident().timers) == 1


async def test_a_crowd_is_taken_in_helpings(world, monkeypatch):
    """More timers than fit in memory all fire."""
    monkeypatch.setattr(timers_module, "HEAP_TIMERS_MAX", 3)
    monkeypatch.setattr(timers_module, "PAGE_TIMERS", 2)
    first = await a_timely_world()
    await first.create()
    for n in range(10):
        await first.send("SET", id=str(n), delay=1, event=f"ding{n}")
    second = restarted(first)
    watch = Watch(second)
    await second.timers.start()
    await watch.log_becomes(["SET"] * 10 + [f"ding{n}" for n in range(10)])
    await second.timers.stop()


async def test_a_failing_timer_is_tried_again_and_dies(world):
    """Handling that throws is tried five times in all; then the timer stays as a dead letter and nothing more happens."""
    await world.send("SET", id="t", delay=1, event="FAIL")
    await until_async(lambda: any(t.is_dead for t in world.resident().timers.values()))
    [timer] = world.resident().timers.values()
    assert timer.tries == limits.DELIVERY_TRIES_MAX == 5
    assert len(world.recorder.logs) == 7
    assert "dead letter" in world.recorder.logs[-1]
    claimed = await world.store.claim_by_id(world.resident().id)
    assert claimed.timers == (timer,)
    assert await world.store.timers_due_before(1e18, after=None, limit=10) == []


async def test_a_timer_of_a_paused_instance_waits_for_it(world):
    """A timer that is due while the instance is paused fires when a later try finds it running."""
    watch = Watch(world)
    await world.send("SET", id="t", delay=1, event="ding")
    await world.instances.set_status(CALLER, MACHINE, NAME, InstanceStatus.PAUSED)
    await until_async(lambda: any(t.tries for t in world.resident().timers.values()))
    await world.instances.set_status(CALLER, MACHINE, NAME, InstanceStatus.RUNNING)
    await watch.log_becomes(["SET", "ding"])


async def test_a_timer_of_a_deleted_instance_is_nothing(world):
    """Timers go with their instance."""
    await world.send("SET", id="t", delay=20, event="never")
    await world.instances.delete(CALLER, MACHINE, NAME)
    await world.create()
    watch = Watch(world)
    await world.send("SET", id="t", delay=30, event="ding")
    await watch.log_becomes(["SET", "ding"])


async def test_a_timer_set_while_others_are_read_fires():
    """A timer that becomes durable just after the store was asked for the next ones is not overlooked."""
    world = await a_timely_world()
    await world.create()
    has_read, may_return = asyncio.Event(), asyncio.Event()
    read = world.store.timers_due_before

    async def slow(*args, **options):
        page = await read(*args, **options)
        has_read.set()
        await may_return.wait()
        return page

    world.store.timers_due_before = slow
    watch = Watch(world)
    await world.timers.start()
    await has_read.wait()
    await world.send("SET", id="t", delay=1, event="ding")
    may_return.set()
    await watch.log_becomes(["SET", "ding"])
    await world.timers.stop()


async def test_what_is_held_fires_while_more_is_read(world):
    """A store that takes its time to name the timers of the next minute holds up none of this one."""
    await until(lambda: world.timers._horizon > 0)
    is_reading, may_return = asyncio.Event(), asyncio.Event()

    async def slow(*args, **options):
        is_reading.set()
        await may_return.wait()
        return []

    world.store.timers_due_before = slow
    world.timers._horizon -= timers_module.WINDOW_MS / 2
    world.timers._may_read.set()
    await is_reading.wait()
    watch = Watch(world)
    await world.send("SET", id="t", delay=1, event="ding")
    await watch.log_becomes(["SET", "ding"])
    may_return.set()


def test_what_is_far_ahead_is_read_without_hurry():
    """Most of the time is left to others, unless what is read next may be due soon."""
    assert timers_module.rest_after(0.02, ahead_ms=30_000) == pytest.approx(0.08)
    assert timers_module.rest_after(0.02, ahead_ms=5_000) == 0
    assert timers_module.rest_after(0.02, ahead_ms=-1) == 0


async def test_a_timer_whose_instance_cannot_be_read_fires_later(world):
    """A store that fails while a timer is due costs time, not the timer."""
    watch = Watch(world)
    fire, failures = world.instances.fire_timer, iter([OSError("no"), OSError("no")])

    async def failing(*args):
        for error in failures:
            raise error
        return await fire(*args)

    world.instances.fire_timer = failing
    await world.send("SET", id="t", delay=1, event="ding")
    await watch.log_becomes(["SET", "ding"])


async def test_a_failed_timer_that_cannot_be_put_off_is_tried_again(world):
    """Where the store cannot note that a delivery failed, as on a full disk, the timer is not forgotten."""
    update, failures = world.store.update_timer, iter([Overloaded("no room on the disk")])

    async def full(*args):
        for error in failures:
            raise error
        await update(*args)

    world.store.update_timer = full
    await world.send("SET", id="t", delay=1, event="FAIL")
    await until_async(lambda: any(t.is_dead for t in world.resident().timers.values()))


async def test_a_busy_server_does_not_use_up_a_timers_tries(world):
    """What is no fault of the machine does not count as a failed delivery (SPEC 6)."""
    watch = Watch(world)
    await world.send("SET", id="t", delay=1, event="ding")
    step, refusals = world.runtime.step, iter([Overloaded("busy")] * 2 * limits.DELIVERY_TRIES_MAX)

    async def busy(*args):
        for error in refusals:
            raise error
        return await step(*args)

    world.runtime.step = busy
    await watch.log_becomes(["SET", "ding"])


async def until_async(condition):
    """Like `until`, where real time has to pass: between looks the event loop is left alone for a moment."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0.001))])


async def test_slow_machines_of_others_hold_nobody_up():
    """However much of one organization is due and waits for its machines, what another one has due fires."""
    world, started = await World(ToyRuntime()).set_up(), []
    fire = world.instances.fire_timer

    async def slow(instance_id, seq, on_handled):
        if instance_id == OTHERS:
            started.append(seq)
            return True
        return await fire(instance_id, seq, on_handled)

    world.instances.fire_timer = slow
    await world.timers.start()
    due = tuple(a_timer(seq, due_at=0.0) for seq in range(2 * WAITING_MAX))
    world.timers.schedule(OrganizationId("org_b"), OTHERS, TimerChanges(due, ()))
    await until(lambda: len(started) == FIRING_PER_INSTANCE_MAX)
    await world.create()
    await world.send("SET", id="t", delay=0, event="ding")
    world.timers._changed.set()
    await until(lambda: log_of(world.resident().view) == ["SET", "ding"])
    assert len(started) == FIRING_PER_INSTANCE_MAX
    await world.timers.stop()


OTHERS = InstanceId(1_000_000)


async def test_a_crowd_due_at_once_lets_others_in_between(monkeypatch):
    """However many fall due in one instant, the event loop is never kept for longer than some of them take; those for which there is no room are no exception."""
    monkeypatch.setattr(timers_module, "HANDED_ON_AT_ONCE", 10)
    monkeypatch.setattr(crowds, "WAITING_MAX", 30)
    world, held = await World(ToyRuntime()).set_up(), []

    async def never_handled(instance_id, seq, on_handled):
        return True

    world.instances.fire_timer = never_handled
    due = tuple(a_timer(seq, due_at=0.0) for seq in range(1_000))
    world.timers.schedule(ORGANIZATION, OTHERS, TimerChanges(due, ()))

    def look():
        held.append(world.timers.held)
        if held[-1]:
            asyncio.get_running_loop().call_soon(look)

    look()
    await world.timers.start()
    await until(lambda: not world.timers.held)
    await world.timers.stop()
    steps = [before - after for before, after in pairwise(held)]
    assert max(steps) == 10


async def test_more_than_may_wait_is_read_from_the_store_again(monkeypatch):
    """In the order in which it is due, nothing twice."""
    monkeypatch.setattr(crowds, "WAITING_MAX", 4)
    monkeypatch.setattr(crowds, "FIRING_PER_INSTANCE_MAX", 1)
    world = await a_timely_world()
    await world.create()
    for n in range(30):
        await world.send("SET", id=str(n), delay=1, event=f"ding{n}")
    watch = Watch(world)
    await world.timers.start()
    await watch.log_becomes(["SET"] * 30 + [f"ding{n}" for n in range(30)])
    await world.timers.stop()
    assert not world.timers._crowds


async def test_a_crowd_is_not_read_over_and_over(monkeypatch):
    """Of many that are due at once each is read a few times, however many they are."""
    monkeypatch.setattr(crowds, "WAITING_MAX", 4)
    monkeypatch.setattr(crowds, "FIRING_PER_INSTANCE_MAX", 1)
    monkeypatch.setattr(timers_module, "PAGE_TIMERS", 4)
    world = await a_timely_world()
    await world.create()
    count = 100
    for n in range(count):
        await world.send("SET", id=str(n), delay=1, event=f"ding{n}")
    read, rows = world.store.timers_due_before, []

    async def counting(*args, **options):
        page = await read(*args, **options)
        rows.extend(page)
        return page

    world.store.timers_due_before = counting
    watch = Watch(world)
    await world.timers.start()
    await watch.log_becomes(["SET"] * count + [f"ding{n}" for n in range(count)])
    await world.timers.stop()
    assert len(rows) < 6 * count


async def test_cancelled_timers_do_not_pile_up(world, monkeypatch):
    """Long ones that are set and cancelled again and again take no more memory than a few."""
    monkeypatch.setattr(timers_module, "STALE_TIMERS_MAX", 10)
    for _ in range(100):
        await world.send("SET", id="t", delay=20_000, event="never")
        await world.send("CANCEL", id="t")
    assert world.timers._held == {}
    assert len(world.timers._heap) <= 10


async def test_timers_that_nobody_named_are_found(world):
    """They became durable behind the service's back, some of them due for long; those that wait or are being handled are not there twice."""
    watch = Watch(world)
    await world.send("SET", id="later", delay=30_000, event="later")
    instance_id = world.resident().id
    # As of a machine that was just imported: not in memory.
    world.residents.remove(world.resident())
    world.runtime.gate.clear()
    world.runtime.stepping.clear()
    await world.store.stage_timers(instance_id, [Timer(50, "first", 1.0, b'{"type":"first"}')])
    world.timers.look_again()
    await asyncio.wait_for(world.runtime.stepping.wait(), 10)
    world.timers.look_again()
    await until(lambda: not world.timers._has_to_read_again)
    await until(lambda: world.timers._horizon > 0)
    await until(lambda: [(id, seq) for _, id, seq in world.timers._heap] == [(instance_id, 0)])
    world.runtime.gate.set()
    await watch.log_becomes(["SET", "first"])
    (left,) = await world.store.timers_due_before(1e18, after=None, limit=10)
    assert (left.instance_id, left.seq) == (instance_id, 0)

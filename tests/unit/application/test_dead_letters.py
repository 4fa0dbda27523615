"""Dead letters are retried and discarded in memory and in the store alike, whatever the instance does meanwhile."""

from __future__ import annotations

import pytest

from statekeep.application import dead_letters as dead_letters_module
from statekeep.domain import dead_letter as dead_letter_module
from statekeep.domain import timer as timer_module
from statekeep.domain.errors import MachineError, NotFound, Overloaded
from statekeep.domain.limits import DELIVERY_TRIES_MAX
from statekeep.domain.names import InstanceName, MachineName
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, NAME, World, until


@pytest.fixture
async def world():
    world = await World(ToyRuntime()).set_up()
    await world.timers.start()
    await world.create()
    yield world
    await world.timers.stop()
    await world.messages.close()


LATER_MS = 10 * 60_000
"""Beyond what the timer service holds in memory: it has not seen these."""


async def kill(world, *events, name=NAME):
    """Give up a timer for each of the events; none of them was tried."""
    for event in events:
        await world.send("SET", name=name, id=event, delay=LATER_MS, event=event)
        resident = world.resident(name)
        await give_up(world, resident.id, max(resident.timers))


async def give_up(world, instance_id, seq):
    for _ in range(DELIVERY_TRIES_MAX):
        await world.instances.put_off_timer(instance_id, seq, due_at=0.0, failure="it threw")


async def letters(world, instance=None):
    page = await world.dead_letters.list(CALLER, MACHINE, instance=instance, cursor=None)
    return list(page.items)


def in_store(world, name=NAME):
    return world.store._instances[world.resident(name).id].timers


async def test_a_retried_letter_is_delivered_at_once(world):
    """From the store as from memory it is a timer like any other, until it has fired."""
    await kill(world, "ding")
    [letter] = await letters(world)
    assert (letter.timer.tries, letter.timer.failure, letter.kind) == (5, "it threw", "timer")
    await world.dead_letters.retry(CALLER, MACHINE, letter.id.text)
    await until(lambda: not in_store(world) and world.resident().is_idle)
    assert await world.log() == ["SET", "ding"]
    assert world.resident().timers == {}
    assert await letters(world) == []


async def test_a_letter_that_fails_again_has_all_its_tries(world):
    """And dies after the last one."""
    await kill(world, "FAIL")
    [letter] = await letters(world)
    world.timers._retry_after_ms = 0.0
    await world.dead_letters.retry(CALLER, MACHINE, letter.id.text)
    await until(lambda: world.resident().timers[0].is_dead)
    [again] = await letters(world)
    assert (again.timer.tries, again.id) == (DELIVERY_TRIES_MAX, letter.id)
    assert in_store(world) == world.resident().timers


async def test_the_log_has_the_first_failure_and_the_end(world):
    """Whoever looks on learns at once what is wrong, and not from each try."""
    await kill(world, "ding")
    assert [line for line in world.recorder.logs if "a delayed event" in line] == [
        "a delayed event was not taken and is tried again, 4 times at the most: it threw",
        "a delayed event was given up and is a dead letter now: it threw",
    ]


async def test_a_message_that_died_of_its_hops_is_retried():
    """An operator is somebody outside: what led to it does not count any more."""
    world = await World(ToyRuntime(), hops_max=1).set_up()
    await world.timers.start()
    for name in ("one", "two"):
        await world.create(InstanceName(name))
    await world.send("RELAY", to=["two", "one"])
    await until(lambda: any(t.is_dead for t in world.resident("two").timers.values()))
    [letter] = await letters(world)
    assert (letter.kind, letter.timer.message.to) == ("event", ("toy", "one"))
    await world.dead_letters.retry(CALLER, MACHINE, letter.id.text)
    await until(lambda: any(t.is_dead for t in world.resident("one").timers.values()))
    assert await world.log(InstanceName("one")) == ["RELAY", "RELAY"]
    await world.timers.stop()
    await world.messages.close()


async def test_a_discarded_letter_is_gone(world):
    """Everywhere."""
    await kill(world, "ding")
    [letter] = await letters(world)
    await world.dead_letters.discard(CALLER, MACHINE, letter.id.text)
    assert await letters(world) == []
    assert world.resident().timers == in_store(world) == {}
    for act in (world.dead_letters.discard, world.dead_letters.retry):
        with pytest.raises(NotFound):
            await act(CALLER, MACHINE, letter.id.text)


async def test_a_turn_that_is_under_way_keeps_what_was_changed(world):
    """It commits on top of the timers as they are then."""
    await kill(world, "ding", "dong")
    dong, ding = await letters(world)
    world.store.is_slow = True
    world.runtime.gate.clear()
    sending = world.sending("SET", id="later", delay=10_000, event="later")
    world.runtime.stepping.clear()
    await world.runtime.stepping.wait()
    await world.dead_letters.discard(CALLER, MACHINE, ding.id.text)
    await world.dead_letters.retry(CALLER, MACHINE, dong.id.text)
    world.store.is_slow = False
    world.runtime.gate.set()
    await sending
    await until(lambda: list(world.resident().timers) == [2])
    assert in_store(world) == world.resident().timers
    await world.logs("SET", "SET", "SET", "dong")


async def test_a_living_timer_is_no_dead_letter(world):
    """It cannot be named, tried or thrown away."""
    await world.send("SET", id="t", delay=10_000, event="ding")
    letter = dead_letter_module.LetterId(world.resident().id, 0).text
    for act in (world.dead_letters.discard, world.dead_letters.retry):
        with pytest.raises(NotFound):
            await act(CALLER, MACHINE, letter)
    assert list(world.resident().timers) == [0]


async def test_letters_of_other_machines_are_not_found(world):
    """By whatever id they are asked for."""
    await kill(world, "ding")
    [letter] = await letters(world)
    with pytest.raises(NotFound):
        await world.dead_letters.discard(CALLER, MachineName("other"), letter.id.text)
    with pytest.raises(NotFound):
        await world.dead_letters.discard(CALLER, MACHINE, "nonsense")
    assert len(await letters(world)) == 1


async def test_a_full_disk_changes_nothing(world, monkeypatch):
    """The letter is dead and there, as if nobody had asked."""
    await kill(world, "ding")
    [letter] = await letters(world)

    async def no_room(*_):
        raise Overloaded("no room")

    monkeypatch.setattr(world.store, "update_timer", no_room)
    monkeypatch.setattr(world.store, "remove_timer", no_room)
    for act in (world.dead_letters.discard, world.dead_letters.retry):
        with pytest.raises(Overloaded):
            await act(CALLER, MACHINE, letter.id.text)
        assert world.resident().timers == in_store(world) == {0: letter.timer}


async def test_an_instance_that_left_memory_meanwhile_is_found_again(world, monkeypatch):
    """And has the letter as it is now, though it was claimed as it was."""
    await kill(world, "ding")
    [letter] = await letters(world)
    update = world.store.update_timer

    async def slowly(instance_id, timer):
        world.residents.remove(world.resident())
        await world.residents.find_by_id(instance_id)
        await update(instance_id, timer)

    monkeypatch.setattr(world.store, "update_timer", slowly)
    await world.dead_letters.retry(CALLER, MACHINE, letter.id.text)
    await until(lambda: not in_store(world) and world.resident().is_idle)
    assert await world.log() == ["SET", "ding"]


async def test_many_are_retried_in_portions(world, monkeypatch):
    """Each once: one that dies again is not among those that follow."""
    monkeypatch.setattr(dead_letters_module, "DEAD_LETTERS_RETRIED_AT_ONCE", 100)
    two = InstanceName("two")
    await world.create(two)
    await kill(world, *["ding"] * 150)
    await kill(world, *["ding"] * 7, name=two)
    first = await world.dead_letters.retry_all(CALLER, MACHINE, instance=None, cursor=None)
    assert first.letters == 100
    rest = await world.dead_letters.retry_all(CALLER, MACHINE, instance=None, cursor=first.cursor)
    assert rest == (57, None)
    await until(lambda: not in_store(world) and not in_store(world, two))
    assert (await world.log(two)).count("ding") == 7


async def test_those_of_one_instance_are_retried(world):
    """And others are left alone."""
    two = InstanceName("two")
    await world.create(two)
    await kill(world, "ding")
    await kill(world, "ding", name=two)
    retried = await world.dead_letters.retry_all(CALLER, MACHINE, instance=two, cursor=None)
    assert retried == (1, None)
    await until(lambda: not in_store(world, two))
    assert [letter.instance_name for letter in await letters(world)] == [NAME]
    assert await letters(world, two) == []
    with pytest.raises(NotFound):
        await letters(world, InstanceName("three"))


async def test_the_oldest_are_dropped_and_that_is_logged(world, monkeypatch):
    """So that they cannot take everything; the author can see what was lost."""
    monkeypatch.setattr(dead_letter_module, "DEAD_LETTERS_PER_INSTANCE_MAX", 2)
    await kill(world, "a", "b", "c")
    assert [letter.timer.send_id for letter in await letters(world)] == ["c", "b"]
    assert in_store(world) == world.resident().timers
    assert "the oldest dead letter (a delayed event) was dropped" in world.recorder.logs[-1]


async def test_dead_letters_take_no_place_of_timers(world, monkeypatch):
    """An instance may have as many pending timers as ever."""
    monkeypatch.setattr(timer_module, "TIMERS_PER_INSTANCE_MAX", 2)
    await kill(world, "a", "b")
    for send_id in ("c", "d"):
        await world.send("SET", id=send_id, delay=10_000, event="ding")
    with pytest.raises(MachineError, match="at most 2 pending timers"):
        await world.send("SET", id="e", delay=10_000, event="ding")

"""Messages between instances: delivered in order, applied exactly once, tried again, and given up in the open."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from statekeep.domain import dead_letter
from statekeep.domain import timer as timer_module
from statekeep.domain.errors import Overloaded
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.limits import DELIVERY_TRIES_MAX
from statekeep.domain.names import InstanceName
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, World, until
from tests.support.world import log_of as view_log


@pytest.fixture
async def world():
    """Two instances, and timers that fire."""
    world = await World(ToyRuntime()).set_up()
    await begin(world)
    yield world
    await end(world)


async def begin(world):
    await world.timers.start()
    for name in ("one", "two"):
        await world.create(InstanceName(name))


async def end(world):
    await world.timers.stop()
    await world.messages.close()


def pending(world, name="one"):
    """Timers and messages of an instance, as the store has them."""
    return list(world.store._instances[world.resident(InstanceName(name)).id].timers.values())


def log_of(world, name):
    resident = world.resident(InstanceName(name))
    return [] if resident is None else msgspec.json.decode(resident.snapshot)["context"]["log"]


async def test_arrives_with_the_sender_as_auth_context(world):
    """The receiver's allowWrite is asked with exactly `stateBackedSender`, and the message is gone once it was applied."""
    await world.send("TELL", to="two", events=[{"type": "HI"}])
    await until(lambda: log_of(world, "two") == ["HI"])
    sender = {"machineName": "toy", "machineInstanceName": "one"}
    [auth] = [auth for type_, auth in world.runtime.asked if type_ == "HI"]
    assert msgspec.json.decode(auth) == {"stateBackedSender": sender}
    assert pending(world) == []
    assert not world.resident(InstanceName("one")).timers


async def test_is_recorded_as_a_message(world):
    """The journal of the receiver says where the event came from."""
    await world.send("TELL", to="two", events=[{"type": "HI"}])
    await until(lambda: log_of(world, "two") == ["HI"])
    entry = world.store._instances[world.resident(InstanceName("two")).id].journal[-1]
    assert (entry.origin, entry.event) == (Origin.MESSAGE, b'{"type":"HI"}')


async def test_messages_keep_their_order(world):
    """What one sender sends arrives in the order in which it was sent, also at an instance that is made on the way."""
    events = [{"type": f"E{n}"} for n in range(50)]
    await world.send("MAKE", to="three", child="c", context={"x": 1})
    await world.send("TELL", to="three", events=events)
    await until(lambda: len(log_of(world, "three")) == 50)
    assert log_of(world, "three") == [event["type"] for event in events]


async def test_an_instance_can_send_to_itself_by_name(world):
    """As to any other."""
    await world.send("TELL", to="one", events=[{"type": "HI"}])
    await until(lambda: log_of(world, "one") == ["TELL", "HI"])
    assert pending(world) == []


async def test_a_refused_message_is_tried_again_and_becomes_a_dead_letter(world):
    """Five tries in all; then it stays, with the reason, and is said in the author's log."""
    await world.send("TELL", to="two", events=[{"type": "DENY"}])
    await give_up(world)
    [letter] = pending(world)
    assert (letter.tries, letter.failure) == (
        DELIVERY_TRIES_MAX,
        "the machine's allowWrite said no",
    )
    assert "an event to toy/two was given up" in world.recorder.logs[-1]
    assert log_of(world, "two") == []


async def give_up(world, name="one"):
    """Let time pass until a message is dead."""
    for _ in range(DELIVERY_TRIES_MAX):
        tries = [timer.tries for timer in pending(world, name)]
        await until(lambda tries=tries: [t.tries for t in pending(world, name)] != tries)
        world.clock.ms += 1_000
        world.timers._changed.set()
    await until(lambda: any(timer.is_dead for timer in pending(world, name)))


async def test_a_message_to_nobody_makes_nobody(world):
    """It waits for an instance of that name, and is delivered once there is one."""
    await world.send("TELL", to="three", events=[{"type": "HI"}])
    await until(lambda: [timer.tries for timer in pending(world)] == [1])
    assert pending(world)[0].failure == "there is no instance three of machine toy"
    await world.create(InstanceName("three"))
    world.clock.ms += 1_000
    world.timers._changed.set()
    await until(lambda: log_of(world, "three") == ["HI"])


async def test_a_paused_receiver_gets_it_later(world):
    """The message is not lost while its receiver is paused."""
    two = InstanceName("two")
    await world.instances.set_status(CALLER, MACHINE, two, InstanceStatus.PAUSED)
    await world.send("TELL", to="two", events=[{"type": "HI"}])
    await until(lambda: [timer.tries for timer in pending(world)] == [1])
    await world.instances.set_status(CALLER, MACHINE, two, InstanceStatus.RUNNING)
    world.clock.ms += 1_000
    world.timers._changed.set()
    await until(lambda: log_of(world, "two") == ["HI"])


async def test_a_finished_receiver_takes_it_and_nothing_changes(world):
    """The message is not kept for an instance that will never do anything with it."""
    await world.send("DONE", name=InstanceName("two"))
    await world.send("TELL", to="two", events=[{"type": "HI"}])
    await until(lambda: pending(world) == [])
    assert log_of(world, "two") == ["DONE"]


async def test_a_commit_that_fails_delivers_it_again(world):
    """Nothing was applied then, so it is applied the next time, once."""
    store = world.store
    store.is_slow = True
    sending = world.sending("TELL", to="two", events=[{"type": "HI"}])
    await until(lambda: len(store.waiting) == 1)
    store.release()
    await sending
    await until(lambda: len(store.waiting) == 1)
    store.fail_next = OSError("no disk")
    store.release()
    store.fail_next, store.is_slow = None, False
    await until(lambda: world.timers._heap)
    world.clock.ms += 1_000
    world.timers._changed.set()
    await until(lambda: log_of(world, "two") == ["HI"])
    assert pending(world) == []


async def test_is_delivered_by_the_next_server():
    """What was committed and not delivered when a server died arrives after the next start, once."""
    world = await World(ToyRuntime()).set_up()
    for name in ("one", "two"):
        await world.create(InstanceName(name))
    await world.send("TELL", to="two", events=[{"type": "HI"}])
    next_world = world.restarted(ToyRuntime())
    await next_world.timers.start()
    await until(lambda: log_of(next_world, "two") == ["HI"])
    await end(next_world)


async def test_a_ring_comes_to_an_end():
    """Instances that send to each other for ever are stopped after so many messages, and the one that was not delivered says why."""
    world = await World(ToyRuntime(), hops_max=20).set_up()
    await begin(world)
    await world.send("RELAY", to=["two", "one"])
    await until(lambda: any(t.is_dead for name in ("one", "two") for t in pending(world, name)))
    [letter] = [timer for name in ("one", "two") for timer in pending(world, name)]
    assert "more than 20 messages followed from one event" in letter.failure
    assert len(log_of(world, "one")) + len(log_of(world, "two")) == 21
    await end(world)


async def test_hops_begin_anew_with_an_event_from_outside():
    """Only what follows from one event counts together."""
    world = await World(ToyRuntime(), hops_max=1).set_up()
    await begin(world)
    for n in range(3):
        await world.send("TELL", to="two", events=[{"type": f"E{n}"}])
    await until(lambda: log_of(world, "two") == ["E0", "E1", "E2"])
    await end(world)


async def test_a_child_that_cannot_be_made_is_lost(world):
    """Its parent gets the error event of that child when the last try has failed."""
    await world.send("MAKE", to="bad", child="kid", context={"fail": True})
    await give_up(world)
    await until(lambda: log_of(world, "one") == ["MAKE", "lost.kid"])
    [letter] = pending(world)
    assert letter.failure == "no such start"


async def test_a_child_that_exists_already_is_no_child(world):
    """The instance of that name is somebody else's: it is left alone."""
    await world.send("MAKE", to="two", child="kid")
    await until(lambda: [timer.tries for timer in pending(world)] == [1])
    assert pending(world)[0].failure == "instance two exists already"


async def test_a_parent_hears_of_the_end_of_its_child(world):
    """By the done event of its own XState, with the child's output."""
    await world.send("MAKE", to="three", child="kid")
    await until(lambda: world.resident(InstanceName("three")) is not None)
    await world.send("DONE", name=InstanceName("three"))
    await until(lambda: log_of(world, "one") == ["MAKE", "xstate.done.actor.kid"])
    entry = world.store._instances[world.resident(InstanceName("one")).id].journal[-1]
    assert msgspec.json.decode(entry.event) == {
        "type": "xstate.done.actor.kid",
        "output": {"good": True},
        "actorId": "kid",
    }
    assert pending(world, "three") == []


async def test_a_delayed_message_can_be_taken_back(world):
    """By its id, as long as it is not due."""
    await world.send("TELL", to="two", events=[{"type": "LATE"}], delay=500, id="x")
    await world.send("CANCEL", id="x")
    await world.send("TELL", to="two", events=[{"type": "HI"}], delay=500)
    world.clock.ms += 500
    world.timers._changed.set()
    await until(lambda: log_of(world, "two") == ["HI"])
    assert pending(world) == []


async def test_a_done_event_fits_the_version_that_handles_it(world):
    """The parent is upgraded to another major of XState by the very event: it gets the event under the name that the new version knows."""
    await world.add_version("ver_2", xstate_major=4)
    await world.add_migration("ver_1", "ver_2")
    await world.send("MAKE", to="three", child="kid")
    await until(lambda: world.resident(InstanceName("three")) is not None)
    await world.desire("ver_2", name="one")
    await world.send("DONE", name=InstanceName("three"))
    await until(lambda: len(log_of(world, "one")) == 3)
    assert log_of(world, "one") == ["MAKE", "upgraded to ver_2", "done.invoke.kid"]


async def test_a_death_that_cannot_be_written_is_tried_again(world):
    """As on a full disk: the message is not forgotten until the next start, and its end is said."""
    await world.send("TELL", to="two", events=[{"type": "DENY"}])
    await tries(world, DELIVERY_TRIES_MAX - 1)
    update, failures = world.store.update_timer, iter([Overloaded("no room on the disk")])

    async def full(*args):
        for error in failures:
            raise error
        await update(*args)

    world.store.update_timer = full
    await pass_time(world, lambda: any(timer.is_dead for timer in pending(world)))
    assert "was given up" in world.recorder.logs[-1]


async def tries(world, count, name="one"):
    await pass_time(world, lambda: [timer.tries for timer in pending(world, name)] == [count])


async def pass_time(world, condition):
    """Let time pass until `condition()` holds."""
    for _ in range(100):
        for _ in range(100):
            await asyncio.sleep(0)
        if condition():
            return
        world.clock.ms += 1_000
        world.timers._changed.set()
    raise AssertionError("it never came about")


async def test_the_end_of_a_child_that_was_never_made_is_heard_once(world):
    """The server may die at any time: what is durable either knows of both, the dead letter and the error event, or of neither."""
    await world.send("MAKE", to="bad", child="kid", context={"fail": True})
    await tries(world, DELIVERY_TRIES_MAX - 1)
    world.store.is_slow = True
    await pass_time(world, lambda: len(world.store.waiting) == 1)
    assert not any(timer.is_dead for timer in pending(world))
    world.store.is_slow = False
    world.store.release()
    await until(lambda: log_of(world, "one") == ["MAKE", "lost.kid"])
    [letter] = pending(world)
    assert (letter.is_dead, letter.failure) == (True, "no such start")
    assert dict(world.resident(InstanceName("one")).timers) == {letter.seq: letter}


async def test_a_paused_parent_hears_of_its_child_later(world):
    """When it goes on."""
    one = InstanceName("one")
    await world.send("MAKE", to="bad", child="kid", context={"fail": True})
    await world.instances.set_status(CALLER, MACHINE, one, InstanceStatus.PAUSED)
    await pass_time(world, lambda: world.resident(one).held)
    await world.instances.set_status(CALLER, MACHINE, one, InstanceStatus.RUNNING)
    await until(lambda: log_of(world, "one") == ["MAKE", "lost.kid"])
    assert [timer.is_dead for timer in pending(world)] == [True]


async def test_dead_letters_do_not_use_up_what_an_instance_may_send(world, monkeypatch):
    """They are bounded by themselves: the oldest are forgotten."""
    monkeypatch.setattr(timer_module, "TIMERS_PER_INSTANCE_MAX", 3)
    monkeypatch.setattr(dead_letter, "DEAD_LETTERS_PER_INSTANCE_MAX", 3)
    for n in range(5):
        await world.send("TELL", to=f"nobody{n}", events=[{"type": "HI"}])
        await pass_time(world, lambda: all(timer.is_dead for timer in pending(world)))
    assert [timer.message.to.name for timer in pending(world)] == ["nobody2", "nobody3", "nobody4"]
    await world.send("TELL", to="two", events=[{"type": "HI"}])
    await until(lambda: log_of(world, "two") == ["HI"])


async def test_deleting_a_sender_costs_its_receiver_nothing(world):
    """What is under way arrives, and those who wait for the receiver beside it get their answers."""
    two = InstanceName("two")
    world.store.is_slow = True
    sending = world.sending("TELL", to="two", events=[{"type": "HI"}])
    await until(lambda: world.store.waiting)
    world.store.release()
    await sending
    await until(lambda: world.store.waiting)
    others = [world.sending("KNOCK", name=two) for _ in range(3)]
    await world.instances.delete(CALLER, MACHINE, InstanceName("one"))
    world.store.is_slow = False
    world.store.release()
    for view in await asyncio.gather(*others):
        assert view_log(view)[0] == "HI"
    assert log_of(world, "two") == ["HI", "KNOCK", "KNOCK", "KNOCK"]


async def test_what_can_never_be_written_is_given_up(world, monkeypatch):
    """A store that takes everything but this one transition takes the dead letter too."""
    apply = world.store._apply

    def refuse(commit):
        if commit.received:
            raise ValueError("nobody can write this")
        apply(commit)

    monkeypatch.setattr(world.store, "_apply", refuse)
    await world.send("TELL", to="two", events=[{"type": "HI"}])
    await pass_time(world, lambda: any(timer.is_dead for timer in pending(world)))
    [letter] = pending(world)
    assert (letter.tries, letter.failure) == (
        DELIVERY_TRIES_MAX,
        "the transition could not be stored; nothing changed",
    )


async def test_what_can_never_be_delivered_is_given_up(world, monkeypatch):
    """Whatever goes wrong in the server itself on the way."""
    monkeypatch.setattr(world.runtime, "create", None)
    await world.send("MAKE", to="three", child="kid")
    await pass_time(world, lambda: any(timer.is_dead for timer in pending(world)))
    [letter] = pending(world)
    assert letter.failure == "an internal error kept it from being delivered"
    await until(lambda: log_of(world, "one") == ["MAKE", "lost.kid"])


async def test_children_are_made_beside_each_other(world, monkeypatch):
    """Thousands of them would else wait for each other. What is sent to one that is being made waits for it, and so does who makes another of its name."""
    begun, gate, create = [], asyncio.Event(), world.runtime.create

    async def slow(version, instance_id, name, *rest):
        begun.append(str(name))
        await gate.wait()
        return await create(version, instance_id, name, *rest)

    monkeypatch.setattr(world.runtime, "create", slow)
    for name in ("three", "four", "three"):
        await world.send("MAKE", to=name, child="kid")
        await world.send("TELL", to=name, events=[{"type": f"HI {name}"}])
    await until(lambda: begun == ["three"])
    await world.send("MAKE", to="five", name=InstanceName("two"), child="kid")
    await world.send("MAKE", to="six", name=InstanceName("two"), child="kid")
    await until(lambda: begun == ["three", "five", "six"])
    assert world.metrics.messages_failed == 0
    gate.set()
    await until(lambda: log_of(world, "three") == ["HI three"] * 2)
    assert log_of(world, "four") == ["HI four"]
    [taken] = pending(world)
    assert taken.failure == "instance three exists already"

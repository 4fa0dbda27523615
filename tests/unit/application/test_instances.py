"""What callers do at the same time as others, and as the store and the hosts get into trouble."""

import asyncio

import pytest

from statekeep.domain.errors import IdempotencyMismatch, MachineError, NotFound, Overloaded
from statekeep.domain.event import Event, Origin
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.names import InstanceName, VersionId
from statekeep.domain.step import ChildrenState, Effects
from statekeep.ports.metrics import EventOutcome
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, KEY, MACHINE, NAME, World, log_of, until


@pytest.fixture
async def world():
    return await World(ToyRuntime()).set_up()


async def set_status(world, status):
    await world.instances.set_status(CALLER, MACHINE, NAME, status)


def answering(awaitable):
    """Fails the test where no answer ever comes."""
    return asyncio.wait_for(awaitable, 5)


def posted(world, name=NAME):
    """A creation of the short way, under way."""
    told = asyncio.get_running_loop().create_future()
    assert world.instances.post_creation(CALLER, MACHINE, name, b"{}", None, told)
    return told


async def stored_and_not_told(world):
    """A creation that is in the store while its creator is told so only when the second future is done."""
    told = asyncio.get_running_loop().create_future()

    def commit(commit, on_done):
        told.add_done_callback(on_done)
        world.store._apply(commit)
        return told

    world.store.commit = commit
    creating = asyncio.ensure_future(world.create())
    await until(lambda: KEY in world.store._ids)
    return creating, told


async def test_reading_what_is_just_being_created(world):
    """Whoever finds a new instance in the store before its creation was told of it gets that very instance."""
    creating, told = await stored_and_not_told(world)
    reading = asyncio.ensure_future(world.log())
    for _ in range(20):
        await asyncio.sleep(0)
    told.set_result(None)
    assert log_of(await answering(creating)) == await answering(reading) == []
    del world.store.commit
    assert log_of(await world.send("a")) == ["a"]


def begun(world, name=NAME):
    """The same of the long way."""
    return asyncio.ensure_future(world.create(name))


@pytest.mark.parametrize("begin", [posted, begun])
async def test_what_is_just_being_created_has_a_name(world, begin, monkeypatch):
    """What its code prints is the instance's from the first question on, also while the creation is decided and not durable yet."""
    world.store.is_slow, named = True, []
    monkeypatch.setattr(world.recorder, "write", lambda _, key, **_more: named.append(key))
    version = await world.store.version(VersionId("ver_1"))
    creating = begin(world)
    await until(lambda: world.creation.newborn)
    [number] = world.creation.newborn
    await until(lambda: world.store.waiting)
    world.instances.logged(version, number, 1, 0.0, "later")
    world.store.release()
    await answering(creating)
    world.instances.logged(version, number, 1, 0.0, "much later")
    assert named == [KEY, KEY]
    assert not world.creation.newborn


@pytest.mark.parametrize("begin", [posted, begun])
async def test_a_creation_for_which_there_is_no_host_is_counted(world, begin, monkeypatch):
    """As shed load, like an event: operators are warned by that."""

    async def create(*_):
        raise Overloaded("all hosts are busy")

    monkeypatch.setattr(world.runtime, "create", create)
    with pytest.raises(Overloaded):
        await answering(begin(world))
    assert world.metrics.events[EventOutcome.OVERLOADED][Origin.CREATION] == 1
    monkeypatch.undo()
    assert log_of(await world.create()) == []


@pytest.mark.parametrize("begin", [posted, begun])
async def test_draining_gives_a_creation_that_is_with_its_host_the_whole_time(
    world, begin, monkeypatch
):
    """And the child that it starts; whoever still waits then gets the newest state."""
    create, decided, created = world.runtime.create, asyncio.Event(), []

    async def slow(version, instance_id, *asked):
        created.append(instance_id)
        await decided.wait()
        world.runtime.pending_children[instance_id] = {"x"}
        outcome = await create(version, instance_id, *asked)
        return outcome._replace(due=("x",), live=1, effects=Effects.CHILDREN)

    monkeypatch.setattr(world.runtime, "create", slow)
    creating, other = begin(world), begin(world, name=InstanceName("other"))
    await until(lambda: len(created) == 2)
    draining = asyncio.ensure_future(world.instances.drain(0.2))
    for _ in range(20):
        await asyncio.sleep(0)
    decided.set()
    await until(lambda: len(world.residents) == 2 and all(map(world.runtime.children.get, created)))
    world.runtime.child_answers(created[0], "x")
    assert log_of(await answering(creating)) == ["answer"]
    assert not draining.done()
    await answering(draining)
    assert log_of(await answering(other)) == []


async def test_a_timer_of_what_is_just_being_created(world):
    """The same by number, as timers and recovery find it."""
    creating, told = await stored_and_not_told(world)
    firing = asyncio.ensure_future(world.instances.fire_timer(world.store._ids[KEY], 7, print))
    for _ in range(20):
        await asyncio.sleep(0)
    told.set_result(None)
    await answering(creating)
    assert await answering(firing) is False


async def test_reading_what_is_just_being_deleted(world):
    """An instance that was read while it was deleted is not kept in memory: it is gone, and its name is free."""
    await world.create()
    delete, is_deleting, may_delete = world.store.delete_instance, asyncio.Event(), asyncio.Event()

    async def slow(instance_id):
        is_deleting.set()
        await may_delete.wait()
        await delete(instance_id)

    world.store.delete_instance = slow
    deleting = asyncio.ensure_future(world.instances.delete(CALLER, MACHINE, NAME))
    await is_deleting.wait()
    await asyncio.gather(world.log(), return_exceptions=True)
    may_delete.set()
    await deleting
    with pytest.raises(NotFound):
        await world.log()
    assert log_of(await world.create()) == []


async def test_an_event_to_an_instance_that_was_just_given_up(world):
    """An event posted to what must not be used any more is refused at once; it does not wait for ever."""
    await world.create()
    resident = world.resident()
    find, is_finding, may_find = world.store.find_key, asyncio.Event(), asyncio.Event()

    async def slow(*args, **options):
        is_finding.set()
        await may_find.wait()
        return await find(*args, **options)

    world.store.find_key = slow
    sending = world.sending("a", key="k")
    await is_finding.wait()
    world.turns.void(resident, Overloaded("given up"))
    may_find.set()
    with pytest.raises(Overloaded):
        await answering(sending)


async def test_deleting_while_an_event_is_decided(world):
    """What the host decided for an instance that is deleted meanwhile is discarded there: after it was decided, not before."""
    await world.create()
    world.runtime.gate.clear()
    world.runtime.stepping.clear()
    sending = world.sending("SPAWN", id="x")
    await world.runtime.stepping.wait()
    await world.instances.delete(CALLER, MACHINE, NAME)
    world.runtime.discarded.clear()
    world.runtime.gate.set()
    with pytest.raises(NotFound):
        await answering(sending)
    await until(lambda: world.runtime.discarded)
    assert log_of(await world.create()) == []


async def test_pausing_what_left_memory_meanwhile(world):
    """An instance that was claimed again while its status was written is paused all the same."""
    await world.create()
    write, is_writing, may_write = world.store.set_status, asyncio.Event(), asyncio.Event()

    async def slow(*args):
        is_writing.set()
        await may_write.wait()
        await write(*args)

    world.store.set_status = slow
    pausing = asyncio.ensure_future(set_status(world, InstanceStatus.PAUSED))
    await is_writing.wait()
    world.residents.remove(world.resident())
    await world.log()
    may_write.set()
    await pausing
    assert world.resident().status is InstanceStatus.PAUSED


async def test_children_lost_while_paused_are_told_of_when_resumed(world):
    """An instance whose host died while it was paused does not wait for ever once it goes on."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    await set_status(world, InstanceStatus.PAUSED)
    world.runtime.host_dies()
    await answering(sending)
    await set_status(world, InstanceStatus.RUNNING)
    await until(lambda: len(world.recorder.changes) == 3)
    assert await world.log() == ["SPAWN", "lost.x"]


async def test_more_than_a_mailbox_waits_for_a_paused_instance(world, monkeypatch):
    """Whatever children sent while the instance was paused arrives, also where that is more than callers may have waiting."""
    monkeypatch.setattr("statekeep.application.turns.MAILBOX_LETTERS_MAX", 1)
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    await set_status(world, InstanceStatus.PAUSED)
    for _ in range(3):
        world.runtime.child_answers(world.resident().id, "x")
    await until(lambda: len(world.resident().held) == 3)
    await set_status(world, InstanceStatus.RUNNING)
    await answering(sending)
    await world.logs("SPAWN", "answer", "answer", "answer")


async def test_a_key_repeated_while_it_is_looked_up(world):
    """Whoever repeats a request while its key is looked up gets an answer, also where the first is refused."""
    await world.create()
    await world.send("a", key="k")
    find, is_finding, may_find = world.store.find_key, asyncio.Event(), asyncio.Event()

    async def slow(*args, **options):
        is_finding.set()
        await may_find.wait()
        return await find(*args, **options)

    world.store.find_key = slow
    sent = [world.sending("b", key="k"), world.sending("b", key="k")]
    await is_finding.wait()
    await asyncio.sleep(0)
    may_find.set()
    for sending in sent:
        with pytest.raises(IdempotencyMismatch):
            await answering(sending)


async def test_a_busy_pool_does_not_swallow_the_error_event_of_a_child(world):
    """Where no host can be had for the error event of a lost child, it is delivered when there is one, without anybody asking."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    step, refusals = world.runtime.step, iter([Overloaded("all busy", retry_after_seconds=0)])

    async def busy(*args):
        for error in refusals:
            raise error
        return await step(*args)

    world.runtime.step = busy
    world.runtime.host_dies()
    await answering(sending)
    await until(lambda: len(world.recorder.changes) == 3)
    assert await world.log() == ["SPAWN", "lost.x"]
    assert await world.store.unsettled_instances(after=None, limit=10) == []


async def test_a_machine_that_throws_at_an_error_event_is_not_asked_again(world):
    """A machine that throws when told of a lost child is not told again: that is its own."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    step, failures = world.runtime.step, iter([MachineError("it threw")])

    async def throwing(*args):
        for error in failures:
            raise error
        return await step(*args)

    world.runtime.step = throwing
    world.runtime.host_dies()
    await answering(sending)
    assert log_of(await world.send("a")) == ["SPAWN", "a"]


async def test_a_failed_commit_does_not_leave_an_instance_waiting_for_its_child(world):
    """Children die with what is given up; what is durable and waits for them is told, without anybody asking."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    world.store.is_slow = True
    failing = world.sending("a")
    await until(lambda: world.store.waiting)
    world.store.fail_next = Overloaded("no room on the disk", retry_after_seconds=0)
    world.store.release()
    world.store.fail_next, world.store.is_slow = None, False
    for sent in (sending, failing):
        with pytest.raises(Overloaded):
            await answering(sent)
    async with asyncio.timeout(10):
        while len(world.recorder.changes) < 3:
            await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0.001))])
    assert await world.log() == ["SPAWN", "lost.x"]


async def test_a_child_that_floods_a_paused_instance_is_lost(world, monkeypatch):
    """What children send is bounded too: beyond the bound they are stopped, and the instance hears that they are lost."""
    monkeypatch.setattr("statekeep.application.instances.CHILD_LETTERS_MAX", 3)
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    resident = world.resident()
    await set_status(world, InstanceStatus.PAUSED)
    for _ in range(4):
        world.instances.child_sent(
            resident.id, Event("tick", b'{"type":"tick"}'), 1, ChildrenState(("x",), 1), "x"
        )
    await until(lambda: len(resident.held) == 3)
    assert resident.id in world.runtime.discarded
    world.runtime.children.clear()
    await answering(sending)
    await set_status(world, InstanceStatus.RUNNING)
    await until(lambda: resident.turn is None)
    assert sorted(await world.log()) == ["SPAWN", "lost.x", "tick", "tick", "tick"]
    assert len(world.recorder.logs) == 1

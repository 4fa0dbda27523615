"""Watching instances, on the real engine with the memory store and the toy runtime."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing

import pytest

from statekeep.application.resident import Resident
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import (
    HistoryGone,
    MissingScope,
    NotFound,
    Overloaded,
    RejectedByMachineAuthorizer,
    Unauthenticated,
)
from statekeep.domain.names import InstanceName
from statekeep.domain.retention import JournalCut
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, NAME, ORGANIZATION, STRANGER, World, log_of, until

PATIENCE_SECONDS = 10


@pytest.fixture
async def world():
    return await World(ToyRuntime()).set_up()


def as_caller(caller):
    async def identify():
        return caller

    return identify


async def take(states):
    return await asyncio.wait_for(anext(states), PATIENCE_SECONDS)


def newest(world, caller=CALLER, name=NAME):
    return aclosing(world.watching.newest_states(as_caller(caller), MACHINE, InstanceName(name)))


def everything(world, after=None, caller=CALLER, name=NAME, **options):
    name = InstanceName(name)
    return aclosing(
        world.watching.all_states(as_caller(caller), MACHINE, name, after=after, **options)
    )


async def test_it_begins_with_the_state_as_it_is_and_follows(world):
    """Both kinds of reader."""
    await world.create()
    await world.send("a")
    async with newest(world) as some, everything(world) as every:
        assert log_of(await take(some)) == log_of(await take(every)) == ["a"]
        await world.send("b")
        assert log_of(await take(some)) == log_of(await take(every)) == ["a", "b"]


async def test_a_slow_reader_of_the_newest_misses_what_is_between(world):
    """And holds nothing of it."""
    await world.create()
    async with newest(world) as states:
        await take(states)
        for number in range(50):
            await world.send(f"e{number}")
        assert len(log_of(await take(states))) == 50


async def test_a_slow_reader_of_all_misses_nothing(world):
    """However far behind it is; what it did not take is read from the journal."""
    await world.create()
    async with everything(world) as states:
        await take(states)
        for number in range(250):
            await world.send(f"e{number}")
        seen = [await take(states) for _ in range(250)]
        assert [len(log_of(view)) for view in seen] == list(range(1, 251))
        assert [view.revision for view in seen] == list(range(2, 252))
        assert [view.ts for view in seen] == sorted({view.ts for view in seen})
        await world.send("live")
        assert log_of(await take(states))[-1] == "live"


async def test_a_reader_is_told_of_what_is_not_kept_any_more(world):
    """Where it begins, and where it has fallen so far behind: it never goes on past a gap."""
    await world.create()
    async with everything(world) as states:
        await take(states)
        for number in range(20):
            await world.send(f"e{number}")
        await world.store.cut_journal(world.resident().id, JournalCut(15, 0.0))
        with pytest.raises(HistoryGone):
            await take(states)
    async with everything(world, after=14) as states:
        with pytest.raises(HistoryGone, match="since 15"):
            await take(states)
    async with everything(world, after=15) as states:
        assert [(await take(states)).revision for _ in range(6)] == list(range(16, 22))
    async with everything(world) as states:
        assert (await take(states)).revision == 21


async def test_a_reader_that_comes_back_goes_on_where_it_was(world):
    """With the revision it has seen; nothing comes where nothing happened."""
    await world.create()
    for number in range(5):
        await world.send(f"e{number}")
    async with everything(world, after=3) as states:
        assert [(await take(states)).revision for _ in range(3)] == [4, 5, 6]
        pending = asyncio.ensure_future(anext(states))
        await asyncio.sleep(0)
        await world.send("live")
        assert (await pending).revision == 7


async def test_a_revision_that_never_was_begins_anew(world):
    """As when an instance was deleted and made again."""
    await world.create()
    async with everything(world, after=10**9) as states:
        assert (await take(states)).revision == 1


async def test_a_quiet_stream_has_a_pulse(world):
    """None stands for nothing new."""
    await world.create()
    async with everything(world, pulse_seconds=0.001) as states:
        await take(states)
        assert await take(states) is None
        await world.send("a")
        while (view := await take(states)) is None:
            pass
        assert log_of(view) == ["a"]


async def test_only_readers_who_may_see_it(world):
    """And nobody learns more of an instance than that they may not."""
    await world.create()
    async with newest(world, STRANGER) as states:
        with pytest.raises(RejectedByMachineAuthorizer):
            await take(states)
    async with newest(world, AuthContext(ORGANIZATION, None, frozenset(), b"{}")) as states:
        with pytest.raises(MissingScope):
            await take(states)
    async with newest(world, name="nowhere") as states:
        with pytest.raises(NotFound):
            await take(states)


async def test_the_machine_is_asked_once_for_all_who_want_to_know(world):
    """One question about each auth context for each state, whoever else watches."""
    await world.create()
    questions = []
    read = world.runtime.read

    async def counting(version, standing, auths):
        questions.append(sorted(auths))
        return await read(version, standing, auths)

    world.runtime.read = counting
    readers = [newest(world) for _ in range(10)]
    others = [newest(world, STRANGER) for _ in range(10)]
    opened = [await reader.__aenter__() for reader in readers + others]
    results = await asyncio.gather(*map(take, opened), return_exceptions=True)
    assert questions == [[CALLER.claims, STRANGER.claims]]
    assert len({id(view) for view in results[:10]}) == 1
    assert all(isinstance(error, RejectedByMachineAuthorizer) for error in results[10:])
    questions.clear()
    following = [asyncio.ensure_future(take(states)) for states in opened[:10]]
    await asyncio.sleep(0)
    await world.send("a")
    await asyncio.gather(*following)
    assert questions == [[CALLER.claims]]
    for reader in readers + others:
        await reader.__aexit__(None, None, None)


async def test_a_caller_whose_token_is_worth_nothing_any_more_sees_nothing_more(world):
    """It is looked at before each state."""
    await world.create()
    is_good = True

    async def identify():
        if not is_good:
            raise Unauthenticated("there is no such key")
        return CALLER

    async with aclosing(world.watching.newest_states(identify, MACHINE, NAME)) as states:
        await take(states)
        is_good = False
        await world.send("a")
        with pytest.raises(Unauthenticated):
            await take(states)


async def test_a_deletion_ends_it(world):
    """Also for who is waiting."""
    await world.create()
    async with newest(world) as some, everything(world) as every:
        await asyncio.gather(take(some), take(every))
        waiting = [asyncio.ensure_future(take(states)) for states in (some, every)]
        await asyncio.sleep(0)
        await world.instances.delete(CALLER, MACHINE, NAME)
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in errors] == [NotFound, NotFound]


async def test_a_server_that_shuts_down_ends_it(world):
    """And lets nobody begin."""
    await world.create()
    async with newest(world) as states:
        await take(states)
        waiting = asyncio.ensure_future(take(states))
        await asyncio.sleep(0)
        world.watching.close()
        with pytest.raises(Overloaded):
            await waiting
    async with newest(world) as states:
        with pytest.raises(Overloaded):
            await take(states)


async def test_nothing_is_seen_before_it_is_durable(world):
    """A state whose commit is under way is nobody's to see."""
    await world.create()
    async with newest(world) as states:
        await take(states)
        world.store.is_slow = True
        sending = world.sending("a")
        waiting = asyncio.ensure_future(take(states))
        await until(lambda: world.store.waiting)
        assert not waiting.done()
        world.store.release()
        assert log_of(await waiting) == ["a"]
        await sending


async def test_nothing_is_left_when_everybody_left(world):
    """Not even of who left while waiting."""
    await world.create()
    for _ in range(3):
        states = world.watching.newest_states(as_caller(CALLER), MACHINE, NAME)
        await take(states)
        waiting = asyncio.ensure_future(anext(states))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await states.aclose()
    assert world.watching._channels == {}
    assert world.watching._questions == {}


async def test_a_reader_that_missed_nothing_hears_at_once(world):
    """What answers it can begin its answer, long before there is anything to tell."""
    await world.create()
    async with everything(world, after=1, pulse_seconds=1_000_000) as states:
        assert await take(states) is None
        pending = asyncio.ensure_future(take(states))
        await asyncio.sleep(0)
        assert not pending.done()
        await world.send("a")
        assert (await pending).revision == 2


async def test_a_reader_that_missed_nothing_has_to_be_one_who_may_read(world):
    """Or the moment at which something happens would tell it that much."""
    await world.create()
    async with everything(world, after=1, caller=STRANGER) as states:
        with pytest.raises(RejectedByMachineAuthorizer):
            await take(states)


async def test_an_instance_that_is_deleted_while_a_reader_begins(world):
    """It learns that, though it heard of no deletion."""
    await world.create()
    require = world.residents.require

    async def too_late(key):
        world.residents.require = require
        resident = await require(key)
        await world.instances.delete(CALLER, MACHINE, NAME)
        return resident

    async with everything(world, after=1) as states:
        world.residents.require = too_late
        with pytest.raises(NotFound):
            await take(states)


async def test_a_state_that_becomes_durable_after_its_instance_was_given_up_is_seen(world):
    """It stands, so whoever watches hears of it."""
    await world.create()
    async with newest(world) as some, everything(world) as every:
        await asyncio.gather(take(some), take(every))
        waiting = [asyncio.ensure_future(take(states)) for states in (some, every)]
        await asyncio.sleep(0)
        world.store.is_slow = True
        sending = world.sending("a")
        await until(lambda: world.store.waiting)
        world.turns.void(world.resident(), Overloaded("something went wrong"))
        world.store.is_slow = False
        world.store.release()
        assert [log_of(view) for view in await asyncio.gather(*waiting)] == [["a"], ["a"]]
        with pytest.raises(Overloaded):
            await sending


async def test_a_crowd_that_missed_the_same_reads_the_journal_once(world):
    """And one of it that leaves meanwhile takes nothing from the others, who go on live."""
    await world.create()
    journal, readings = world.watching._journals.portions_after, []

    def counting(*about):
        readings.append(about[1])
        return journal(*about)

    world.watching._journals.portions_after = counting
    readers = [everything(world) for _ in range(10)]
    opened = [await reader.__aenter__() for reader in readers]
    await asyncio.gather(*map(take, opened))
    for number in range(5):
        await world.send(f"e{number}")
    taking = [asyncio.ensure_future(take(states)) for states in opened]
    await asyncio.sleep(0)
    taking[0].cancel()
    await asyncio.wait(taking)
    for states, first in zip(opened[1:], taking[1:], strict=True):
        rest = [await take(states) for _ in range(4)]
        assert [view.revision for view in (first.result(), *rest)] == [2, 3, 4, 5, 6]
    assert readings == [1]
    await world.send("live")
    assert {(await take(states)).revision for states in opened[1:]} == {7}
    assert world.watching._journals._reading == {}
    for reader in readers:
        await reader.__aexit__(None, None, None)


async def test_a_portion_that_was_read_for_others_too_early(world):
    """What it lacks is read on."""
    await world.create()
    await world.send("a")
    await world.send("b")
    journals = world.watching._journals
    early = await journals.first_portion_after(world.resident().id, 1)
    await world.send("c")

    async def stale(*_):
        return early

    journals.first_portion_after = stale
    async with everything(world, after=1) as states:
        assert [(await take(states)).revision for _ in range(3)] == [2, 3, 4]


async def test_what_is_watched_leaves_memory_like_all_else():
    """Readers that wait hold no instance of theirs: however many, the bound of what is resident holds."""
    world = await World(ToyRuntime(), residents_max=2).set_up()
    names = [InstanceName(f"watched{n}") for n in range(10)]
    for name in names:
        await world.create(name)

    readers = [newest(world, name=name) for name in names]
    readers += [everything(world, name=name) for name in names]
    shown = set()

    async def follow(number):
        async with readers[number] as states:
            async for _ in states:
                shown.add(number)

    following = [asyncio.ensure_future(follow(number)) for number in range(len(readers))]
    await until(lambda: len(shown) == len(readers))
    await until(lambda: len(world.residents) == 2)
    gc.collect()
    watched = [it for it in gc.get_objects() if isinstance(it, Resident) and it.key.name in names]
    assert len(watched) <= 2
    for task in following:
        task.cancel()

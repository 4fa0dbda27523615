"""What is kept in memory, and what may leave."""

import asyncio

import pytest

from tests.support.toy_runtime import ToyRuntime
from tests.support.world import World, log_of, until


@pytest.fixture
async def world():
    return await World(ToyRuntime(), residents_max=3).set_up()


async def test_the_least_recently_used_leave(world):
    """Beyond the bound those leave that were not used for longest, and come back from the store unchanged."""
    for name in "abc":
        await world.create(name)
    await world.send("x", name="a")
    await world.create("d")
    assert len(world.residents) == 3
    assert world.resident("b") is None
    assert world.resident("a") is not None
    assert log_of(await world.send("y", name="b")) == ["y"]


async def test_an_instance_with_children_stays(world):
    """An instance that something is under way for does not leave."""
    await world.create("a")
    sending = world.sending("SPAWN", name="a", id="x")
    await until(lambda: world.resident("a").wake)
    for name in "bcdef":
        await world.create(name)
    assert world.resident("a") is not None
    world.runtime.child_answers(world.resident("a").id, "x")
    assert log_of(await sending) == ["SPAWN", "answer"]


async def test_one_instance_is_resident_once(world):
    """Many who ask at once for an instance that is not in memory get the same one."""
    await world.create("a")
    key = world.resident("a").key
    other = world.restarted(ToyRuntime())
    found = await asyncio.gather(*[other.residents.find(key) for _ in range(5)])
    by_id = await other.residents.find_by_id(found[0].id)
    assert {id(resident) for resident in [*found, by_id]} == {id(found[0])}


async def test_weight_counts_too():
    """Large instances leave before there are many of them."""
    world = await World(ToyRuntime()).set_up()
    world.residents._bytes_max = 100_000
    for name in "abcdef":
        await world.create(name, filling="x" * 20_000)
    assert len(world.residents) < 4
    assert world.resident("f") is not None


async def test_instances_that_grow_count_too():
    """What an instance weighs is what it weighs now, not when it came."""
    world = await World(ToyRuntime()).set_up()
    world.residents._bytes_max = 100_000
    for name in "abcdef":
        await world.create(name)
    for name in "abcdef":
        await world.send("x" * 20_000, name=name)
    assert len(world.residents) < 5
    assert world.resident("f") is not None
    assert log_of(await world.send("y", name="a"))[1:] == ["y"]


async def test_a_crowd_that_cannot_leave_keeps_nobody_else_in(world):
    """Instances that have to stay do not keep others in memory, however long they were not used."""
    for n in range(20):
        await world.create(f"busy{n}")
        world.resident(f"busy{n}").live = 1
    for n in range(40):
        await world.create(f"idle{n}")
    assert len(world.residents) < 30

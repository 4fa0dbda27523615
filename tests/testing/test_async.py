"""Worlds for coroutines have all that those for functions have."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from statekeep.testing import RejectedByMachineAuthorizer, asynchronous, blocking


async def test_a_coroutine_tests_a_machine_as_a_function_does(async_machine):
    doors = await async_machine("machines/door.js")
    door = await doors.start(as_={"sub": "ada"})
    await door.send("open")
    assert door.state == "open"
    await door.send("close")
    await door.advance(days=1)
    assert door.state == "locked"
    await door.assert_may_read({"sub": "ada"})
    with pytest.raises(AssertionError, match="may not read"):
        await door.assert_may_read({"sub": "bob"})
    with pytest.raises(RejectedByMachineAuthorizer):
        await doors.start()


async def test_the_test_s_own_event_loop_goes_on_meanwhile(async_world, async_machine):
    door = await (await async_machine("machines/door.js")).start(as_={"sub": "ada"})
    went_on = asyncio.Event()
    asyncio.get_running_loop().call_soon(went_on.set)
    await door.send("open")
    assert went_on.is_set()
    assert async_world.instances[0].state == "open"


async def test_events_that_are_sent_at_once_happen_one_after_the_other(async_machine):
    door = await (await async_machine("machines/door.js")).start(as_={"sub": "ada"})
    await asyncio.gather(*[door.send(event) for event in ("open", "close") * 5])
    assert door.public_context == {"opened": 5}


@pytest.mark.parametrize("name", ["World", "Machine", "Instance"])
def test_both_shells_are_the_same_name_for_name(name):
    plain, coroutine = getattr(blocking, name), getattr(asynchronous, f"Async{name}")
    ours = {it for it in vars(plain) if not it.startswith("_")}
    assert {it for it in vars(coroutine) if not it.startswith("_")} == ours
    for method in ours:
        one, other = getattr(plain, method), getattr(coroutine, method)
        if callable(one):
            assert _parameters(one) == _parameters(other), method
        assert one.__doc__.replace("World", "") == other.__doc__.replace("AsyncWorld", ""), method


def _parameters(method):
    return [(it.name, it.kind, it.default) for it in inspect.signature(method).parameters.values()]

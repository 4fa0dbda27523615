"""Virtual time: nothing waits, and everything is due when it is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from statekeep.testing import NeverAtRest, World

TICKING = """
import { assign, createMachine, raise } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  context: { ticks: 0 }, initial: "running",
  on: { ring: { actions: raise({ type: "rung" }, { delay: 5000 }) }, rung: {} },
  states: { running: {
    after: { 1000: { target: "running", reenter: true, actions: assign({ ticks: ({ context }) => context.ticks + 1 }) } },
    on: { stop: "stopped" },
  }, stopped: {} },
});
"""


@pytest.fixture
def clock(world):
    """Ticks each second."""
    return world.machine(code=TICKING, name="clock").start()


def test_two_years_pass_at_once_and_timers_fire_in_order(machine):
    door = machine("machines/door.js").start(as_={"sub": "ada"})
    door.advance(days=730)
    assert [(it.label, it.at) for it in door.transitions] == [
        ("start", datetime(2026, 1, 1, tzinfo=UTC)),
        ("after 1d", datetime(2026, 1, 2, tzinfo=UTC)),
    ]
    assert door.world.now == datetime(2028, 1, 1, tzinfo=UTC)


def test_timers_that_follow_each_other_each_fire_at_their_time(clock):
    clock.advance(seconds=10)
    assert clock.context == {"ticks": 10}
    assert [it.at.second for it in clock.transitions] == list(range(11))


def test_nothing_fires_before_it_is_due(clock):
    clock.advance(milliseconds=999)
    assert clock.context["ticks"] == 0
    clock.advance(timedelta(milliseconds=1))
    assert clock.context["ticks"] == 1


def test_pending_timers_are_told_the_next_one_first(clock):
    clock.send("ring").advance(milliseconds=250)
    assert [(timer.label, timer.due_in) for timer in clock.timers] == [
        ("after 1s", timedelta(milliseconds=750)),
        ("rung", timedelta(milliseconds=4750)),
    ]
    assert clock.timers[0].due_at == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert clock.send("stop").timers[0].label == "rung"


def test_timers_of_several_instances_fire_in_the_order_in_which_they_are_due(world):
    clocks = world.machine(code=TICKING, name="clock")
    first = clocks.start()
    world.advance(milliseconds=500)
    second = clocks.start()
    world.advance(seconds=2)
    times = sorted((it.at, each.name) for each in (first, second) for it in each.transitions)
    assert [name for _, name in times] == [
        "clock-1",
        "clock-2",
        "clock-1",
        "clock-2",
        "clock-1",
        "clock-2",
    ]


def test_one_can_go_from_timer_to_timer(clock):
    clock.world.advance_to_next_timer()
    clock.world.advance_to_next_timer()
    assert clock.context["ticks"] == 2
    clock.send("stop")
    with pytest.raises(LookupError, match="no timer is pending"):
        clock.world.advance_to_next_timer()


def test_one_can_go_to_a_time(clock):
    clock.world.advance_to(datetime(2026, 1, 1, 0, 1, tzinfo=UTC))
    assert clock.context["ticks"] == 60
    with pytest.raises(ValueError, match="time does not go back"):
        clock.world.advance_to(datetime(2025, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="needs a time zone"):
        clock.world.advance_to(datetime(2027, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(seconds=-1)


def test_an_advance_past_too_many_timers_is_stopped_and_says_which(clock):
    with pytest.raises(
        NeverAtRest, match=r"100 timers .* by 2026-01-01 00:01:40.*\n  clock clock-1"
    ):
        clock.advance(days=1, timers_max=100)
    clock.advance(seconds=200, timers_max=200)
    assert clock.context["ticks"] == 300


def test_a_timer_that_fails_is_tried_again_and_given_up_as_on_a_server(world):
    code = TICKING.replace("context.ticks + 1", "context.ticks.no.such")
    broken = world.machine(code=code, name="broken").start()
    broken.advance(minutes=10)
    assert broken.context["ticks"] == 0
    assert broken.timers == ()
    assert "was given up and is a dead letter now" in broken.log[-1].text
    assert sum("xstate.after" in line.text or "(timer)" in line.text for line in broken.log) == 5


def test_a_world_begins_when_it_is_told_to():
    with World(now=datetime(1999, 12, 31, tzinfo=UTC)) as world:
        assert world.now == datetime(1999, 12, 31, tzinfo=UTC)
    with pytest.raises(ValueError, match="needs a time zone"):
        World(now=datetime(1999, 12, 31))  # noqa: DTZ001

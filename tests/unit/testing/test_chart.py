"""What is read from a machine's outline."""

from __future__ import annotations

import json

import pytest

from statekeep.testing.chart import Chart

STAY = {"path": ["a"], "type": "atomic"}


def on(event, **more):
    """A transition to "b"."""
    return {"event": event, "targets": [["b"]], **more}


def chart_of(root, *states) -> Chart:
    """Of a machine with these transitions in its root, whose initial state is "a"."""
    top = {"path": [], "type": "compound", "initial": "a", "transitions": root}
    end = {"path": ["b"], "type": "atomic", "transitions": [on("back")]}
    return Chart(json.dumps({"major": 5, "states": [top, *states, end]}).encode())


@pytest.mark.parametrize(
    ("of_root", "of_a", "first"),
    [
        ([], [on("go"), on("leave")], "go"),
        ([on("reset")], [on("go")], "go"),
        ([on("reset")], [], "reset"),
        ([], [on("go", guard="isPaid"), on("leave")], "leave"),
        ([], [{"event": "look"}, on("go")], "go"),
        ([on("reset")], [on("go", guard=True)], "reset"),
        ([], [on("go", guard=True)], "go"),
        ([], [{"event": "look", "guard": "isLight"}, on("go", guard=True)], "look"),
        ([], [on("*"), on("order.*"), on(""), on("xstate.after.1000.m.a")], None),
        ([], [], None),
    ],
)
def test_the_first_event_is_one_that_a_new_instance_waits_for(of_root, of_a, first):
    """Preferably one that takes it elsewhere, whatever its context; no pattern, and nothing that callers cannot send."""
    assert chart_of(of_root, STAY | {"transitions": of_a}).first_event == first


def test_the_first_event_may_be_of_a_state_far_inside():
    """Of all regions of a parallel state, in document order."""
    regions = [
        {"path": ["a"], "type": "parallel", "transitions": [on("outer")]},
        {"path": ["a", "lamp"], "type": "compound", "initial": "off"},
        {"path": ["a", "lamp", "on"], "type": "atomic", "transitions": [on("darken")]},
        {"path": ["a", "lamp", "off"], "type": "atomic", "transitions": [on("light")]},
        {"path": ["a", "fan"], "type": "compound", "initial": "still"},
        {"path": ["a", "fan", "still"], "type": "atomic", "transitions": [on("turn")]},
    ]
    assert chart_of([], *regions).first_event == "light"

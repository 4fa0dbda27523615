"""Several machines in one world: what they send each other, and persistent children."""

from __future__ import annotations

from datetime import timedelta

import pytest

from statekeep.testing import Sent


@pytest.fixture
def parent(machine):
    """It and a neighbour, of a machine that it sends to."""
    machine("machines/child.js").start("neighbour")
    return machine("machines/parent.js").start()


def test_what_is_sent_has_arrived_when_the_event_is_answered(parent):
    parent.send("greet")
    assert parent.sent == (Sent("child", "neighbour", {"type": "hello"}),)
    assert parent.world.instance("child", "neighbour").context["heard"] == 1


def test_what_is_sent_with_a_delay_arrives_when_it_is_due(parent):
    neighbour = parent.world.instance("child", "neighbour")
    parent.send("remind")
    assert [each.delay for each in parent.sent] == [timedelta(minutes=1)]
    parent.advance(seconds=59)
    assert neighbour.context["heard"] == 0
    parent.advance(seconds=1)
    assert neighbour.context["heard"] == 1


def test_a_persistent_child_is_made_and_its_end_is_heard(parent):
    parent.send("hire")
    assert parent.sent == (Sent("child", "helper", {"task": "sweep"}, kind="spawn"),)
    helper = parent.children["helper"]
    assert (helper.state, helper.context["task"]) == ("busy", "sweep")
    parent.advance(hours=1)
    assert (helper.done, helper.output) == (True, {"done": "sweep"})
    assert [each.kind for each in helper.sent] == ["done"]
    assert parent.state == "idle"
    assert parent.transitions[-1].label == "helper done"


def test_what_is_sent_to_a_machine_of_another_world_is_noted_and_goes_nowhere(parent):
    parent.send("write")
    assert parent.sent == (Sent("nowhere", "nobody", {"type": "hello", "loud": True}),)
    parent.advance(hours=1)
    assert parent.log == ()


def test_what_is_sent_to_nobody_is_given_up_as_on_a_server(machine):
    machine("machines/child.js")
    parent = machine("machines/parent.js").start()
    parent.send("greet").advance(minutes=5)
    assert "an event to child/neighbour was given up" in parent.log[-1].text

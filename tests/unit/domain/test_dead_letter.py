"""Names and bounds of dead letters."""

from __future__ import annotations

import pytest

from statekeep.domain import dead_letter
from statekeep.domain.dead_letter import LetterId, one_too_many, revived
from statekeep.domain.message import Address, Message
from statekeep.domain.names import InstanceId, InstanceName, MachineName
from tests.support.builders import a_timer

MESSAGE = Message(Address(MachineName("m"), InstanceName("i")))


@pytest.mark.parametrize("pair", [(0, 0), (1, 2), (2**63, 2**40)])
def test_an_id_comes_back(pair):
    """And fits into a path."""
    letter_id = LetterId(InstanceId(pair[0]), pair[1])
    assert LetterId.parse(letter_id.text) == letter_id
    assert set(letter_id.text) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    )


@pytest.mark.parametrize("text", ["", "x", "retry", "ä", "A" * 21, "A" * 23, "A" * 1000, "a=b"])
def test_what_is_no_id_is_none(text):
    """Without an error of its own."""
    assert LetterId.parse(text) is None


def test_a_revived_letter_has_everything_before_it():
    """Also one that died because too many messages had led to it."""
    dead = a_timer(3)._replace(tries=5, is_dead=True, failure="no", hops=1_001)
    assert revived(dead, 7.5) == a_timer(3, due_at=7.5)
    message = dead._replace(message=MESSAGE)
    assert revived(message, 7.5) == a_timer(3, due_at=7.5)._replace(message=MESSAGE, hops=1)


def test_the_oldest_is_one_too_many(monkeypatch):
    """Of the dead ones, once there are more than may be kept."""
    monkeypatch.setattr(dead_letter, "DEAD_LETTERS_PER_INSTANCE_MAX", 2)
    timers = {seq: a_timer(seq)._replace(is_dead=seq > 1) for seq in range(4)}
    assert one_too_many(timers) is None
    timers[9] = a_timer(9)._replace(is_dead=True)
    assert one_too_many(timers) == timers[2]

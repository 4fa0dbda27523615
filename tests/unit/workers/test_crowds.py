"""What is due of an organization: in order, in turns, and bounded."""

from __future__ import annotations

from statekeep.domain.names import InstanceId
from statekeep.workers import crowds
from statekeep.workers.crowds import Crowd

ONE, TWO = InstanceId(1), InstanceId(2)


def taken(crowd):
    """All that may go now."""
    return list(iter(crowd.take, None))


def test_instances_take_turns():
    """Each in its own order, and nothing twice."""
    crowd = Crowd()
    for seq in (0, 1, 2, 1):
        crowd.add(ONE, seq)
    crowd.add(TWO, 7)
    assert taken(crowd) == [(ONE, 0), (TWO, 7), (ONE, 1), (ONE, 2)]


def test_an_instance_has_only_so_much_under_way(monkeypatch):
    """Others go on meanwhile, and it goes on where something was handled."""
    monkeypatch.setattr(crowds, "FIRING_PER_INSTANCE_MAX", 2)
    crowd = Crowd()
    for seq in range(4):
        crowd.add(ONE, seq)
    assert taken(crowd) == [(ONE, 0), (ONE, 1)]
    crowd.add(TWO, 0)
    assert taken(crowd) == [(TWO, 0)]
    crowd.handled(ONE, 0)
    crowd.handled(ONE, 1)
    assert taken(crowd) == [(ONE, 2), (ONE, 3)]
    assert not crowd.is_empty
    for due in ((ONE, 2), (ONE, 3), (TWO, 0)):
        crowd.handled(*due)
    assert crowd.is_empty


def test_an_organization_has_only_so_much_under_way(monkeypatch):
    """Whatever the number of its instances."""
    monkeypatch.setattr(crowds, "FIRING_MAX", 3)
    crowd = Crowd()
    for number in range(5):
        crowd.add(InstanceId(number), 0)
    assert len(taken(crowd)) == 3
    crowd.handled(InstanceId(0), 0)
    assert len(taken(crowd)) == 1


def test_what_is_under_way_does_not_wait_as_well():
    """Nor once more when it is handled, unless it is due again."""
    crowd = Crowd()
    crowd.add(ONE, 0)
    assert taken(crowd) == [(ONE, 0)]
    assert crowd.add(ONE, 0)
    assert taken(crowd) == []
    crowd.handled(ONE, 0)
    assert crowd.is_empty
    crowd.add(ONE, 0)
    assert taken(crowd) == [(ONE, 0)]


def test_a_crowd_catches_up_when_half_of_its_room_is_free(monkeypatch):
    """What is turned away makes it fall behind."""
    monkeypatch.setattr(crowds, "WAITING_MAX", 4)
    crowd = Crowd()
    assert [crowd.add(ONE, seq) for seq in range(5)] == [True, True, True, True, False]
    crowd.turn_away((1.0, ONE, 4))
    could = []
    while crowd.take() is not None:
        could.append(crowd.may_catch_up)
    assert could == [False, True, True, True]
    assert not crowd.is_empty

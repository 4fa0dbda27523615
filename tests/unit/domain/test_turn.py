"""From accepted events to one commit."""

import pytest

from statekeep.domain import timer as timer_module
from statekeep.domain.errors import MachineError
from statekeep.domain.event import Delivery, Event, Origin, Receipt
from statekeep.domain.message import Address, Message
from statekeep.domain.names import InstanceId, InstanceName, MachineName
from statekeep.domain.step import Effects, Macrostep, Stepped
from statekeep.domain.timer import CancelTimer, SetTimer, Timer
from statekeep.domain.turn import CommitDraft, lost_child_delivery

GO = Delivery(Event("go", b'{"type":"go"}'), Origin.CLIENT, b"{}")

MESSAGE = Message(Address(MachineName("toy"), InstanceName("two")))


def draft(*, revision=3, ts=100.0, timers=(), next_timer_seq=7):
    return CommitDraft(
        InstanceId(1),
        revision=revision,
        ts=ts,
        timers={timer.seq: timer for timer in timers},
        next_timer_seq=next_timer_seq,
    )


def stepped(*snapshots, ops=(), **fields):
    steps = tuple(Macrostep(None, snapshot, b'{"v":1}') for snapshot in snapshots)
    return Stepped(steps, tuple(ops), **fields)


def test_revisions_follow_each_other():
    """Every macrostep of every event gets the next revision, on top of where the draft began."""
    d = draft()
    d.add(GO, stepped(b"1", b"2"), now_ms=200)
    d.add(GO, stepped(b"3"), now_ms=200)
    commit = d.commit()
    assert commit.base_revision == 3
    assert [(e.revision, e.snapshot) for e in commit.entries] == [(4, b"1"), (5, b"2"), (6, b"3")]


def test_ts_grows_strictly():
    """Time stamps grow strictly even where the clock stands still or goes back."""
    d = draft(ts=100.0)
    d.add(GO, stepped(b"1", b"2"), now_ms=100.0)
    d.add(GO, stepped(b"3"), now_ms=50.0)
    stamps = [100.0, *(entry.ts for entry in d.commit().entries)]
    assert stamps == sorted(set(stamps))


def test_self_sent_events_are_recorded_as_such():
    """The first macrostep is the delivered event's; folded ones carry their own and are the machine's."""
    d = draft()
    own = Macrostep(b'{"type":"own"}', b"2", b"{}")
    d.add(GO, Stepped((Macrostep(None, b"1", b"{}"), own)), now_ms=200)
    assert [(e.origin, e.event) for e in d.commit().entries] == [
        (Origin.CLIENT, b'{"type":"go"}'),
        (Origin.SELF, b'{"type":"own"}'),
    ]


def test_a_silent_macrostep_is_housekeeping():
    """A change that is no transition is recorded as housekeeping and told to nobody."""
    d = draft()
    d.add(GO, Stepped((Macrostep(None, b"1", b"{}", is_silent=True),)), now_ms=200)
    assert d.commit().entries[0].origin is Origin.HOUSEKEEPING
    assert d.is_silent


def test_the_event_of_a_lost_child_comes_from_the_host():
    """The journal shows the error event that the host made, with its origin."""
    d = draft()
    event = b'{"type":"xstate.error.actor.x"}'
    lost = lost_child_delivery("x", "why", xstate_major=5)
    d.add(lost, Stepped((Macrostep(event, b"1", b"{}"),)), now_ms=200)
    entry = d.commit().entries[0]
    assert (entry.origin, entry.event) == (Origin.LOST_CHILD, event)


def test_a_fired_timer_leaves_in_the_same_commit():
    """The timer that is delivered is removed with what it caused, and an id it cancels is another one."""
    timers = [Timer(1, "a", 0, b"{}"), Timer(2, "a", 0, b"{}")]
    d = draft(timers=timers)
    fired = Delivery(Event("", b"{}"), Origin.TIMER, timer_seq=2)
    d.add(fired, stepped(b"1", ops=[CancelTimer("a"), SetTimer("b", 5, b"{}", None)]), now_ms=200)
    changes = d.commit().timers
    assert changes.removed == (2, 1)
    assert [timer.seq for timer in changes.set] == [7]
    assert d.next_timer_seq == 8


def test_a_timer_set_and_gone_within_a_draft_is_not_written():
    """What a later event of the same commit cancels never reaches the store, and its number is not used again."""
    d = draft()
    d.add(GO, stepped(b"1", ops=[SetTimer("a", 5, b"{}", None)]), now_ms=200)
    d.add(GO, stepped(b"2", ops=[CancelTimer("a"), SetTimer("a", 5, b"{}", None)]), now_ms=200)
    changes = d.commit().timers
    assert (changes.removed, [timer.seq for timer in changes.set]) == ((), [8])


def test_a_finished_machine_has_no_timers():
    """Reaching the final state cancels all timers, those it had and those it just set."""
    d = draft(timers=[Timer(1, "a", 0, b"{}")])
    step = stepped(b"1", ops=[SetTimer("b", 5, b"{}", None)], is_done=True)
    d.add(GO, step, now_ms=200)
    assert d.commit().timers == ((), (1,))
    assert dict(d.timers) == {}


def test_what_a_finished_machine_has_sent_arrives():
    """Messages that are on their way, and those of its last step; not those that were to be sent later."""
    on_its_way = Timer(1, "a", 200, b"{}", message=MESSAGE)
    again = Timer(2, "b", 900, b"{}", tries=1, message=MESSAGE)
    later = Timer(3, "c", 900, b"{}", message=MESSAGE)
    d = draft(timers=[on_its_way, again, later])
    ops = [SetTimer("", 0, b"{}", message=MESSAGE), SetTimer("", 9, b"{}", message=MESSAGE)]
    d.add(GO, stepped(b"1", ops=ops, is_done=True), now_ms=200)
    changes = d.commit().timers
    assert ([timer.seq for timer in changes.set], changes.removed) == ([7], (3,))


def test_a_message_is_received_with_what_it_caused():
    """The commit that applies it takes it away from its sender."""
    d = draft()
    receipt = Receipt(InstanceId(9), 4)
    d.add(Delivery(GO.event, Origin.MESSAGE, receipt=receipt), stepped(b"1"), now_ms=200)
    assert d.commit().received == (receipt,)


def test_hops_are_inherited_until_something_happens_outside():
    """A message counts one more than the event that sent it; so do those of events that came of that one. What waits for a second begins anew."""
    d = draft()
    tell = [SetTimer("", 0, b"{}", message=MESSAGE), SetTimer("", 10, b"{}")]
    late = [SetTimer("", 1000, b"{}", message=MESSAGE), SetTimer("", 1000, b"{}")]
    d.add(Delivery(GO.event, Origin.MESSAGE, hops=4), stepped(b"1", ops=tell), now_ms=200)
    d.add(Delivery(GO.event, Origin.CHILD), stepped(b"2", ops=[*tell, *late]), now_ms=200)
    d.add(GO, stepped(b"3", ops=tell), now_ms=200)
    hops = [timer.hops for timer in d.commit().timers.set]
    assert hops == [5, 4, 5, 4, 1, 0, 1, 0]
    assert d.hops == 0


def test_a_refused_event_leaves_the_draft_alone(monkeypatch):
    """An event over a bound raises, and what was accepted before it can still be committed."""
    monkeypatch.setattr(timer_module, "TIMERS_PER_INSTANCE_MAX", 1)
    d = draft()
    d.add(GO, stepped(b"1", ops=[SetTimer("a", 5, b"{}", None)], due=("x",)), now_ms=200)
    before = d.commit()
    with pytest.raises(MachineError):
        d.add(GO, stepped(b"2", ops=[SetTimer("b", 5, b"{}", None)]), now_ms=200)
    assert d.commit() == before


def test_children_are_those_of_the_last_event_and_effects_the_strongest():
    """What settling waits for is what the last step says; effects of any step have to be performed."""
    d = draft()
    d.add(GO, stepped(b"1", due=("x",), live=1, effects=Effects.CHILDREN), now_ms=200)
    d.add(GO, stepped(b"2", due=(), live=1, effects=Effects.ACTIONS), now_ms=200)
    assert (d.due, d.live, d.effects) == ((), 1, Effects.CHILDREN)

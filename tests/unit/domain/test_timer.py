"""Setting and cancelling timers."""

import pytest

from statekeep.domain import timer as timer_module
from statekeep.domain.errors import MachineError
from statekeep.domain.message import Address, Message
from statekeep.domain.names import InstanceName, MachineName
from statekeep.domain.timer import CancelTimer, SetTimer, Timer, apply_timer_ops

MESSAGE = Message(Address(MachineName("toy"), InstanceName("two")))


def setting(send_id, delay_ms=10.0):
    return SetTimer(send_id, delay_ms, b'{"type":"go"}', None)


def apply(pending, *ops, next_seq=10):
    return apply_timer_ops({t.seq: t for t in pending}, ops, next_seq=next_seq, now_ms=1000.0)


def pending(seq, send_id, **fields):
    return Timer(seq, send_id, 5.0, b"{}", **fields)


def test_a_timer_is_due_its_delay_from_now():
    """A timer is due its delay after the macrostep that set it, under the next number."""
    changes = apply([], setting("a", 250.5))
    assert changes.set == (Timer(10, "a", 1250.5, b'{"type":"go"}'),)
    assert changes.removed == ()


def test_a_message_that_is_out_cannot_be_cancelled():
    """What was sent at once, is due or was tried before is on its way to another instance."""
    due = Timer(1, "a", 1000.0, b"{}", message=MESSAGE)
    tried = Timer(2, "a", 9000.0, b"{}", tries=1, message=MESSAGE)
    later = Timer(3, "a", 9000.0, b"{}", message=MESSAGE)
    at_once = SetTimer("a", 0, b"{}", message=MESSAGE)
    changes = apply([later, due, tried], at_once, CancelTimer("a"), CancelTimer("a"))
    assert ([timer.seq for timer in changes.set], changes.removed) == ([10], (3,))


def test_two_with_one_id_both_stay():
    """A second timer does not replace the first of its name: XState fires both."""
    changes = apply([], setting("a"), setting("a"))
    assert [timer.seq for timer in changes.set] == [10, 11]


def test_cancel_takes_the_newest_pending():
    """Of several timers of one id a cancel takes the one set last."""
    assert apply([pending(1, "a"), pending(2, "a"), pending(3, "b")], CancelTimer("a")).removed == (
        2,
    )


def test_cancel_twice_takes_two():
    """Each cancel takes one."""
    assert apply(
        [pending(1, "a"), pending(2, "a")], CancelTimer("a"), CancelTimer("a")
    ).removed == (
        2,
        1,
    )


def test_order_decides():
    """Cancel before set leaves the new one, set before cancel leaves nothing to write."""
    changes = apply([pending(1, "a")], CancelTimer("a"), setting("a"))
    assert (changes.removed, [timer.seq for timer in changes.set]) == ((1,), [10])
    changes = apply([], setting("a"), CancelTimer("a"))
    assert changes == ((), ())


def test_cancel_of_nothing_is_nothing():
    """Cancelling what is not pending changes nothing, and a dead letter is not pending."""
    assert apply([pending(1, "a", is_dead=True)], CancelTimer("a"), CancelTimer("zz")) == ((), ())


def test_too_many_fail(monkeypatch):
    """An instance over its bound of timers fails, and one that only exchanges them does not."""
    monkeypatch.setattr(timer_module, "TIMERS_PER_INSTANCE_MAX", 2)
    two = [pending(1, "a"), pending(2, "b")]
    assert len(apply(two, CancelTimer("a"), setting("c")).set) == 1
    with pytest.raises(MachineError, match="at most 2"):
        apply(two, setting("c"))

"""Where batches are written."""

from __future__ import annotations

from statekeep.storage.sqlite.pace import FAST_SECONDS, SLOW_SECONDS, Pace


def batches(pace: Pace, seconds: float, *, at_most: int = 1_000) -> int:
    """How many batches of that duration it takes to change the place."""
    place = pace.is_inline
    for count in range(1, at_most + 1):
        pace.observe(seconds)
        if pace.is_inline is not place:
            return count
    return at_most


def a_slow_one() -> Pace:
    """That has left the loop."""
    pace = Pace()
    batches(pace, 0.1)
    return pace


def test_a_fast_disk_is_written_to_from_the_loop():
    """From the start, and for ever."""
    assert Pace().is_inline
    assert batches(Pace(), 0.0005) == 1_000


def test_one_very_slow_batch_is_enough_to_leave_the_loop():
    """Nobody waits for a second one."""
    assert batches(Pace(), 0.1) == 1


def test_a_somewhat_slow_disk_is_left_soon():
    """Within some batches, since each of them has stalled the loop."""
    assert batches(Pace(), 0.005) <= 10


def test_one_hiccup_does_not_matter():
    """A batch of several milliseconds among fast ones."""
    pace = Pace()
    for _ in range(10):
        pace.observe(0.0005)
        pace.observe(0.008)
        for _ in range(8):
            pace.observe(0.0005)
    assert pace.is_inline


def test_a_disk_that_has_recovered_is_written_to_from_the_loop_again():
    """Within some dozens of batches."""
    assert batches(a_slow_one(), 0.0003) <= 36


def test_a_disk_between_the_bounds_stays_where_it_is():
    """Whichever side it comes from, so that it does not waver."""
    between = (FAST_SECONDS + SLOW_SECONDS) / 2
    assert batches(Pace(), between) == 1_000
    assert batches(a_slow_one(), between) == 1_000

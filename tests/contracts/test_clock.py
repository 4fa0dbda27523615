"""What every clock promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from statekeep.ports.clock import datetime_of
from statekeep.system import SystemClock
from tests.support.clock import FakeClock


@pytest.fixture(params=[SystemClock, FakeClock])
def clock(request):
    return request.param()


def test_time_is_in_milliseconds_since_the_epoch(clock):
    """Neither in seconds nor in nanoseconds: any year of a plausible life of this test fits."""
    assert 2025 <= datetime_of(clock.now_ms()).year < 2125


def test_time_has_fractions(clock):
    """Several events of one millisecond can be told apart, so it is a float."""
    assert isinstance(clock.now_ms(), float)


def test_the_system_clock_tells_the_time():
    """To within what a slow machine takes to ask twice."""
    before = datetime.now(tz=UTC)
    asked = datetime.fromtimestamp(SystemClock().now_ms() / 1000, tz=UTC)
    after = datetime.now(tz=UTC)
    tick = timedelta(microseconds=2)
    assert before - tick <= asked <= after + tick


def test_a_fake_clock_moves_when_told():
    """And not before."""
    clock = FakeClock()
    start = clock.now_ms()
    assert clock.now_ms() == start
    clock.advance(seconds=1.5)
    assert clock.now_ms() == start + 1500

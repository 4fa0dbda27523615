"""When a journal is cut, and where."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from statekeep.domain.names import InstanceId
from statekeep.domain.retention import JournalBounds, JournalCut, JournalExtent, cut_due

NOW = 1_000_000.0
DAY = timedelta(days=1)
DAY_MS = 86_400_000.0


def extent(oldest, newest, *, age_ms=0.0):
    return JournalExtent(InstanceId(1), newest, oldest, NOW - age_ms)


def test_without_bounds_nothing_goes():
    """However old and long it is."""
    assert cut_due(JournalBounds(), extent(1, 10**9, age_ms=1e12), NOW) is None
    assert JournalBounds().is_unbounded
    assert not JournalBounds(DAY).is_unbounded
    assert not JournalBounds(None, 1).is_unbounded


@pytest.mark.parametrize(("length", "is_due"), [(160, False), (170, False), (171, True)])
def test_a_long_journal_is_cut_once_it_is_a_sixteenth_too_long(length, is_due):
    """And then to what was asked for."""
    due = cut_due(JournalBounds(None, 160), extent(41, 40 + length), NOW)
    assert due == (JournalCut(40 + length - 160, -math.inf) if is_due else None)


@pytest.mark.parametrize(("age", "is_due"), [(1.0, False), (1.06, False), (1.07, True)])
def test_an_old_journal_is_cut_once_it_is_a_sixteenth_too_old(age, is_due):
    """To the day."""
    due = cut_due(JournalBounds(DAY), extent(1, 9, age_ms=age * DAY_MS), NOW)
    assert due == (JournalCut(0, NOW - DAY_MS) if is_due else None)


def test_either_bound_is_enough():
    """And the cut is made by both."""
    bounds = JournalBounds(DAY, 100)
    by_age = cut_due(bounds, extent(1, 50, age_ms=2 * DAY_MS), NOW)
    assert by_age == JournalCut(-50, NOW - DAY_MS)
    assert cut_due(bounds, extent(1, 200), NOW) == JournalCut(100, NOW - DAY_MS)


def test_the_newest_entry_stays():
    """Whatever its age."""
    assert cut_due(JournalBounds(DAY, 1), extent(7, 7, age_ms=1e12), NOW) is None

"""The first minutes of a new user: installed by pip into nothing, and typed as the pages have it."""

from __future__ import annotations

import sys

from tests.support.first_minutes import PAGES, first_minutes_of, offline, type_lines

LINES_MAX = 9


def test_a_live_subscription_is_a_few_lines_from_pip_install(tmp_path):
    """Each line does what it is there for, and an update arrives by itself, as the page shows it."""
    page = first_minutes_of(PAGES[0])
    assert len(page.lines) <= LINES_MAX
    typed = type_lines(page, offline(tmp_path))
    assert [one.line for one in typed] == page.lines
    for line, seconds in typed:
        sys.stdout.write(f"{seconds:6.1f} s  {line}\n")


def test_the_pages_have_the_same_lines():
    """Wherever somebody begins to read."""
    for page in PAGES[1:]:
        assert first_minutes_of(page).lines == first_minutes_of(PAGES[0]).lines

"""docs/cli.md says what the commands say of themselves."""

from __future__ import annotations

from pathlib import Path

from statekeep.cli.reference import render

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_page_is_current():
    """Settings of the server included."""
    assert PAGE.read_text() == render(), "make cli-docs"


def test_what_is_said_of_an_option_is_one_paragraph():
    """A line that is broken in the code is broken on the screen, wherever that ends."""
    broken = [line for line in render().splitlines() if line.startswith("     ")]
    assert broken == []

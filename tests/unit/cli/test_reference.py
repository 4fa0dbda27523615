"""docs/cli.md says what the commands say of themselves."""

from __future__ import annotations

from pathlib import Path

from statekeep.cli.reference import render

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_page_is_current():
    """Settings of the server included."""
    assert PAGE.read_text() == render(), "make cli-docs"

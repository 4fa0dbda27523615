"""docs/cli.md says what the commands say of themselves; tests/unit/test_reference.py keeps it current."""

from __future__ import annotations

from statekeep.cli.reference import render


def test_what_is_said_of_an_option_is_one_paragraph():
    """A line that is broken in the code is broken on the screen, wherever that ends."""
    broken = [line for line in render().splitlines() if line.startswith("     ")]
    assert broken == []

"""How far long work is."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

import pytest

from statekeep.cli.progress import busy, byte_progress, item_progress


class Terminal(io.StringIO):
    """A terminal that shows nothing."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch):
    """A wide one, that shows what is over too."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


def test_items_are_counted_on_a_terminal(screen):
    """How many of how many, and what there is to say."""
    with redirect_stderr(screen), item_progress("Upgrading") as progress:
        progress(3, 10, "1 failed")
    shown = screen.getvalue()
    assert "Upgrading" in shown
    assert "3/10" in shown
    assert "1 failed" in shown


def test_work_is_named_on_a_terminal(screen):
    """More exactly as it goes on, and never taken for markup."""
    with redirect_stderr(screen), busy("Bundling") as progress:
        progress("fetching [red]a")
    assert "fetching [red]a" in screen.getvalue()


def test_bytes_are_counted_on_a_terminal(screen):
    """In units that people read."""
    with redirect_stderr(screen), byte_progress("Exported") as count:
        count(1_500_000)
    assert "1.5/? MB" in screen.getvalue()


def test_nobody_sees_progress_in_a_pipe(capsys):
    """Not a byte of it."""
    with busy("a") as text, item_progress("b") as progress, byte_progress("c") as count:
        text("d")
        progress(1, None, "e")
        count(1)
    assert capsys.readouterr() == ("", "")

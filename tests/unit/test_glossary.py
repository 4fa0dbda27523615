"""docs/glossary.md explains the words that commands are made of, and can be looked up in."""

from __future__ import annotations

import re
from pathlib import Path

from cyclopts import App

from statekeep.cli.main import app

GLOSSARY = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text()
TERMS = re.findall("^## (.+)$", GLOSSARY, re.MULTILINE)


def commands_of(parent: App) -> list[str]:
    return [name for name in parent if not name.startswith("-")]


def test_terms_stand_once_and_in_their_order():
    """Where a reader looks for them."""
    assert sorted(set(TERMS), key=str.lower) == TERMS


def test_every_noun_of_the_command_line_is_explained():
    """By the name that is typed."""
    nouns = {name for name in commands_of(app) if commands_of(app[name]) and app[name].show}
    named = set(re.findall(r"\(`([a-z-]+)`\)", GLOSSARY))
    assert {"machines", "instances", "keys"} < named
    assert named == nouns

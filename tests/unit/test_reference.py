"""What the documentation has from the code is current."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.reference import DOCS, PARTS, names_of_parts, render

PAGES = sorted(DOCS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_is_current(page: Path):
    """What the code says of itself, and nothing else."""
    assert page.read_text() == render(page), "make reference"


def test_every_part_stands_somewhere():
    """And once."""
    assert sorted(name for page in PAGES for name in names_of_parts(page)) == sorted(PARTS)

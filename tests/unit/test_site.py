"""The documentation as a site leads to all of its pages."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"


def pages_of(nav: Any) -> Iterator[str]:
    """Paths in the order in which they are shown: titles lead to pages, or to lists of more."""
    if isinstance(nav, str):
        yield nav
        return
    for part in nav.values() if isinstance(nav, dict) else nav:
        yield from pages_of(part)


def test_the_navigation_has_every_page_once():
    """A page that nothing leads to is read by nobody."""
    site = tomllib.loads((CHECKOUT / "zensical.toml").read_text())
    there = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
    assert sorted(pages_of(site["project"]["nav"])) == there

"""Lists in memory, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from statekeep.ports.pages import Page
from statekeep.storage.pages import ROWS_MAX, first_number, page_of

Item = TypeVar("Item")


def read_page(numbered: Iterable[tuple[int, Item]], listing: str, cursor: str | None) -> Page[Item]:
    """One page of everything that is in a list, in whatever order."""
    first = first_number(cursor, listing)
    newest_first = sorted(numbered, key=lambda pair: pair[0], reverse=True)
    rest = [pair for pair in newest_first if pair[0] <= first]
    return page_of(rest[:ROWS_MAX], listing)

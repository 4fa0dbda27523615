"""Lists that are read a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Page(NamedTuple, Generic[Item]):
    """Part of a list. `cursor` asks for what follows; None at the end."""

    items: Sequence[Item]
    cursor: str | None

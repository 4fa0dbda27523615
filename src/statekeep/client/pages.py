"""Lists. The server tells them in pages; whoever reads one need not know."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Generic, TypeVar, cast

import msgspec

from statekeep.client.models import Page
from statekeep.client.shell import Awaiting, Blocking
from statekeep.client.steps import Emit, Emits, Request, Steps, ask

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """How a list is read: `items` is the field that has those of a page, each of the shape `shape`; `cursor` says where to begin."""

    request: Request
    items: str
    shape: type[Item]
    cursor: str | None = None

    def page(self, cursor: str | None) -> Steps[Page[Item]]:
        """The page that begins at `cursor`."""
        query = {**self.request.query, "cursor": cursor}
        shape = cast(Any, self.shape)
        answer = yield from ask(replace(self.request, query=query), _page_shape(self.items, shape))
        return Page(answer.items, answer.cursor)

    def each_page(self) -> Emits[Page[Item]]:
        """Page after page. What is created meanwhile may be missing, what stays is there once."""
        cursor = self.cursor
        while True:
            page = yield from self.page(cursor)
            yield Emit(page)
            if page.cursor is None:
                return
            cursor = page.cursor


class Pages(Generic[Item]):
    """A list. To iterate over it is to iterate over all its items; pages are asked for as they are needed."""

    def __init__(self, shell: Blocking, listing: Listing[Item]) -> None:
        self._shell = shell
        self._listing = listing

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from page

    def pages(self) -> Generator[Page[Item], None, None]:
        """Page after page."""
        return self._shell.iterate(self._listing.each_page())

    def page(self) -> Page[Item]:
        """The first page only. Its `cursor` leads to the next one."""
        return self._shell.take(self._listing.page(self._listing.cursor))


class AsyncPages(Generic[Item]):
    """A list. To iterate over it is to iterate over all its items; pages are asked for as they are needed."""

    def __init__(self, shell: Awaiting, listing: Listing[Item]) -> None:
        self._shell = shell
        self._listing = listing

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in page:
                yield item

    def pages(self) -> AsyncGenerator[Page[Item], None]:
        """Page after page."""
        return self._shell.iterate(self._listing.each_page())

    async def page(self) -> Page[Item]:
        """The first page only. Its `cursor` leads to the next one."""
        return await self._shell.take(self._listing.page(self._listing.cursor))


@cache
def _page_shape(items: str, shape: Any) -> Any:
    fields = [
        ("items", list[shape], msgspec.field(name=items)),
        ("cursor", str | None, None),
    ]
    return msgspec.defstruct("Page", fields)

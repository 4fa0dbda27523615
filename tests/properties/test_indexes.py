"""Indexes against what Python says, whatever the contexts, the queries and the changes between two pages."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import jsonpath
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from statekeep.application.index_selectors import IndexPlan
from statekeep.domain.index import (
    Comparison,
    IndexEntries,
    IndexFilter,
    IndexQuery,
    index_changes,
)
from statekeep.domain.names import InstanceId
from statekeep.ports.store import Store
from statekeep.storage.memory.store import MemoryStore
from statekeep.storage.sqlite.store import SqliteStore
from tests.support.builders import Ground, a_commit, create_instances, lay_ground

NAMES = st.sampled_from(["a", "b", "c"])
CONTEXTS = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=15,
)
POSITIONS = st.integers(-3, 3)
SLICES = st.builds(
    lambda *parts: ":".join("" if part is None else str(part) for part in parts),
    *[st.none() | POSITIONS] * 3,
)
STEPS = NAMES.map("'{}'".format) | POSITIONS.map(str) | st.just("*") | SLICES
SELECTORS = st.lists(
    st.lists(STEPS, min_size=1, max_size=2).map(lambda steps: f"[{','.join(steps)}]"), max_size=4
).map(lambda segments: "$" + "".join(segments))
LIBRARY = jsonpath.JSONPathEnvironment(strict=True)


class Word:
    """A text that the library takes for no sequence: it would slice it, and RFC 9535 slices arrays only."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def hidden(value: Any) -> Any:
    """The same with every text in a Word."""
    if isinstance(value, str):
        return Word(value)
    if isinstance(value, list):
        return [hidden(inner) for inner in value]
    if isinstance(value, dict):
        return {key: hidden(inner) for key, inner in value.items()}
    return value


@given(SELECTORS, CONTEXTS)
def test_a_selector_finds_what_the_library_finds(selector: str, context: Any) -> None:
    """Following it ourselves is only quicker. What the library cannot read nobody can publish."""
    try:
        LIBRARY.compile(selector)
    except jsonpath.JSONPathError:
        reject()
    found = [context]
    if isinstance(context, dict | list):
        found = LIBRARY.findall(selector, hidden(context))
    elif selector != "$":
        found = []
    lists = [value for value in found if isinstance(value, list)]
    words = [*found, *(value for inner in lists for value in inner)]
    expected = {str(value) for value in words if isinstance(value, str | Word)}
    entries = IndexPlan({"i": selector}, {}).entries_of(context)
    assert entries == {("i", value) for value in expected}


# Few values, so that they meet, and such as are ordered otherwise in UTF-16, by case, or where NUL ends a text.
VALUES = st.sampled_from(
    ["", "a", "A", "aa", "a\0", "a\0b", "ä", "\uffff", "\U00010000", "\U0001f600", "z" * 40]
)
ENTRIES = st.frozensets(VALUES, max_size=3)
FILTERS = st.none() | st.builds(IndexFilter, st.sampled_from(Comparison), VALUES)
INSTANCES = 6
CHANGES = st.lists(st.tuples(st.integers(0, INSTANCES - 1), ENTRIES), max_size=3)


class Shelf:
    """Instances in one store, and what their entries should be."""

    def __init__(self, store: Store, ground: Ground, ids: Sequence[InstanceId]) -> None:
        self.store = store
        self.ground = ground
        self.ids = ids
        self.revisions = [1] * len(ids)
        self.entries: list[IndexEntries] = [frozenset()] * len(ids)

    async def change(self, which: int, values: frozenset[str]) -> None:
        """Another set of values for one instance, in one commit."""
        entries = frozenset(("owner", value) for value in values)
        changes = index_changes(self.entries[which], entries)
        commit = a_commit(self.ids[which], self.revisions[which])._replace(indexed=changes)
        await self.store.commit(commit)
        self.revisions[which] += 1
        self.entries[which] = entries

    def expected(self, query: IndexQuery) -> list[tuple[str, str]]:
        """Value and name, in order."""
        places = sorted(
            (value, number)
            for number, entries in enumerate(self.entries)
            for _, value in entries
            if query.filter is None or query.filter.admits(value)
        )
        if query.is_descending:
            places.reverse()
        return [(value, f"i{number}") for value, number in places]

    def query(self, wanted: IndexFilter | None, *, descending: bool, limit: int) -> IndexQuery:
        """Of the only index that has entries."""
        return IndexQuery(self.ground.machine.id, "owner", wanted, descending, limit)


async def on_both_stores(play: Callable[[Shelf], Awaitable[None]]) -> None:
    """The same with either, in a new store."""
    with tempfile.TemporaryDirectory() as directory:
        for store in (MemoryStore(), SqliteStore(Path(directory))):
            await store.open()
            ground = await lay_ground(store)
            names = [f"i{number}" for number in range(INSTANCES)]
            await play(Shelf(store, ground, await create_instances(store, ground, names)))
            await store.close()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(ENTRIES, min_size=INSTANCES, max_size=INSTANCES),
    st.lists(st.tuples(FILTERS, st.booleans(), st.integers(1, 9)), min_size=1, max_size=8),
)
def test_a_query_finds_what_python_finds(
    values: list[frozenset[str]], queries: list[tuple[IndexFilter | None, bool, int]]
) -> None:
    """In its order, however small the pages."""

    async def play(shelf: Shelf) -> None:
        for which, one in enumerate(values):
            await shelf.change(which, one)
        for wanted, descending, limit in queries:
            query = shelf.query(wanted, descending=descending, limit=limit)
            page = await shelf.store.query_index(query, cursor=None)
            found = [*page.items]
            while page.cursor is not None:
                assert len(page.items) == limit
                page = await shelf.store.query_index(query, cursor=page.cursor)
                found += page.items
            assert [(match.value, match.name) for match in found] == shelf.expected(query)

    asyncio.run(on_both_stores(play))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(ENTRIES, min_size=INSTANCES, max_size=INSTANCES),
    FILTERS,
    st.booleans(),
    st.integers(1, 3),
    st.lists(CHANGES, min_size=1, max_size=20),
)
@example([frozenset("a")] * INSTANCES, None, False, 1, [[(0, frozenset("z"))]] * 20)
def test_what_stays_is_found_exactly_once(
    values: list[frozenset[str]],
    wanted: IndexFilter | None,
    descending: bool,
    limit: int,
    meanwhile: list[list[tuple[int, frozenset[str]]]],
) -> None:
    """Whatever comes, goes and moves between two pages. And nothing is found that never was."""

    async def play(shelf: Shelf) -> None:
        for which, one in enumerate(values):
            await shelf.change(which, one)
        query = shelf.query(wanted, descending=descending, limit=limit)
        steady, ever = {*shelf.expected(query)}, {*shelf.expected(query)}
        changes = iter(meanwhile)
        page = await shelf.store.query_index(query, cursor=None)
        found = [(match.value, match.name) for match in page.items]
        while page.cursor is not None:
            for which, one in next(changes, []):
                await shelf.change(which, one)
                steady &= {*shelf.expected(query)}
                ever |= {*shelf.expected(query)}
            page = await shelf.store.query_index(query, cursor=page.cursor)
            found += [(match.value, match.name) for match in page.items]
        assert len(found) == len({*found}), "no entry is found twice"
        assert steady <= {*found} <= ever

    asyncio.run(on_both_stores(play))

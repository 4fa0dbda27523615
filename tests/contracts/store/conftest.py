"""Every adapter of the store, each with its own way to be opened again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from statekeep.ports.store import Store
from statekeep.storage.memory.store import MemoryStore
from statekeep.storage.sqlite.store import SqliteStore
from tests.support.builders import Ground, create_instance, lay_ground


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path) -> AsyncIterator[Store]:
    """An open store with nothing in it."""
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "data")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def ground(store) -> Ground:
    return await lay_ground(store)


@pytest.fixture
async def instance_id(store, ground) -> int:
    """The instance `one`, at revision 1."""
    return await create_instance(store, ground)


@pytest.fixture
async def open_sqlite(tmp_path) -> AsyncIterator[Callable]:
    """Opens stores on one directory, as often as a test likes, and closes what it leaves open."""
    opened: list[SqliteStore] = []

    async def open_store(**options) -> SqliteStore:
        store = SqliteStore(tmp_path / "data", **options)
        opened.append(store)
        await store.open()
        return store

    yield open_store
    for store in opened:
        await store.close()

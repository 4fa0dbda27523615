"""The two shells of the Python client behind one face, so that a test is written once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any, Protocol

from statekeep.client import AsyncClient, Client


class Caller(Protocol):
    """A client whose operations are called by name: "machines.get"."""

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What it returns."""
        ...

    async def collect(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """All that it iterates over."""
        ...


class BlockingCaller:
    """A Client, in a thread."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(attrgetter(name)(self._client), *args, **kwargs)

    async def collect(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        return await asyncio.to_thread(list, attrgetter(name)(self._client)(*args, **kwargs))


class AwaitingCaller:
    """An AsyncClient."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await attrgetter(name)(self._client)(*args, **kwargs)

    async def collect(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        return [item async for item in attrgetter(name)(self._client)(*args, **kwargs)]


@asynccontextmanager
async def calling(shell: str, *args: Any, **kwargs: Any) -> AsyncIterator[Caller]:
    """A client that is "blocking" or "awaiting", closed in the end."""
    if shell == "blocking":
        with Client(*args, **kwargs) as client:
            yield BlockingCaller(client)
    else:
        async with AsyncClient(*args, **kwargs) as async_client:
            yield AwaitingCaller(async_client)

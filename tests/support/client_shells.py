"""The two shells of the Python client behind one face, so that a test is written once."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from operator import attrgetter
from typing import Any, Protocol

from statekeep.client import AsyncClient, Client

PATIENCE_SECONDS = 60

Hear = Callable[[], Awaitable[Any]]


class Caller(Protocol):
    """A client whose operations are called by name: "machines.get"."""

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What it returns."""
        ...

    async def collect(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """All that it iterates over."""
        ...

    def following(self, name: str, *args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Hear]:
        """A function for the next thing that it iterates over."""
        ...


class BlockingCaller:
    """A Client, in threads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(attrgetter(name)(self._client), *args, **kwargs)

    async def collect(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        return await asyncio.to_thread(list, attrgetter(name)(self._client)(*args, **kwargs))

    @asynccontextmanager
    async def following(self, name: str, *args: Any, **kwargs: Any) -> AsyncIterator[Hear]:
        pump = _Pump(attrgetter(name)(self._client)(*args, **kwargs))
        pump.start()
        try:
            yield pump.hear
        finally:
            pump.wanted.put(None)


class AwaitingCaller:
    """An AsyncClient."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await attrgetter(name)(self._client)(*args, **kwargs)

    async def collect(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        return [item async for item in attrgetter(name)(self._client)(*args, **kwargs)]

    @asynccontextmanager
    async def following(self, name: str, *args: Any, **kwargs: Any) -> AsyncIterator[Hear]:
        told: AsyncGenerator[Any, None] = attrgetter(name)(self._client)(*args, **kwargs)
        async with aclosing(told):
            yield lambda: asyncio.wait_for(anext(told), PATIENCE_SECONDS)


class _Pump(threading.Thread):
    """Has a blocking iterator all to itself. A daemon, so that one that blocks for ever fails a test and does not hang it."""

    def __init__(self, told: Generator[Any, None, None]) -> None:
        super().__init__(daemon=True)
        self._told = told
        self._loop = asyncio.get_running_loop()
        self.wanted: queue.Queue[asyncio.Future[Any] | None] = queue.Queue()

    async def hear(self) -> Any:
        """The next thing."""
        future = self._loop.create_future()
        self.wanted.put(future)
        return await asyncio.wait_for(future, PATIENCE_SECONDS)

    def run(self) -> None:
        while (future := self.wanted.get()) is not None:
            try:
                self._loop.call_soon_threadsafe(future.set_result, next(self._told))
            except Exception as error:
                self._loop.call_soon_threadsafe(future.set_exception, error)
        self._told.close()


@asynccontextmanager
async def calling(shell: str, *args: Any, **kwargs: Any) -> AsyncIterator[Caller]:
    """A client that is "blocking" or "awaiting", closed in the end."""
    if shell == "blocking":
        with Client(*args, **kwargs) as client:
            yield BlockingCaller(client)
    else:
        async with AsyncClient(*args, **kwargs) as async_client:
            yield AwaitingCaller(async_client)

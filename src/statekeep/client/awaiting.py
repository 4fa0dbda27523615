"""The shell that awaits."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from tenacity import AsyncRetrying

from statekeep.client.course import Course
from statekeep.client.http import api_errors, words
from statekeep.client.pages import AsyncPages, Listing
from statekeep.client.retries import tries
from statekeep.client.session import Session, answer_of
from statekeep.client.sockets import Sockets, dial_errors, socket_errors
from statekeep.client.steps import (
    Answer,
    Call,
    Connect,
    Dial,
    Emit,
    Emits,
    Exclusively,
    GiveUp,
    Hear,
    Pause,
    Read,
    Request,
    Say,
    Step,
    Steps,
    Transmission,
)

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

T = TypeVar("T")


@dataclass
class _Held:
    """What is open while steps are taken."""

    stack: AsyncExitStack
    pieces: AsyncIterator[bytes]
    line: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Closes the socket."""
    socket: ClientConnection | None = None


class AwaitingShell:
    """Takes steps one after the other. May be used by many tasks of one event loop at once."""

    def __init__(
        self, session: Session, http: httpx.AsyncClient, sockets: Sockets, *, retry_seconds: float
    ) -> None:
        self._session = session
        self._http = http
        self._sockets = sockets
        self._retry_seconds = retry_seconds
        self._lock = asyncio.Lock()

    async def take(self, steps: Steps[T]) -> T:
        """What the steps return."""
        async with AsyncExitStack() as stack:
            return await self._take(steps, _Held(stack, _Nothing()))

    async def iterate(self, steps: Emits[T]) -> AsyncGenerator[T, None]:
        """What they emit."""
        course = Course[None](steps)
        async with AsyncExitStack() as stack:
            stack.callback(steps.close)
            held = _Held(stack, _Nothing())
            stack.push_async_callback(held.line.aclose)
            while (step := course.step()) is not None:
                if isinstance(step, Emit):
                    yield step.value
                    continue
                with course.told_of_errors():
                    course.tell(await self._do(step, held))

    def pages(self, listing: Listing[T]) -> AsyncPages[T]:
        """A list."""
        return AsyncPages(self, listing)

    async def _take(self, steps: Steps[T], held: _Held) -> T:
        course = Course(steps)
        while (step := course.step()) is not None:
            with course.told_of_errors():
                course.tell(await self._do(step, held))
        return course.result

    async def _do(self, step: Step, held: _Held) -> Any:
        match step:
            case Request():
                return await self._take(self._session.send(step), held)
            case Transmission():
                tried = AsyncRetrying(**tries(step.request, self._retry_seconds))
                return await tried(self._transmit, step, held)
            case Read():
                with api_errors(self._session.api_url):
                    return await anext(held.pieces, b"")
            case Connect():
                await held.line.aclose()
                return await self._take(self._session.connect(), held)
            case Dial():
                tried = AsyncRetrying(**tries(step.request, self._retry_seconds))
                held.socket = await tried(self._dial, step, held)
                return None
            case Say():
                assert held.socket is not None
                with socket_errors():
                    return await held.socket.send(step.text)
            case Hear():
                assert held.socket is not None
                with socket_errors(), suppress(TimeoutError):
                    async with asyncio.timeout(step.within_seconds):
                        return await held.socket.recv(decode=False)
                return None
            case GiveUp():
                return self._session.give_up(step.token)
            case Exclusively():
                async with self._lock:
                    return await self._take(step.steps, held)
            case Call():
                result = step.function()
                return await result if inspect.isawaitable(result) else result
            case Pause():
                return await asyncio.sleep(step.seconds)

    async def _dial(self, dial: Dial, held: _Held) -> ClientConnection:
        from websockets.asyncio.client import connect

        with dial_errors():
            return await held.line.enter_async_context(connect(**self._sockets.words(dial)))

    async def _transmit(self, transmission: Transmission, held: _Held) -> Answer:
        request = transmission.request
        said = words(transmission)
        if not isinstance(request.content, bytes | AsyncIterable | None):
            said["content"] = _one_by_one(request.content)
        with api_errors(transmission.url):
            response = await self._http.send(
                self._http.build_request(**said), stream=request.is_streamed
            )
            if request.is_streamed:
                held.stack.push_async_callback(response.aclose)
            if response.is_success and request.is_streamed:
                held.pieces = response.aiter_bytes()
                return Answer(response.status_code, response.headers, b"")
            body = await response.aread()
        return answer_of(request, response.status_code, response.headers, body)


class _Nothing:
    """No bytes at all."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


async def _one_by_one(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece

"""The shell that blocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from tenacity import Retrying

from statekeep.client.course import Course
from statekeep.client.http import api_errors, words
from statekeep.client.pages import Listing, Pages
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
    from websockets.sync.client import ClientConnection

T = TypeVar("T")


@dataclass
class _Held:
    """What is open while steps are taken."""

    stack: ExitStack
    pieces: Iterator[bytes] = field(default_factory=lambda: iter(()))
    line: ExitStack = field(default_factory=ExitStack)
    """Closes the socket."""
    socket: ClientConnection | None = None


class BlockingShell:
    """Takes steps one after the other. May be used from many threads at once."""

    def __init__(
        self, session: Session, http: httpx.Client, sockets: Sockets, *, retry_seconds: float
    ) -> None:
        self._session = session
        self._http = http
        self._sockets = sockets
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()

    def take(self, steps: Steps[T]) -> T:
        """What the steps return."""
        with ExitStack() as stack:
            return self._take(steps, _Held(stack))

    def iterate(self, steps: Emits[T]) -> Generator[T, None, None]:
        """What they emit."""
        course = Course[None](steps)
        with ExitStack() as stack, closing(steps):
            held = _Held(stack)
            stack.callback(held.line.close)
            while (step := course.step()) is not None:
                if isinstance(step, Emit):
                    yield step.value
                    continue
                with course.told_of_errors():
                    course.tell(self._do(step, held))

    def pages(self, listing: Listing[T]) -> Pages[T]:
        """A list."""
        return Pages(self, listing)

    def _take(self, steps: Steps[T], held: _Held) -> T:
        course = Course(steps)
        while (step := course.step()) is not None:
            with course.told_of_errors():
                course.tell(self._do(step, held))
        return course.result

    def _do(self, step: Step, held: _Held) -> Any:
        match step:
            case Request():
                return self._take(self._session.send(step), held)
            case Transmission():
                tried = Retrying(**tries(step.request, self._retry_seconds))
                return tried(self._transmit, step, held)
            case Read():
                with api_errors(self._session.api_url):
                    return next(held.pieces, b"")
            case Connect():
                held.line.close()
                return self._take(self._session.connect(), held)
            case Dial():
                tried = Retrying(**tries(step.request, self._retry_seconds))
                held.socket = tried(self._dial, step, held)
                return None
            case Say():
                assert held.socket is not None
                with socket_errors():
                    return held.socket.send(step.text)
            case Hear():
                assert held.socket is not None
                with socket_errors(), suppress(TimeoutError):
                    return held.socket.recv(step.within_seconds, decode=False)
                return None
            case GiveUp():
                return self._session.give_up(step.token)
            case Exclusively():
                with self._lock:
                    return self._take(step.steps, held)
            case Call():
                return step.function()
            case Pause():
                return time.sleep(step.seconds)

    def _dial(self, dial: Dial, held: _Held) -> ClientConnection:
        from websockets.sync.client import connect

        with dial_errors():
            socket: ClientConnection = held.line.enter_context(connect(**self._sockets.words(dial)))
        return socket

    def _transmit(self, transmission: Transmission, held: _Held) -> Answer:
        request = transmission.request
        with api_errors(transmission.url):
            response = self._http.send(
                self._http.build_request(**words(transmission)), stream=request.is_streamed
            )
            if request.is_streamed:
                held.stack.callback(response.close)
            if response.is_success and request.is_streamed:
                held.pieces = response.iter_bytes()
                return Answer(response.status_code, response.headers, b"")
            body = response.read()
        return answer_of(request, response.status_code, response.headers, body)

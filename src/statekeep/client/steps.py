"""How the client is written: once, without I/O, as generators of the steps that are needed.

    def get(name: str) -> Steps[Machine]:
        answer = yield from ask(Request("GET", "/machines/{machine}", {"machine": name}), MachineAnswer)
        return answer.machine

A shell takes each step and hands back what came of it, or throws the ApiError in. There are two shells, one that blocks and one that awaits;
how to take these steps is all that they know.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from statekeep.client.errors import UnreadableAnswerError

T = TypeVar("T")

Content: TypeAlias = bytes | Iterable[bytes] | AsyncIterable[bytes]


@dataclass(frozen=True, slots=True)
class File:
    """A file in a multipart form, and the other fields of the form, which come before it."""

    name: str
    content: bytes
    media_type: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the API. Its answer is an Answer with a status of success, unless `is_any_status_welcome`.

    `path` is a template as in the API's description, filled from `names`, or a whole URL. What is None in `query` or `body` is left out.
    `is_repeatable` says whether carrying it out twice does no harm; where it is None the method says so (RFC 9110, 9.2.2). The body of an
    answer that `is_streamed` comes with `Read`, and the shell closes it in the end.
    """

    method: str
    path: str
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str | None] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    file: File | None = None
    content: Content | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_authorized: bool = True
    is_repeatable: bool | None = None
    is_any_status_welcome: bool = False
    is_streamed: bool = False

    @property
    def target(self) -> str:
        """The path with its names filled in, or the URL."""
        return self.path.format_map({key: quote(name, safe="") for key, name in self.names.items()})

    @property
    def may_be_repeated(self) -> bool:
        """Whether it may be sent again where nobody knows what became of it."""
        if self.is_repeatable is not None:
            return self.is_repeatable
        return self.method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Transmission:
    """A request as it goes over the wire, with who asks. Repeated, where that does no harm, until it gets through."""

    request: Request
    url: str
    headers: Mapping[str, str]
    content: Content | None


@dataclass(frozen=True, slots=True)
class Read:
    """The next bytes of the answer to a request that is streamed; empty at its end."""


@dataclass(frozen=True, slots=True)
class Connect:
    """A realtime socket, in place of the one before. The token with which it was opened comes of it."""


@dataclass(frozen=True, slots=True)
class Dial:
    """The same as it goes over the wire."""

    request: Request
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Say:
    """A message into the socket."""

    text: str


@dataclass(frozen=True, slots=True)
class Hear:
    """The next message from the socket; None where none comes for so long."""

    within_seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The server refused this token. Whether there may be another one comes of it."""

    token: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the user's. What it returns is awaited by a shell that awaits, where it can be."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Exclusively:
    """Steps that are taken by one at a time of all who use the client."""

    steps: Generator[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """So many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """A value for whoever iterates. Only steps that are iterated over may have it."""

    value: T


Step: TypeAlias = (
    Request
    | Transmission
    | Read
    | Connect
    | Dial
    | Say
    | Hear
    | GiveUp
    | Call
    | Exclusively
    | Pause
)
Steps: TypeAlias = Generator[Step, Any, T]
"""Steps that end with a result."""
Emits: TypeAlias = Generator[Step | Emit[T], Any, None]
"""Steps that tell results on the way."""


def ask(request: Request, shape: type[T]) -> Steps[T]:
    """What the server answers."""
    answer: Answer = yield request
    return decode(answer.body, shape)


def tell(request: Request) -> Steps[None]:
    """For requests whose answer says nothing."""
    yield request


def decode(body: bytes, shape: type[T]) -> T:
    """JSON to `shape`. Raises UnreadableAnswerError."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_odd(body, shape)


def _decode_odd(body: bytes, shape: type[T]) -> T:
    # JavaScript writes strings with half a character in them, which Python can hold though no UTF-8 can.
    try:
        return msgspec.convert(json.loads(body), type=shape)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError(
            f"the answer is not what a Statekeep server says here: {error}"
        ) from error


def encode(value: Any) -> bytes:
    """JSON. Raises TypeError or ValueError for what cannot be written as such."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def present(values: Mapping[str, T | None]) -> dict[str, T]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}

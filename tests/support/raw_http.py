"""HTTP as bytes on a socket, for what no client library would send."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

ANSWER_SECONDS_MAX = 20


class Answer(NamedTuple):
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> Any:
        """The code in the body of a refusal."""
        return json.loads(self.body)["code"]


@contextmanager
def connection(url: str) -> Iterator[socket.socket]:
    """A connection to the server at `url`."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    place = (address.hostname, address.port)
    with socket.create_connection(place, timeout=ANSWER_SECONDS_MAX) as connected:
        yield connected


def read_answer(connected: socket.socket) -> Answer:
    """The next answer, and not a byte more. Fails where the connection ends before it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _some(connected, 1)
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    body = b""
    while len(body) < int(headers.get("content-length", 0)):
        body += _some(connected, int(headers["content-length"]) - len(body))
    return Answer(int(first.split()[1]), headers, body)


def is_closed(connected: socket.socket) -> bool:
    """Whether the other side ends the connection before it says anything more."""
    try:
        return connected.recv(1) == b""
    except ConnectionResetError:
        return True


def _some(connected: socket.socket, count: int) -> bytes:
    received = connected.recv(count)
    assert received, "the connection ended before the answer"
    return received

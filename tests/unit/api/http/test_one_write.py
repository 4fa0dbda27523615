from __future__ import annotations

import asyncio

from statekeep.api.http.one_write import JoiningTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Recording(asyncio.Transport):
    """What reaches the operating system, write by write."""

    def __init__(self) -> None:
        super().__init__({"peername": "somebody"})
        self.written: list[bytes | None] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written.append(data)

    def close(self) -> None:
        self.written.append(None)


def test_head_and_body_are_one_write() -> None:
    """Each answer of a connection for itself; further pieces of a body go out as they come."""
    recording = Recording()
    joining = JoiningTransport(recording)
    for piece in (HEAD, b"body", HEAD, b"", HEAD, b"4\r\nbody\r\n", b"0\r\n\r\n"):
        joining.write(piece)
    assert recording.written[:3] == [HEAD + b"body", HEAD, HEAD + b"4\r\nbody\r\n"]
    joining.flush()
    assert recording.written[3:] == [b"0\r\n\r\n"]


def test_nothing_is_kept_for_ever() -> None:
    """An answer may have no body, and a connection may end in the middle of one."""
    recording = Recording()
    joining = JoiningTransport(recording)
    joining.write(HEAD)
    joining.flush()
    joining.flush()
    joining.write(HEAD)
    joining.close()
    assert recording.written == [HEAD, HEAD, None]


def test_what_is_no_head_of_an_answer_waits_for_nothing() -> None:
    """The client waits for leave to go on, and then sends its body."""
    recording = Recording()
    joining = JoiningTransport(recording)
    joining.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert recording.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_everything_else_is_the_transports_own() -> None:
    """As who the peer is."""
    assert JoiningTransport(Recording()).get_extra_info("peername") == "somebody"

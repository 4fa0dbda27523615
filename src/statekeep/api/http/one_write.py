"""uvicorn's HTTP protocol, with the head of an answer and its body in one write.

ASGI hands them over one after the other and uvicorn writes each at once: two system calls and two packets for an answer of some
hundred bytes, which is a sixth of the time that one client waits for it (benchmarks/http_stack.py). Here the head waits for the
body, which by the rules of ASGI follows it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_END_OF_HEAD: Final = b"\r\n\r\n"
_INFORMATIONAL: Final = b"HTTP/1.1 1"


class OneWriteProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`."""

    __slots__ = ("_joining", "_raw")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Have everything that uvicorn writes pass through a transport that joins."""
        self._raw = transport
        self._joining = JoiningTransport(transport)
        super().connection_made(cast(asyncio.Transport, self._joining))

    def on_response_complete(self) -> None:
        """Nothing follows the head of an answer to HEAD."""
        self._joining.flush()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """What a WebSocket writes waits for nothing."""
        self.transport = self._raw
        super().handle_websocket_upgrade()


class JoiningTransport:
    """A transport that keeps the head of an answer until there is more to write or nothing more to come."""

    __slots__ = ("_head", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Write, after a head that is kept; or keep a head."""
        if self._head:
            data = self._head + data
            self._head = b""
        elif data.endswith(_END_OF_HEAD) and not data.startswith(_INFORMATIONAL):
            self._head = data
            return
        self.transport.write(data)

    def flush(self) -> None:
        """Keep nothing back."""
        if self._head:
            self.transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Close once everything is written."""
        self.flush()
        self.transport.close()

    def is_closing(self) -> bool:
        """Asked of every request, and so not left to what follows."""
        return self.transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

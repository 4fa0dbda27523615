"""A mail server of this machine that keeps what it gets."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


class MailSink:
    """Speaks as much of SMTP (RFC 5321) as a client that hands over one mail needs.

    With `refuses` it answers that to every recipient; while it `is_silent` it does not even greet.
    """

    def __init__(self, *, refuses: str | None = None, is_silent: bool = False) -> None:
        self.messages: list[EmailMessage] = []
        self.has_mail = threading.Event()
        self.logins: list[str] = []
        self.port = 0
        self.conversations: set[asyncio.Task[None]] = set()
        self._refuses = refuses
        self._is_silent = is_silent

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.conversations.add(task)
        try:
            if not self._is_silent:
                await self._say(writer, "220 sink")
            while line := (await reader.readline()).decode().strip():
                await self._say(writer, await self._answer(line, reader, writer))
        finally:
            writer.close()

    async def _answer(
        self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str:
        match line.split()[0].upper():
            case "EHLO":
                return "250-sink\r\n250 AUTH PLAIN"
            case "AUTH":
                self.logins.append(base64.b64decode(line.split()[2]).decode())
                return "235 welcome"
            case "RCPT" if self._refuses is not None:
                return self._refuses
            case "DATA":
                await self._say(writer, "354 go on")
                await self._keep(await reader.readuntil(b"\r\n.\r\n"))
                return "250 kept"
            case "QUIT":
                return "221 bye"
            case _:
                return "250 ok"

    async def _keep(self, data: bytes) -> None:
        # RFC 5321, 4.5.2: a dot at the beginning of a line was doubled on the way.
        text = data.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        message = message_from_bytes(text, policy=default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.has_mail.set()

    async def _say(self, writer: asyncio.StreamWriter, line: str) -> None:
        writer.write(f"{line}\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def mail_sink(
    *, tls: ssl.SSLContext | None = None, refuses: str | None = None, is_silent: bool = False
) -> AsyncIterator[MailSink]:
    """A sink on a port of its own for as long as the context lasts."""
    sink = MailSink(refuses=refuses, is_silent=is_silent)
    server = await asyncio.start_server(sink.converse, "127.0.0.1", ssl=tls)
    async with server:
        sink.port = server.sockets[0].getsockname()[1]
        yield sink
        # Until the other end has hung up.
        await asyncio.gather(*sink.conversations, return_exceptions=True)

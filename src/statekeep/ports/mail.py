"""Mail to people."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from statekeep.domain.names import EmailAddress


class Mail(NamedTuple):
    """Plain text for one person."""

    to: EmailAddress
    subject: str
    text: str


class MailServer(NamedTuple):
    """Who takes our mail. `is_tls` from the first byte; else TLS is begun (STARTTLS), unless it is this machine."""

    host: str
    port: int
    is_tls: bool
    user: str | None
    password: str | None


class Mailer(Protocol):
    """A way for mail to leave."""

    async def send(self, mail: Mail) -> None:
        """Hand it over to a mail server, which answers for it from then on. Raises MailNotSent, within a bounded time."""
        ...


class MailNotSent(Exception):
    """No mail server took it. The message says why, for the server's log."""

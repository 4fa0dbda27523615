"""Mail over SMTP, each on a connection of its own: there is little of it, and nobody waits for long.

What must stay true: no mail and no password is sent over a connection that is not encrypted and whose other end is not who it should be, but to this very machine.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from contextlib import AbstractContextManager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final

from statekeep.domain.limits import MAIL_TIMEOUT
from statekeep.domain.names import EmailAddress
from statekeep.ports.mail import Mail, MailNotSent, MailServer

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SENT_AT_ONCE: Final = 4
"""Mails that are on their way at the same time, each on a thread."""


class SmtpMailer:
    """Hands mail to one mail server (ports.mail.Mailer)."""

    def __init__(
        self,
        server: MailServer,
        sender: EmailAddress,
        *,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = MAIL_TIMEOUT.total_seconds(),
    ) -> None:
        self._server = server
        self._sender = sender
        self._tls = tls or ssl.create_default_context()
        self._timeout_seconds = timeout_seconds
        self._places = asyncio.Semaphore(_SENT_AT_ONCE)

    async def send(self, mail: Mail) -> None:
        """Hand it over. Raises MailNotSent, within a bounded time."""
        message = _message(mail, self._sender)
        try:
            async with asyncio.timeout(self._timeout_seconds), self._places:
                await asyncio.to_thread(self._send, message)
        except TimeoutError as error:
            raise MailNotSent("the mail server took too long") from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailNotSent(_reason(error)) from error

    def _send(self, message: EmailMessage) -> None:
        with self._connection() as smtp:
            if not self._server.is_tls and self._server.host not in _LOOPBACK:
                smtp.starttls(context=self._tls)
            if self._server.user is not None:
                smtp.login(self._server.user, self._server.password or "")
            smtp.send_message(message)

    def _connection(self) -> AbstractContextManager[smtplib.SMTP]:
        host, port = self._server.host, self._server.port
        # Of each single wait; the sum of them is bounded above.
        timeout = self._timeout_seconds
        if self._server.is_tls:
            return smtplib.SMTP_SSL(host, port, timeout=timeout, context=self._tls)
        return smtplib.SMTP(host, port, timeout=timeout)


def _message(mail: Mail, sender: EmailAddress) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Statekeep <{sender}>"
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.partition("@")[2])
    # Nobody who is on holiday needs to tell us (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


def _reason(error: Exception) -> str:
    """Without what the server was sent: an answer may repeat an address."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({code for code, _ in error.recipients.values()})
        return f"the mail server does not take mail for this address: {codes}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server answered {error.smtp_code}"
    return str(error) or type(error).__name__

"""Where mail arrives."""

from __future__ import annotations

import re

from statekeep.ports.mail import Mail, MailNotSent


class Mailbox:
    """Keeps what is sent (ports.mail.Mailer). While it `is_full` nothing can be."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.is_full = False

    async def send(self, mail: Mail) -> None:
        if self.is_full:
            raise MailNotSent("the mailbox is full")
        self.mails.append(mail)

    def link(self, to: str) -> str:
        """The link in the last mail to somebody."""
        text = next(mail.text for mail in reversed(self.mails) if mail.to == to)
        (link,) = re.findall(r"^  (https?://\S+)$", text, re.MULTILINE)
        return str(link)

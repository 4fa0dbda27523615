"""What the server writes to people."""

from __future__ import annotations

import structlog

from statekeep.application.links import invitation_path, sign_in_path
from statekeep.application.people_rates import PeopleRates
from statekeep.domain.durations import format_duration
from statekeep.domain.errors import MailUnavailable
from statekeep.domain.limits import INVITATION_VALID_FOR, SIGN_IN_LINK_VALID_FOR
from statekeep.domain.names import EmailAddress
from statekeep.ports.mail import Mail, Mailer, MailNotSent

_log = structlog.get_logger(__name__)


class Post:
    """Mails with links to the server at `url`, which is never taken from a request: whoever sends one may call us what they like."""

    def __init__(self, mailer: Mailer, rates: PeopleRates, url: str) -> None:
        self._mailer = mailer
        self._rates = rates
        self._url = url

    async def send_invitation(self, email: EmailAddress, organization: str, code: str) -> None:
        """Raises TooManyRequests, and MailUnavailable where it did not leave."""
        text = f"""You are invited to join the organization "{organization}" at {self._url}.

To accept, open this link within {format_duration(INVITATION_VALID_FOR)}:

  {self._url}{invitation_path(code)}

or, where you are signed in on the command line:

  statekeep invitations accept -i {code}

If you did not expect this, do nothing.
"""
        await self._send(Mail(email, f"Invitation to {organization}", text))

    async def send_sign_in_link(self, email: EmailAddress, token: str) -> None:
        """Raises TooManyRequests, and MailUnavailable where it did not leave."""
        text = f"""To sign in to {self._url}, open this link within {format_duration(SIGN_IN_LINK_VALID_FOR)}. It is good once.

  {self._url}{sign_in_path(token)}

If it was not you who asked for it, do nothing: nobody can sign in without this mail.
"""
        await self._send(Mail(email, "Sign in", text))

    async def _send(self, mail: Mail) -> None:
        self._rates.admit_mail(mail.to)
        try:
            await self._mailer.send(mail)
        except MailNotSent as error:
            _log.warning("mail_not_sent", reason=str(error))
            raise MailUnavailable(
                "the mail could not be sent; the server's log says why", retry_after_seconds=60
            ) from error

"""How often people may try, and how often others may make the server work for them, before it is known who they are.

What must stay true: no number of tries finds a code of eight letters while it is good, and nobody's mailbox is filled by us.
"""

from __future__ import annotations

from collections.abc import Callable

from statekeep.application.rate_limits import Buckets
from statekeep.domain import limits
from statekeep.domain.errors import TooManyRequests
from statekeep.domain.names import EmailAddress, UserId

_EVERYBODY = 0


class PeopleRates:
    """Counts from zero when the server starts. `now` is in seconds and never goes back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._mails_to = Buckets(limits.MAILS_TO_ONE_RATE, "mails to one address")
        self._mails = Buckets(limits.MAILS_RATE, "mails")
        self._tries = Buckets(limits.CODE_TRIES_RATE, "tries of one user")
        self._device_logins = Buckets(limits.DEVICE_LOGINS_RATE, "device logins")
        self._wrong_links = Buckets(limits.WRONG_LINKS_RATE, "links that lead nowhere")

    def admit_mail(self, email: EmailAddress) -> None:
        """Count one mail. Raises TooManyRequests, also where all mails together are too many."""
        self._take(self._mails_to, hash(email), "too many mails to this address")
        self._take(self._mails, _EVERYBODY, "too many mails")

    def admit_try(self, user_id: UserId) -> None:
        """Count one code that a user types or pastes, as if it were wrong. Raises TooManyRequests."""
        self._take(self._tries, hash(user_id), "too many tries")

    def forgive_try(self, user_id: UserId) -> None:
        """The last one was right: it does not count."""
        self._tries.give_back(hash(user_id))

    def admit_device_login(self) -> None:
        """Count one login that a device begins. Raises TooManyRequests."""
        self._take(self._device_logins, _EVERYBODY, "too many logins begin at the moment")

    def admit_link(self) -> None:
        """Count one link that a stranger opens, as if it led nowhere. Raises TooManyRequests."""
        self._take(self._wrong_links, _EVERYBODY, "too many links are being tried")

    def forgive_link(self) -> None:
        """The last one was good: it does not count."""
        self._wrong_links.give_back(_EVERYBODY)

    def _take(self, buckets: Buckets, name: int, complaint: str) -> None:
        try:
            buckets.take(name, self._now())
        except TooManyRequests as error:
            seconds = error.retry_after_seconds
            raise TooManyRequests(
                f"{complaint}: come back in {seconds} s", retry_after_seconds=seconds
            ) from error

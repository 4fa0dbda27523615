"""Signing in by a link that is good once.

A link is a statement that the server's key signs: whoever has the key, as the operator does, makes one without asking the server. That it was used is remembered
until it expires. What must stay true: nobody learns from us whether there is somebody with an address.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, NamedTuple

import structlog

from statekeep.application.ids import new_id
from statekeep.application.links import is_own_path
from statekeep.application.people_rates import PeopleRates
from statekeep.application.post import Post
from statekeep.application.sessions import BegunSession, Sessions
from statekeep.domain.errors import AlreadyExists, ComeBackLater, InvalidParameter, InvalidState
from statekeep.domain.limits import SIGN_IN_LINK_VALID_FOR
from statekeep.domain.names import EmailAddress, UserId, parse_email
from statekeep.domain.people import LinkUse, SessionKind, User
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.entropy import Entropy
from statekeep.ports.people import PeopleStore
from statekeep.ports.tokens import Tokens

_PURPOSE: Final = "sign-in"
_VALID_FOR_S: Final = int(SIGN_IN_LINK_VALID_FOR.total_seconds())

_log = structlog.get_logger(__name__)


class SignInLink(NamedTuple):
    """What a link says. `email` is None for the owner, and `next_path` where one goes when signed in, if it matters."""

    use: LinkUse
    email: EmailAddress | None
    next_path: str | None


class OfferedSignIn(NamedTuple):
    """A link as whoever opens it sees it."""

    email: EmailAddress
    next_path: str | None


class SignInLinks:
    """Makes links, and reads them. Knows nobody."""

    def __init__(self, tokens: Tokens, clock: Clock, entropy: Entropy) -> None:
        self._tokens = tokens
        self._clock = clock
        self._entropy = entropy

    def make(self, email: EmailAddress | None, next_path: str | None = None) -> str:
        """The token of a link for whoever has that address, or for the owner."""
        claims: dict[str, Any] = {"id": new_id("lnk", self._entropy), "email": email}
        if next_path is not None and is_own_path(next_path):
            claims["next"] = next_path
        return self._tokens.sign(
            _PURPOSE, claims, now=self._clock.now_ms() / 1000, valid_for_seconds=_VALID_FOR_S
        )

    def read(self, token: str) -> SignInLink:
        """What a token says that `make` made. Raises InvalidParameter where it is none, or has expired."""
        now_ms = self._clock.now_ms()
        try:
            claims = self._tokens.verify(_PURPOSE, token, now=now_ms / 1000)
        except InvalidParameter as error:
            raise InvalidParameter(
                "this link is incomplete or has expired: ask for another", parameter="token"
            ) from error
        # It ends no later than it would if it had been made now.
        ends = datetime_of(now_ms) + SIGN_IN_LINK_VALID_FOR + timedelta(seconds=1)
        return SignInLink(LinkUse(claims["id"], ends), claims["email"], claims.get("next"))


class SignIn:
    """Lets people in who have a link, and sends links to those who have none."""

    def __init__(
        self,
        people: PeopleStore,
        links: SignInLinks,
        sessions: Sessions,
        rates: PeopleRates,
        clock: Clock,
        entropy: Entropy,
        *,
        post: Post | None,
    ) -> None:
        self._people = people
        self._links = links
        self._sessions = sessions
        self._rates = rates
        self._clock = clock
        self._entropy = entropy
        self._post = post
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def sends_links(self) -> bool:
        """Can people ask for a link themselves?"""
        return self._post is not None

    def request_link(self, email: str, next_path: str | None = None) -> None:
        """Mail a link, if there is somebody with that address. Returns at once, alike in every case. Raises InvalidParameter where it is no address."""
        address = parse_email(email)
        if self._post is None:
            raise InvalidState("this server sends no mail: its operator makes sign-in links")
        task = asyncio.create_task(self._mail_link(self._post, address, next_path))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _mail_link(self, post: Post, email: EmailAddress, next_path: str | None) -> None:
        try:
            if await self._people.user_by_email(email) is not None:
                # Too many, or no mail server: whoever asked must not learn that from us.
                with suppress(ComeBackLater):
                    await post.send_sign_in_link(email, self._links.make(email, next_path))
        except Exception:
            _log.exception("sign_in_link_not_sent")

    async def close(self) -> None:
        """Let what is on its way arrive. It is bounded in time."""
        await asyncio.gather(*self._sending)

    async def look(self, token: str) -> OfferedSignIn:
        """Whom the link signs in. Raises InvalidParameter and TooManyRequests."""
        link = self._read(token)
        return OfferedSignIn(link.email or (await self._owner()).email, link.next_path)

    async def sign_in(self, token: str, label: str) -> BegunSession:
        """A session in a browser for whom the link is, who is new here or not.

        Raises InvalidState where it was used before, and what `look` raises.
        """
        link = self._read(token)
        user_id = await self._user_of(link)
        await self._sessions.verify_email(user_id)
        try:
            return await self._sessions.begin(user_id, SessionKind.BROWSER, label, link=link.use)
        except AlreadyExists as error:
            raise InvalidState("this link was used before: ask for another") from error

    def _read(self, token: str) -> SignInLink:
        self._rates.admit_link()
        link = self._links.read(token)
        self._rates.forgive_link()
        return link

    async def _user_of(self, link: SignInLink) -> UserId:
        if link.email is None:
            return (await self._owner()).id
        found = await self._people.user_by_email(link.email)
        if found is not None:
            return found.id
        now = datetime_of(self._clock.now_ms())
        user = User(UserId(new_id("usr", self._entropy)), link.email, now)
        await self._people.create_user(user)
        return user.id

    async def _owner(self) -> User:
        owner = await self._people.first_user()
        assert owner is not None, "the first start makes one"
        return owner

"""The use cases about people, put together: they know each other, and nothing else needs to know how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from statekeep.application.authenticate import Authenticator
from statekeep.application.device_logins import DeviceLogins
from statekeep.application.invitations import Invitations
from statekeep.application.members import Members
from statekeep.application.people_rates import PeopleRates
from statekeep.application.post import Post
from statekeep.application.sessions import Sessions
from statekeep.application.sign_in import SignIn, SignInLinks
from statekeep.ports.clock import Clock
from statekeep.ports.entropy import Entropy
from statekeep.ports.mail import Mailer
from statekeep.ports.store import Catalog
from statekeep.ports.tokens import Tokens


@dataclass(frozen=True, slots=True)
class People:
    """What people can do, before and after it is known who they are."""

    sessions: Sessions
    members: Members
    invitations: Invitations
    sign_in: SignIn
    device_logins: DeviceLogins


def people_use_cases(
    catalog: Catalog,
    tokens: Tokens,
    authenticator: Authenticator,
    clock: Clock,
    entropy: Entropy,
    now: Callable[[], float],
    *,
    mailer: Mailer | None,
    url: str,
) -> People:
    """All of them, for the server at `url`. Without a `mailer` it sends no mail. `now` is in seconds and never goes back."""
    rates = PeopleRates(now)
    post = None if mailer is None else Post(mailer, rates, url)
    sessions = Sessions(catalog, tokens, authenticator, clock, entropy)
    links = SignInLinks(tokens, clock, entropy)
    return People(
        sessions=sessions,
        members=Members(catalog, authenticator),
        invitations=Invitations(catalog, sessions, authenticator, rates, clock, entropy, post=post),
        sign_in=SignIn(catalog, links, sessions, rates, clock, entropy, post=post),
        device_logins=DeviceLogins(sessions, rates, entropy, now),
    )

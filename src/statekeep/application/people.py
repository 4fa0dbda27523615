"""The use cases about people, put together: they know each other, and nothing else needs to know how."""

from __future__ import annotations

from dataclasses import dataclass

from statekeep.application.authenticate import Authenticator
from statekeep.application.invitations import Invitations
from statekeep.application.members import Members
from statekeep.application.people_rates import PeopleRates
from statekeep.application.post import Post
from statekeep.application.sessions import Sessions
from statekeep.ports.clock import Clock
from statekeep.ports.entropy import Entropy
from statekeep.ports.store import Catalog


@dataclass(frozen=True, slots=True)
class People:
    """What people can do, before and after it is known who they are."""

    sessions: Sessions
    members: Members
    invitations: Invitations


def people_use_cases(
    catalog: Catalog,
    sessions: Sessions,
    authenticator: Authenticator,
    rates: PeopleRates,
    clock: Clock,
    entropy: Entropy,
    *,
    post: Post | None,
) -> People:
    """All of them. Without `post` the server sends no mail."""
    return People(
        sessions=sessions,
        members=Members(catalog, authenticator),
        invitations=Invitations(catalog, sessions, authenticator, rates, clock, entropy, post=post),
    )

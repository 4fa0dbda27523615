"""What is there after the first start, however often it was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from statekeep.application.first_start import FirstStart
from statekeep.domain import limits
from statekeep.domain.access import SCOPES
from statekeep.domain.errors import AlreadyExists, Unauthenticated
from statekeep.domain.names import EmailAddress
from statekeep.domain.people import SessionKind
from statekeep.ports.credentials import Credentials
from tests.support.entropy import SeededEntropy
from tests.support.people import People

URL = "http://127.0.0.1:8080"


class Shelf:
    """Credentials in memory (ports.credentials.CredentialsStore)."""

    def __init__(self) -> None:
        self.credentials: Credentials | None = None
        self.writes = 0

    def read(self) -> Credentials | None:
        return self.credentials

    def write(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.writes += 1


class Killed(BaseException):
    """The process ended here."""


class Fuse:
    """Kills at the step it was set to: steps are numbered before and after each write."""

    def __init__(self, step: int) -> None:
        self._left = step

    def burn(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed


@pytest.fixture
def people():
    return People()


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def start(people, shelf):
    """One start of the server; with `fuse`, one that may be killed at any write."""

    async def start(
        api_url: str = URL, *, fuse: Fuse | None = None, owner: str | None = None
    ) -> Credentials:
        with pytest.MonkeyPatch.context() as patch:
            if fuse is not None:
                for name in ("create_user", "create_organization", "create_session"):
                    patch.setattr(people.store, name, _mortal(getattr(people.store, name), fuse))
                patch.setattr(shelf, "write", _mortal_sync(shelf.write, fuse))
            use_case = FirstStart(
                people.store,
                people.tokens,
                people.sessions,
                shelf,
                people.clock,
                people.entropy,
                owner_email=None if owner is None else EmailAddress(owner),
            )
            return await use_case.complete(api_url)

    return start


def _mortal(write: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def mortal(*args: Any, **named: Any) -> Any:
        fuse.burn()
        result = await write(*args, **named)
        fuse.burn()
        return result

    return mortal


def _mortal_sync(write: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    def mortal(*args: Any) -> None:
        fuse.burn()
        write(*args)
        fuse.burn()

    return mortal


async def caller_of(people, credentials):
    header = f"Bearer {credentials.token}".encode()
    return await people.authenticator.authenticate(
        header, credentials.organization_id.encode(), None
    )


async def test_the_credentials_open_everything(people, shelf, start):
    """They name the server and an organization whose admin they are a session of."""
    credentials = await start()
    assert shelf.credentials == credentials
    assert credentials.api_url == URL
    caller = await caller_of(people, credentials)
    assert caller.scopes == SCOPES
    (membership,) = await people.organizations.list(caller)
    assert membership.organization.name == "default"
    assert membership.organization.allow_anonymous_access
    assert caller.user_id == (await people.store.first_user()).id


async def test_a_second_start_changes_nothing(people, shelf, start):
    """Tokens that were copied somewhere stay the current ones."""
    assert await start() == await start()
    assert shelf.writes == 1
    user = await people.store.first_user()
    assert len(await people.store.memberships(user.id)) == 1


@pytest.mark.parametrize("step", range(8))
async def test_a_start_that_was_killed_is_completed_by_the_next(people, shelf, start, step):
    """Wherever it was: there is one admin, one organization, and credentials for both."""
    with pytest.raises(Killed):
        await start(fuse=Fuse(step))
    credentials = await start()
    assert (await caller_of(people, credentials)).scopes == SCOPES
    user = await people.store.first_user()
    (membership,) = await people.store.memberships(user.id)
    assert membership.organization.id == credentials.organization_id
    assert shelf.credentials == credentials


async def test_eight_steps_are_all_there_are(start):
    """So the test above misses none."""
    await start(fuse=Fuse(8))


async def test_a_token_is_renewed_a_month_before_its_end(people, shelf, start):
    """A server that is started now and then never locks its operator out."""
    first = await start()
    lasts = limits.SERVER_SESSION_VALID_FOR - limits.SERVER_SESSION_RENEWED_BEFORE
    people.clock.advance(seconds=lasts.total_seconds())
    assert await start() == first
    people.clock.advance(seconds=1)
    second = await start()
    assert second.token != first.token
    assert second == shelf.credentials
    people.clock.advance(seconds=lasts.total_seconds())
    assert (await caller_of(people, second)).scopes == SCOPES


async def test_another_address_is_written_down(shelf, start):
    """The organization stays the same."""
    first = await start()
    second = await start("https://keep.example.com")
    assert second.api_url == "https://keep.example.com"
    assert second.organization_id == first.organization_id
    assert shelf.credentials == second


async def test_a_session_that_was_ended_is_replaced(people, start):
    """Whoever has lost the file can end what is in it."""
    first = await start()
    await people.sessions.end_current(await caller_of(people, first))
    second = await start()
    assert (await caller_of(people, second)).scopes == SCOPES
    with pytest.raises(Unauthenticated):
        await caller_of(people, first)


async def test_the_owner_has_the_address_that_was_chosen(people, start):
    """At the first start or at a later one; without a choice the one of before stays."""
    for chosen, known in (
        (None, "admin@localhost"),
        ("ada@example.com", "ada@example.com"),
        (None, "ada@example.com"),
        ("ada@example.org", "ada@example.org"),
    ):
        caller = await caller_of(people, await start(owner=chosen))
        assert (await people.sessions.who(caller)).user.email == known


async def test_the_owner_takes_nobodys_address(people, start):
    """The start fails and says so."""
    await start()
    await people.new_user("bob")
    with pytest.raises(AlreadyExists):
        await start(owner="bob@example.com")


async def test_a_token_that_is_not_ours_is_replaced(people, shelf, start):
    """As after the server's key was changed, or the file was copied from another server."""
    good = await start()
    stranger = People(entropy=SeededEntropy(1))
    kind = SessionKind.SERVER
    foreign = await stranger.session_of(await stranger.new_user(), kind=kind)
    for token in ("", "x", foreign.removeprefix(b"Bearer ").decode()):
        shelf.credentials = good._replace(token=token)
        assert (await caller_of(people, await start())).scopes == SCOPES


async def test_a_session_of_somebody_else_is_replaced(people, shelf, start):
    """The file is the admin's."""
    good = await start()
    bob = await people.new_user("bob")
    session = await people.session_of(bob, kind=SessionKind.SERVER)
    token = session.removeprefix(b"Bearer ").decode()
    shelf.credentials = good._replace(token=token)
    assert (await caller_of(people, await start())).user_id != bob


async def test_the_first_organization_stays_the_default(people, start):
    """However many the admin makes later."""
    first = await start()
    people.clock.advance(seconds=1)
    caller = await caller_of(people, first)
    await people.organizations.create(caller, "another", allow_anonymous_access=False)
    assert await start() == first

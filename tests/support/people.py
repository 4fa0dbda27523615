"""Members, keys and organizations, and what checks who they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from statekeep.application.authenticate import Authenticator
from statekeep.application.ids import new_id
from statekeep.application.keys import Keys
from statekeep.application.organizations import Organizations
from statekeep.application.sessions import Sessions
from statekeep.domain.access import SCOPES, AuthContext
from statekeep.domain.machine import Key, Organization
from statekeep.domain.names import EmailAddress, KeyId, OrganizationId, UserId
from statekeep.domain.people import SessionKind, User
from statekeep.ports.clock import datetime_of
from statekeep.storage.memory.store import MemoryStore
from statekeep.tokens.jwt import JwtTokens
from statekeep.tokens.server_key import ServerKey
from tests.support.clock import FakeClock
from tests.support.entropy import SeededEntropy
from tests.support.forgery import key_token

SECRET = "sbsec_" + "s" * 43


@dataclass
class People:
    """A server's worth of people, empty at first."""

    store: MemoryStore = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)

    def __post_init__(self) -> None:
        key = ServerKey(self.entropy.token_bytes(32))
        self.tokens = JwtTokens(key, self.entropy, public_url="http://127.0.0.1:8080")
        self.authenticator = Authenticator(self.store, self.tokens, self.clock)
        self.sessions = Sessions(
            self.store, self.tokens, self.authenticator, self.clock, self.entropy
        )
        self.keys = Keys(self.store, self.tokens, self.authenticator, self.clock, self.entropy)
        self.organizations = Organizations(
            self.store, self.tokens, self.authenticator, self.clock, self.entropy
        )

    async def new_user(self, name: str = "ada") -> UserId:
        user_id = UserId(new_id("usr", self.entropy))
        email = EmailAddress(f"{name}@example.com")
        await self.store.create_user(User(user_id, email, datetime_of(self.clock.now_ms())))
        return user_id

    async def new_organization(self, admin: UserId) -> OrganizationId:
        organization_id = OrganizationId(new_id("org", self.entropy))
        # Ages differ, so that the order of lists is certain.
        self.clock.advance(seconds=1)
        now = datetime_of(self.clock.now_ms())
        await self.store.create_organization(
            Organization(organization_id, "acme", now, allow_anonymous_access=False), admin
        )
        return organization_id

    async def new_key(
        self, organization_id: OrganizationId, scopes: frozenset[str] = SCOPES
    ) -> KeyId:
        """Its secret is `SECRET`."""
        key_id = KeyId(new_id("sbk", self.entropy))
        key = Key(key_id, organization_id, "a key", scopes, datetime_of(self.clock.now_ms()))
        await self.store.create_key(key, self.tokens.seal(SECRET))
        return key_id

    async def session_of(self, user_id: UserId, *, kind: SessionKind = SessionKind.DEVICE) -> bytes:
        """The header of somebody who has signed in."""
        begun = await self.sessions.begin(user_id, kind, "a session")
        return f"Bearer {begun.token}".encode()

    def signed_with(self, key_id: KeyId, **claims: Any) -> bytes:
        """The header of an end user of whoever has the key."""
        return f"Bearer {key_token(key_id, SECRET, **claims)}".encode()


def as_key(organization_id: OrganizationId, *scopes: str) -> AuthContext:
    """A caller with a key."""
    return AuthContext(organization_id, None, frozenset(scopes), b"{}")


def as_member(organization_id: OrganizationId | None, user_id: UserId) -> AuthContext:
    """A caller with a session and, in an organization, every scope."""
    return AuthContext(
        organization_id, user_id, frozenset() if organization_id is None else SCOPES, b"{}"
    )

"""API keys: made, listed, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from statekeep.application.authenticate import KEYS_SCOPE, Authenticator
from statekeep.application.ids import new_id, new_secret
from statekeep.application.labels import parse_label
from statekeep.domain.access import SCOPES, SCOPES_BY_USE, AuthContext, require_scope
from statekeep.domain.errors import InvalidParameter, NotFound
from statekeep.domain.machine import Key
from statekeep.domain.names import KeyId
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.entropy import Entropy
from statekeep.ports.pages import Page
from statekeep.ports.store import Catalog
from statekeep.ports.tokens import Tokens


class NewKey(NamedTuple):
    """A key that was just made. Nobody can read its secret again."""

    id: KeyId
    secret: str


class Keys:
    """What callers may do with the keys of their organization."""

    def __init__(
        self,
        catalog: Catalog,
        tokens: Tokens,
        authenticator: Authenticator,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._authenticator = authenticator
        self._clock = clock
        self._entropy = entropy

    async def create(
        self, caller: AuthContext, name: str, use: str | None, scopes: Sequence[str] | None
    ) -> NewKey:
        """A key with `scopes`, or with those that `use` stands for where none are named.

        Whoever may make keys may give them scopes it does not hold itself, as an admin does for a key that sends events.
        Raises InvalidParameter for an unknown scope or use, and where neither is given.
        """
        organization_id = require_scope(caller, KEYS_SCOPE)
        key = Key(
            KeyId(new_id("sbk", self._entropy)),
            organization_id,
            parse_label(name),
            _parse_scopes(use, scopes),
            datetime_of(self._clock.now_ms()),
        )
        secret = new_secret(self._entropy)
        await self._catalog.create_key(key, self._tokens.seal(secret))
        return NewKey(key.id, secret)

    async def list(self, caller: AuthContext, cursor: str | None) -> Page[Key]:
        """Newest first."""
        return await self._catalog.list_keys(require_scope(caller, KEYS_SCOPE), cursor=cursor)

    async def delete(self, caller: AuthContext, key_id: KeyId) -> None:
        """End a key: no request that comes after is let in with it. Raises NotFound."""
        organization_id = require_scope(caller, KEYS_SCOPE)
        if not await self._catalog.delete_key(organization_id, key_id):
            raise NotFound("there is no such key")
        self._authenticator.forget_key(key_id)


def _parse_scopes(use: str | None, scopes: Sequence[str] | None) -> frozenset[str]:
    # The official command line sends `use` along with scopes, which win.
    if scopes:
        unknown = sorted(set(scopes) - SCOPES)
        if unknown:
            raise InvalidParameter(f"there is no scope {unknown[0]!r}", parameter="scopes")
        return frozenset(scopes)
    if use is None:
        raise InvalidParameter("a key needs a use or scopes", parameter="use")
    if use not in SCOPES_BY_USE:
        known = " or ".join(SCOPES_BY_USE)
        raise InvalidParameter(f"the use of a key is {known}", parameter="use")
    return SCOPES_BY_USE[use]

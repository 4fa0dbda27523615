"""Who is asking: from the headers of a request to an `AuthContext` (SPEC 3).

What must stay true: whatever is remembered was checked, and nothing that was forgotten comes back. A check that was under way when
a key, a user or a session was forgotten may still answer its own request; its result is not remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from statekeep.domain import limits
from statekeep.domain.access import SCOPES_BY_ROLE, AuthContext, require_scope
from statekeep.domain.errors import MissingOrganization, Unauthenticated
from statekeep.domain.machine import Membership
from statekeep.domain.names import (
    IdentityProviderId,
    KeyId,
    OrganizationId,
    SessionId,
    TokenProviderId,
    UserId,
)
from statekeep.domain.people import SessionKind
from statekeep.domain.token_exchange import ANONYMOUS_SERVICE
from statekeep.ports.clock import Clock
from statekeep.ports.store import Catalog
from statekeep.ports.tokens import KeyClaims, Tokens

KEYS_SCOPE: Final = "org.keys.write"
"""To make keys; and so to act for somebody else, which is open to those who could make a key and sign as that somebody."""

_SKEW_MS: Final = limits.CLOCK_SKEW.total_seconds() * 1000

_Headers = tuple[bytes | None, bytes | None, bytes | None]


_Subject = KeyId | UserId | SessionId | IdentityProviderId | TokenProviderId


class _Checked(NamedTuple):
    """A caller, and everything whose end makes the token worth nothing."""

    caller: AuthContext
    subjects: tuple[_Subject, ...]


class Authenticator:
    """Turns the headers `authorization`, `x-statebacked-org-id` and `x-statebacked-act` into an `AuthContext`."""

    def __init__(self, catalog: Catalog, tokens: Tokens, clock: Clock) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._clock = clock
        self._remembered = _Memory(limits.CACHED_TOKENS_MAX, limits.CACHED_TOKENS_BYTES_MAX)

    def cached(
        self, authorization: bytes | None, organization: bytes | None, act: bytes | None
    ) -> AuthContext | None:
        """The caller, where these very headers were checked before and are still good. Never raises."""
        headers = (authorization, organization, act)
        # The first look-up would do without the second but for the time of a call, on the path of every event.
        checked = self._remembered.young.get(headers) or self._remembered.get(headers)
        if checked is None or checked.caller.expires_at_ms <= self._clock.now_ms():
            return None
        return checked.caller

    async def authenticate(
        self, authorization: bytes | None, organization: bytes | None, act: bytes | None
    ) -> AuthContext:
        """Check everything.

        Raises Unauthenticated for a token that proves nothing, MissingOrganization where the named organization is not the caller's,
        MissingScope where the caller may not act for others, and InvalidParameter where `act` is no JSON object.
        """
        forgotten_before = self._remembered.forgotten
        token = _bearer_token(authorization)
        key_id = self._tokens.peek(token).key_id
        if key_id is None:
            checked = await self._check_session(token, organization)
        else:
            checked = await self._check_key(key_id, token, organization)
        if act and checked.caller.organization_id is not None:
            checked = checked._replace(caller=self._acting(checked.caller, act))
        if self._remembered.forgotten == forgotten_before:
            self._remembered.put((authorization, organization, act), checked)
        return checked.caller

    def forget_key(self, key_id: KeyId) -> None:
        """From now on no token of this key is believed without asking the store."""
        self._remembered.forget(key_id)

    def forget_user(self, user_id: UserId) -> None:
        """The same for a member whose organizations or roles changed."""
        self._remembered.forget(user_id)

    def forget_session(self, session_id: SessionId) -> None:
        """The same for a session that has ended."""
        self._remembered.forget(session_id)

    def forget_provider(self, provider_id: IdentityProviderId | TokenProviderId) -> None:
        """The same for all tokens that were exchanged through this provider."""
        self._remembered.forget(provider_id)

    async def _check_key(self, key_id: KeyId, token: str, organization: bytes | None) -> _Checked:
        found = await self._catalog.key(key_id)
        if found is None:
            raise Unauthenticated("there is no such key")
        key, sealed_secret = found
        claims = self._tokens.verify_key_token(
            token, self._tokens.unseal(sealed_secret), now=self._now_s()
        )
        if organization and _text(organization) != key.organization_id:
            raise MissingOrganization("the key belongs to another organization")
        caller = AuthContext(
            key.organization_id,
            None,
            key.scopes,
            claims.auth_context,
            expires_at_ms=_until_ms(claims.expires_at),
            anonymous_session=await self._anonymous_session(key.organization_id, claims),
        )
        return _Checked(caller, (key_id, *(claims.exchange or ())))

    async def _anonymous_session(
        self, organization_id: OrganizationId, claims: KeyClaims
    ) -> str | None:
        """Raises Unauthenticated for a token that was exchanged through what is gone."""
        if claims.exchange is None:
            return None
        service = await self._catalog.service_of_exchange(organization_id, claims.exchange)
        if service is None:
            raise Unauthenticated(
                "the provider through which this token was exchanged was changed or deleted: exchange a new one"
            )
        return (claims.session_id or "") if service == ANONYMOUS_SERVICE else None

    async def _check_session(self, token: str, organization: bytes | None) -> _Checked:
        claims = self._tokens.verify_session(token, now=self._now_s())
        session = await self._catalog.session(claims.session_id)
        # A browser sends its session along on its own: that is for pages, where a request also shows that it comes from one.
        if session is None or session.kind is SessionKind.BROWSER:
            raise Unauthenticated("the session has ended: sign in again")
        memberships = await self._catalog.memberships(claims.user_id)
        membership = _pick(memberships, organization)
        caller = AuthContext(
            None if membership is None else membership.organization.id,
            claims.user_id,
            frozenset() if membership is None else SCOPES_BY_ROLE[membership.role],
            claims.auth_context,
            is_member_of_several=membership is None and len(memberships) > 1,
            expires_at_ms=_until_ms(claims.expires_at),
            session_id=claims.session_id,
        )
        return _Checked(caller, (claims.user_id, claims.session_id))

    def _acting(self, caller: AuthContext, act: bytes) -> AuthContext:
        require_scope(caller, KEYS_SCOPE)
        return replace(caller, claims=self._tokens.read_claims(act))

    def _now_s(self) -> float:
        return self._clock.now_ms() / 1000


class _Memory:
    """What was checked, in two generations of which the older one is dropped when the younger is full.

    So at most `size` entries of `bytes_max` together, the ones that were used lately among them, and nothing to keep in order at each use.
    """

    def __init__(self, size: int, bytes_max: int) -> None:
        self._generation_size = size // 2
        self._generation_bytes_max = bytes_max // 2
        self._young_bytes = 0
        self.young: dict[_Headers, _Checked] = {}
        self._old: dict[_Headers, _Checked] = {}
        self.forgotten = 0
        """Counts calls of `forget`."""

    def get(self, headers: _Headers) -> _Checked | None:
        checked = self.young.get(headers)
        if checked is None:
            checked = self._old.pop(headers, None)
            if checked is not None:
                self.put(headers, checked)
        return checked

    def put(self, headers: _Headers, checked: _Checked) -> None:
        count = len(checked.caller.claims) + sum(len(header) for header in headers if header)
        if (
            len(self.young) >= self._generation_size
            or self._young_bytes + count > self._generation_bytes_max
        ):
            self._old, self.young, self._young_bytes = self.young, {}, 0
        self.young[headers] = checked
        self._young_bytes += count

    def forget(self, subject: _Subject) -> None:
        self.forgotten += 1
        for generation in (self.young, self._old):
            for headers in [h for h, checked in generation.items() if subject in checked.subjects]:
                del generation[headers]


def _bearer_token(authorization: bytes | None) -> str:
    scheme, _, token = (authorization or b"").strip().partition(b" ")
    if scheme.lower() != b"bearer" or not token:
        raise Unauthenticated(
            "a header of the form 'authorization: Bearer TOKEN' is needed (for streams and sockets, token=TOKEN in the query will do)"
        )
    return _text(token.strip())


def _pick(memberships: Sequence[Membership], organization: bytes | None) -> Membership | None:
    """The membership in the named organization, or in the only one; None where the caller has to say which."""
    if not organization:
        return memberships[0] if len(memberships) == 1 else None
    name = OrganizationId(_text(organization))
    for membership in memberships:
        if membership.organization.id == name:
            return membership
    raise MissingOrganization("you are not a member of this organization")


def _text(header: bytes) -> str:
    return header.decode("latin-1")


def _until_ms(expires_at_s: float | None) -> float:
    return float("inf") if expires_at_s is None else expires_at_s * 1000 + _SKEW_MS

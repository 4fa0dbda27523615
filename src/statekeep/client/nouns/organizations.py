"""Organizations and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from statekeep.client.models import Key, NewKey, Organization
from statekeep.client.noun import Noun, Shell, listing, operation
from statekeep.client.pages import Listing
from statekeep.client.steps import Request, Steps, ask, tell

_ORGANIZATIONS: Final = "/orgs"
_KEYS: Final = "/keys"


class _NewOrganization(msgspec.Struct):
    id: str


class Orgs(Noun[Shell]):
    """Organizations that the caller is a member of."""

    @listing
    def list(self, *, cursor: str | None = None) -> Listing[Organization]:
        """Organizations, oldest first."""
        return Listing(Request("GET", _ORGANIZATIONS), "orgs", Organization, cursor)

    @operation
    def create(self, name: str, *, allow_anonymous_access: bool = True) -> Steps[str]:
        """A new organization, with the caller as its admin. Returns its id."""
        body = {"name": name, "allowAnonymousAccess": allow_anonymous_access}
        answer = yield from ask(Request("POST", _ORGANIZATIONS, body=body), _NewOrganization)
        return answer.id


class Keys(Noun[Shell]):
    """API keys: what tokens for end users are signed with."""

    @listing
    def list(self, *, cursor: str | None = None) -> Listing[Key]:
        """Keys, newest first."""
        return Listing(Request("GET", _KEYS), "keys", Key, cursor)

    @operation
    def create(
        self,
        name: str,
        *,
        use: Literal["production", "ci"] | None = None,
        scopes: Sequence[str] | None = None,
    ) -> Steps[NewKey]:
        """A new key, for a use ("production" or "ci") or with scopes; scopes win. Its secret is in what is returned and nowhere else."""
        body = {"name": name, "use": use, "scopes": None if scopes is None else [*scopes]}
        return ask(Request("POST", _KEYS, body=body), NewKey)

    @operation
    def delete(self, key_id: str) -> Steps[None]:
        """A key, and with it every token that it signed, at once."""
        return tell(Request("DELETE", f"{_KEYS}/{{key}}", {"key": key_id}))

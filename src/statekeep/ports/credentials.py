"""Where an operator finds the first credentials."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from statekeep.domain.names import OrganizationId


class Credentials(NamedTuple):
    """All that a client on this machine needs: where the server is, the first organization, and a session of its first member."""

    api_url: str
    organization_id: OrganizationId
    token: str


class CredentialsStore(Protocol):
    """One place for one set of credentials, readable by nobody but the user who runs the server."""

    def read(self) -> Credentials | None:
        """What was written last; None where nothing is or where it makes no sense."""
        ...

    def write(self, credentials: Credentials) -> None:
        """Replace it, durably and as a whole: a reader sees the old or the new, also after a crash."""
        ...

"""The server itself."""

from __future__ import annotations

from statekeep.client.models import Health
from statekeep.client.noun import Noun, Shell, operation
from statekeep.client.steps import Request, Steps, ask


class Server(Noun[Shell]):
    """The server."""

    @operation
    def health(self) -> Steps[Health]:
        """Raises OverloadedError, or NotConnectedError, where it takes no requests."""
        return ask(Request("GET", "/healthz", is_authorized=False), Health)

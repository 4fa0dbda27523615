"""What an organization uses."""

from __future__ import annotations

from typing import Final

from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.machine import Usage
from statekeep.ports.store import Catalog

USAGE_SCOPE: Final = "org.read"


class Usages:
    """Counts, each made when it is asked for."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def of(self, caller: AuthContext) -> Usage:
        """That of the caller's organization."""
        return await self._catalog.usage(require_scope(caller, USAGE_SCOPE))

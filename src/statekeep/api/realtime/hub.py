"""What all realtime connections share: the use cases behind them, and the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from statekeep.api.http.services import Services

if TYPE_CHECKING:
    from statekeep.api.realtime.connection import RealtimeConnection

_SWEEP_SECONDS: Final = 1.0


class Connections:
    """The open connections. One timer for all of them: each of its own would cost more than the rest of an idle one does."""

    def __init__(self) -> None:
        self._open: set[RealtimeConnection] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: RealtimeConnection) -> None:
        """Look after it from now on."""
        self._open.add(connection)
        if self._sweeping is None:
            self._sweep()

    def discard(self, connection: RealtimeConnection) -> None:
        """It is closed."""
        self._open.discard(connection)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._open):
            connection.look_at_clock(now)
        self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep) if self._open else None


class Hub:
    """Handed to every connection. `allows` tells whether pages of an origin may connect."""

    def __init__(self, services: Services, allows: Callable[[str | None], bool]) -> None:
        self.services = services
        self.allows = allows
        self.connections = Connections()

"""Looking up the addresses of names, on threads of its own.

What must stay true: whoever gives a lookup up is not held up by it, and neither is anybody else. The system's resolver cannot be broken off, and
waits for half a minute where nobody answers for a name; the loop's own threads are few (libuv has two for names), and other work needs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from threading import Thread

from statekeep.domain import limits

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TooManyLookups(OSError):
    """As many names are being looked up as may be."""


class Lookups:
    """At most LOOKUPS_MAX at once, those among them that were given up and have not ended."""

    def __init__(self) -> None:
        self._under_way = 0

    async def addresses_of(self, host: str, port: int) -> Sequence[Address]:
        """In the order in which they should be tried. Raises OSError or UnicodeError where there are none, and TooManyLookups."""
        if self._under_way >= limits.LOOKUPS_MAX:
            raise TooManyLookups("too many names are being looked up, and nobody answers for them")
        found: asyncio.Future[list[Address]] = asyncio.get_running_loop().create_future()
        # Daemons, so that a process ends without waiting for them.
        Thread(
            target=self._look_up, args=(host, port, found), name="statekeep-lookup", daemon=True
        ).start()
        self._under_way += 1
        return await found

    def _look_up(self, host: str, port: int, found: asyncio.Future[list[Address]]) -> None:
        outcome: list[Address] | Exception
        try:
            places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            outcome = [ipaddress.ip_address(str(place[0])) for *_, place in places]
        except Exception as error:
            outcome = error
        # A loop that was closed meanwhile has nobody who waits.
        with contextlib.suppress(RuntimeError):
            found.get_loop().call_soon_threadsafe(self._end, found, outcome)

    def _end(
        self, found: asyncio.Future[list[Address]], outcome: list[Address] | Exception
    ) -> None:
        self._under_way -= 1
        if found.done():
            return
        if isinstance(outcome, Exception):
            found.set_exception(outcome)
        else:
            found.set_result(outcome)

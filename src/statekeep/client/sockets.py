"""What both shells say to websockets, and what they make of what it says.

It is imported where a socket is opened: most programs never open one, and need not wait for what takes as long to import as all
the rest of the client.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from statekeep.client.errors import (
    ApiError,
    ConnectionFailedError,
    NotConnectedError,
    OverloadedError,
    UnauthenticatedError,
    error_of,
)
from statekeep.client.steps import Dial

if TYPE_CHECKING:
    from websockets.exceptions import ConnectionClosed

OPEN_SECONDS_MAX: Final = 10
CLOSE_SECONDS_MAX: Final = 2
"""Who stops listening does not wait longer for the server to take notice."""
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
_UNAUTHENTICATED: Final = 4401
_COME_BACK: Final = (1012, 1013)
"""The server is stopping, or has no room (RFC 6455, IANA registry of close codes)."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """How sockets are opened: with which certificates trusted, and whether a proxy of the environment is used."""

    ssl_context: ssl.SSLContext | None
    trusts_environment: bool

    def words(self, dial: Dial) -> dict[str, Any]:
        """A socket to be opened, in the words of websockets."""
        return {
            "uri": dial.url,
            "additional_headers": dial.headers,
            "user_agent_header": None,
            "ssl": self.ssl_context if dial.url.startswith("wss:") else None,
            "proxy": True if self.trusts_environment else None,
            "open_timeout": OPEN_SECONDS_MAX,
            "close_timeout": CLOSE_SECONDS_MAX,
            "max_size": MESSAGE_BYTES_MAX,
        }


@contextmanager
def dial_errors() -> Iterator[None]:
    """What websockets raises when no connection comes about becomes an error of ours."""
    from websockets.exceptions import InvalidStatus, WebSocketException

    try:
        yield
    except InvalidStatus as error:
        response = error.response
        retry_after = response.headers.get("retry-after")
        raise error_of(
            response.status_code, bytes(response.body or b""), retry_after=retry_after
        ) from None
    except (WebSocketException, OSError) as error:
        reason = str(error) or type(error).__name__
        raise NotConnectedError(f"no realtime connection: {reason}") from None


@contextmanager
def socket_errors() -> Iterator[None]:
    """What it raises when there is none any more."""
    from websockets.exceptions import ConnectionClosed

    try:
        yield
    except ConnectionClosed as error:
        raise _of_closed(error) from None


def _of_closed(error: ConnectionClosed) -> ApiError:
    if error.rcvd is None:
        return ConnectionFailedError("the realtime connection was lost")
    code, reason = error.rcvd.code, error.rcvd.reason
    if code == _UNAUTHENTICATED:
        return UnauthenticatedError(reason, status=UnauthenticatedError.of_status)
    if code in _COME_BACK:
        return OverloadedError(reason, status=OverloadedError.of_status)
    return ConnectionFailedError(f"the server ended the realtime connection ({code}): {reason}")

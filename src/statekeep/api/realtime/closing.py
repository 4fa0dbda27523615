"""Why realtime sockets end, as the other end gets to know it (RFC 6455, 7.4; codes from 4000 on are ours)."""

from __future__ import annotations

from typing import Final, NamedTuple


class Close(NamedTuple):
    """A code, and a reason of at most 123 bytes."""

    code: int
    reason: str


TEXT_ONLY: Final = Close(1003, "messages are JSON in text frames")
NO_ANSWER: Final = Close(1011, "a ping was not answered")
INTERNAL: Final = Close(1011, "something went wrong here")
SHUTTING_DOWN: Final = Close(1012, "the server is shutting down: connect again")
TRY_AGAIN: Final = Close(1013, "the server is busy: connect again")
EXPIRED: Final = Close(4401, "the token has expired, or never was good")
REVOKED: Final = Close(4401, "the token is not good any more")
IDLE: Final = Close(4408, "nothing was heard for too long: send a ping every five minutes")

"""Following an instance over the realtime socket (SPEC 5), however often its connection is lost.

What must stay true: every update that is emitted has a larger revision than the one before, and none in between is missing, unless only
the newest were asked for, or the instance was deleted and made again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import msgspec

from statekeep.client.clock import monotonic_seconds
from statekeep.client.errors import (
    ConnectionFailedError,
    OverloadedError,
    TooManyRequestsError,
    UnauthenticatedError,
    kind_of,
)
from statekeep.client.models import Update
from statekeep.client.retries import back_off_seconds
from statekeep.client.steps import (
    Connect,
    Emit,
    Emits,
    GiveUp,
    Hear,
    Pause,
    Say,
    decode,
)

PING_SECONDS: Final = 240.0
"""Servers close sockets whose client has said nothing for five minutes."""
_NOW: Final = 2**53 - 1
"""No instance has a revision as large as this: the server begins with the state as it is, and leaves out nothing from then on."""
_REQUEST_ID: Final = "1"
_PING: Final = '{"type":"ping"}'


class _Message(msgspec.Struct, rename="camel"):
    type: str
    request_id: str | None = None
    status: int = 0
    code: str | None = None
    error: str = ""


class Subscription:
    """What is followed, and how far it was seen. `since` is the revision to go on from; None begins with the state as it is."""

    def __init__(
        self, machine_name: str, instance_name: str, *, since: int | None, only_newest: bool
    ) -> None:
        self._names = {"machineName": machine_name, "machineInstanceName": instance_name}
        self._since = _NOW if since is None else since
        self._only_newest = only_newest
        self._seen: Update | None = None

    def request(self) -> str:
        """The message that asks for what was not seen yet."""
        fields: dict[str, str | int] = {
            "type": "subscribe-to-instance",
            "requestId": _REQUEST_ID,
            **self._names,
        }
        if not self._only_newest:
            fields["since"] = self._since if self._seen is None else self._seen.revision
        return json.dumps(fields)

    def read(self, text: bytes) -> Update | None:
        """An update that is new, if it is one. Raises the ApiError with which the subscription is over."""
        message = decode(text, _Message)
        if message.type == "error":
            raise kind_of(message.status, message.code)(
                message.error, status=message.status, code=message.code
            )
        if message.type != "instance-update":
            return None
        update = decode(text, Update)
        # After a lost connection the newest state is told again.
        if self._seen is not None and (update.revision, update.ts) == (
            self._seen.revision,
            self._seen.ts,
        ):
            return None
        self._seen = update
        return update


class Follower:
    """Follows a subscription for ever. Over with the ApiError that the server ends it with, or that keeps a first connection from coming about."""

    def __init__(
        self, subscription: Subscription, *, now: Callable[[], float] = monotonic_seconds
    ) -> None:
        self._subscription = subscription
        self._now = now
        self._was_connected = False
        self._failures = 0
        """Connections in a row that brought nothing."""
        self._was_refused = False
        """Whether a token was given up since something came."""

    def updates(self) -> Emits[Update]:
        """New updates, connection after connection."""
        token: str | None = None
        while True:
            try:
                token = yield Connect()
                self._was_connected = True
                yield from self._listen()
            except (ConnectionFailedError, OverloadedError, TooManyRequestsError) as error:
                if not self._was_connected:
                    raise
                self._failures += 1
                yield Pause(max(error.retry_after_seconds or 0, back_off_seconds(self._failures)))
            except UnauthenticatedError:
                if self._was_refused or not (yield GiveUp(token)):
                    raise
                self._was_refused = True

    def _listen(self) -> Emits[Update]:
        yield Say(self._subscription.request())
        ping_at = self._now() + PING_SECONDS
        while True:
            if (left := ping_at - self._now()) <= 0:
                yield Say(_PING)
                left, ping_at = PING_SECONDS, self._now() + PING_SECONDS
            text: bytes | None = yield Hear(left)
            update = None if text is None else self._subscription.read(text)
            if update is not None:
                self._failures, self._was_refused = 0, False
                yield Emit(update)

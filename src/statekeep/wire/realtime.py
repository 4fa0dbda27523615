"""Messages of the realtime socket (SPEC 5). Clients may send fields that we do not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from statekeep.wire.complaints import complaint


class SubscribeToInstance(
    Struct, rename="camel", tag_field="type", tag="subscribe-to-instance", frozen=True
):
    """Wants updates of an instance. With `since`, a revision, every one past it; without, the newest ones."""

    request_id: str
    machine_name: str
    machine_instance_name: str
    since: Annotated[int, Meta(ge=0)] | None = None


class UnsubscribeFromInstance(
    Struct, rename="camel", tag_field="type", tag="unsubscribe-from-instance", frozen=True
):
    """Wants no more of what was subscribed under this id."""

    request_id: str


class Ping(Struct, tag_field="type", tag="ping", frozen=True):
    """The client is still there."""


ClientMessage = SubscribeToInstance | UnsubscribeFromInstance | Ping


class SubscriptionError(Struct, rename="camel", tag_field="type", tag="error"):
    """There are no updates under this id, or no more. `status` and `code` as over HTTP, `error` for people."""

    status: int
    error: str
    request_id: str | UnsetType = UNSET
    code: str | UnsetType = UNSET


class InstanceUpdate(Struct, rename="camel", tag_field="type", tag="instance-update"):
    """The beginning of an update; the state itself, which is encoded already, follows. `request_id` names the subscription with `since`."""

    machine_name: str
    machine_instance_name: str
    revision: int
    request_id: str | UnsetType = UNSET


class UnreadableMessage(Exception):
    """A client's message that makes no sense; `request_id` where it has one."""

    def __init__(self, message: str, request_id: str | None) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id


class _AnyMessage(Struct, rename="camel"):
    request_id: Any = None


_decode: Final[Callable[[bytes], ClientMessage]] = msgspec.json.Decoder(ClientMessage).decode
_decode_any: Final = msgspec.json.Decoder(_AnyMessage).decode
encode: Final = msgspec.json.Encoder().encode


def read_message(text: bytes) -> ClientMessage:
    """Raises UnreadableMessage."""
    try:
        return _decode(text)
    except msgspec.ValidationError as error:
        reason, _ = complaint(error, ClientMessage, text)
        raise UnreadableMessage(reason, _request_id_in(text)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableMessage(f"the message is not JSON: {error}", None) from error


def update_json(update: InstanceUpdate, state: bytes) -> bytes:
    """An update with `state`, which is a JSON object."""
    return encode(update)[:-1] + b"," + state[1:]


def _request_id_in(text: bytes) -> str | None:
    try:
        request_id = _decode_any(text).request_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return request_id if isinstance(request_id, str) else None

"""Telling others that an instance changed."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from statekeep.domain.names import InstanceId


class InstanceChanged(NamedTuple):
    """A transition became durable. Sent in the order of the commits of an instance; what changed is read by whoever wants to know."""

    instance_id: InstanceId
    revision: int


class InstanceDeleted(NamedTuple):
    """There is no such instance any more."""

    instance_id: InstanceId


Notification = InstanceChanged | InstanceDeleted


class Notifier(Protocol):
    """Publishes only what is committed. Never waits for a reader and never fails the publisher."""

    def publish(self, notification: Notification) -> None:
        """Hand the notification to everyone who listens."""
        ...

"""Telling others that an instance changed."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from statekeep.domain.instance import InstanceKey, InstanceView
from statekeep.domain.names import InstanceId


class InstanceChanged(NamedTuple):
    """A revision became durable. Sent in the order of the commits of an instance."""

    instance_id: InstanceId
    key: InstanceKey
    view: InstanceView


class Notifier(Protocol):
    """Publishes only what is committed. Never waits for a reader and never fails the publisher."""

    def publish(self, change: InstanceChanged) -> None:
        """Hand the change to everyone who listens."""
        ...

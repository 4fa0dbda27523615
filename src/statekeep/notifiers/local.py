"""Notifications within one process."""

from __future__ import annotations

from collections.abc import Callable

from statekeep.ports.notifier import Notification


class LocalNotifier:
    """Calls everyone who listens, in the order in which they began to (ports.notifier.Notifier).

    Listeners must neither block nor raise.
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[[Notification], None]] = []

    def listen(self, listener: Callable[[Notification], None]) -> None:
        """Have `listener` called with every notification from now on."""
        self._listeners.append(listener)

    def publish(self, notification: Notification) -> None:
        """Hand the notification to everyone who listens."""
        for listener in self._listeners:
            listener(notification)

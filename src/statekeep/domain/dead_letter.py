"""Timers and messages that were given up: how they are named, brought back, and bounded."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from statekeep.domain.limits import DEAD_LETTERS_PER_INSTANCE_MAX
from statekeep.domain.names import InstanceId, InstanceName
from statekeep.domain.timer import Timer

_LAYOUT: Final = struct.Struct(">QQ")


class LetterId(NamedTuple):
    """A timer of any instance. Never used for another one, as neither number is."""

    instance_id: InstanceId
    seq: int

    @property
    def text(self) -> str:
        """How callers name it. Opaque to them."""
        return base64.urlsafe_b64encode(_LAYOUT.pack(*self)).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> LetterId | None:
        """Back from `text`; None for what is no id."""
        try:
            instance_id, seq = _LAYOUT.unpack(base64.b64decode(f"{text}==", b"-_", validate=True))
        except (ValueError, binascii.Error, struct.error):
            return None
        return cls(InstanceId(instance_id), seq)


class DeadLetter(NamedTuple):
    """A timer that was given up, and whose it is."""

    instance_id: InstanceId
    instance_name: InstanceName
    timer: Timer

    @property
    def id(self) -> LetterId:
        """Names it."""
        return LetterId(self.instance_id, self.timer.seq)

    @property
    def kind(self) -> str:
        """`timer` for an event of the instance to itself, else what its message brings."""
        message = self.timer.message
        return "timer" if message is None else message.kind.value


def revived(timer: Timer, now_ms: float) -> Timer:
    """The same, due at once and never tried.

    Whoever retries it is somebody outside, so the messages that led to it do not count any more: one that died of their number would die again.
    """
    hops = 0 if timer.message is None else 1
    return timer._replace(tries=0, is_dead=False, due_at=now_ms, failure=None, hops=hops)


def one_too_many(timers: Mapping[int, Timer]) -> Timer | None:
    """The oldest dead letter where an instance has more than it may keep."""
    dead = [timer for timer in timers.values() if timer.is_dead]
    if len(dead) <= DEAD_LETTERS_PER_INSTANCE_MAX:
        return None
    return min(dead, key=lambda timer: timer.seq)

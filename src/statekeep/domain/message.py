"""Messages between instances of one organization (SPEC 7).

A message is a timer of its sender that is delivered to another instance: it is written with the transition that sent it, kept until it was delivered, tried
again where that fails, and removed in the very commit of its receiver that applies it. So each one is applied exactly once.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from statekeep.domain.names import InstanceName, MachineName, VersionId

SENDER_CLAIM: Final = "stateBackedSender"
"""What an auth context says of an instance that sends. Nobody else can say it: it is taken out of whatever comes from outside."""


class Address(NamedTuple):
    """An instance within its organization."""

    machine_name: MachineName
    name: InstanceName


class Parent(NamedTuple):
    """Who made an instance, and by which name the instance is known there."""

    address: Address
    child_id: str


class MessageKind(Enum):
    """What a message brings. Stored: never rename."""

    EVENT = "event"
    DONE = "done"
    """The sender, a child, has come to its end. Brings its output."""
    SPAWN = "spawn"
    """Make the receiver. Brings the context that it is initialised with."""


class Message(NamedTuple):
    """Where a timer's content goes. `child_id` is the sender's name at its parent (DONE) or the receiver's at the sender (SPAWN)."""

    to: Address
    kind: MessageKind = MessageKind.EVENT
    child_id: str = ""
    version_id: VersionId | None = None
    """Of the instance to be made; None for the machine's current version."""


def sender_claims(sender: Address) -> bytes:
    """The auth context, as JSON, with which the receiver's `allowWrite` is asked (SPEC 7)."""
    # Names have no character that JSON escapes (domain.names).
    return b'{"%b":{"machineName":"%b","machineInstanceName":"%b"}}' % (
        SENDER_CLAIM.encode(),
        sender.machine_name.encode(),
        sender.name.encode(),
    )

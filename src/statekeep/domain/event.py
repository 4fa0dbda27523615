"""Events and where they came from."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from statekeep.domain.message import Address
from statekeep.domain.names import InstanceId
from statekeep.domain.timer import Timer


class Origin(IntEnum):
    """Who caused a journal entry. Stored: never renumber."""

    CREATION = 0
    """The initial macrostep."""
    CLIENT = 1
    TIMER = 2
    CHILD = 3
    """An ephemeral child, or an action that was performed."""
    SELF = 4
    """The machine itself, without delay."""
    LOST_CHILD = 5
    """The error event of a child that was due and never answered."""
    HOUSEKEEPING = 6
    """No transition: the snapshot changed without an event, as when an idle child machine moved."""
    MESSAGE = 7
    """Another instance."""
    UPGRADE = 8
    """The instance was carried over to another version (SPEC 8)."""


class Event(NamedTuple):
    """Input to a machine. `json` is the whole event as a JSON object; `type` is its name."""

    type: str
    json: bytes


class LostChild(NamedTuple):
    """A child that was due and never answered, or (then `address` says which) an instance that could not be made."""

    id: str
    why: str
    address: Address | None = None


class EndedChild(NamedTuple):
    """A persistent child that has come to its end. `output` is JSON."""

    id: str
    output: bytes
    address: Address


class Receipt(NamedTuple):
    """Which message of which instance a delivery brings. `sender` is that instance's number."""

    sender: InstanceId
    seq: int


class Delivery(NamedTuple):
    """One event on its way to an instance.

        `auth` is the JSON of the auth context for which `allowWrite` has to answer; None where no question is asked. `handle` is the host's
        number of a child's live event, `child` the name of that child. `timer_seq` is the timer it is. `lost_child` stands for the error event of that child, which only the host
        can make; `event` is then only its description. `receipt` is the message that it is. `ended_child`: it is the event of XState's own by which that child's end is
    told, as the version that the instance has names it. `hops` counts the messages that led to it, since somebody outside did something. `dead_letter` is a message of
    the instance's own that is given up with this event.
    """

    event: Event
    origin: Origin
    auth: bytes | None = None
    handle: int | None = None
    timer_seq: int | None = None
    lost_child: LostChild | None = None
    child: str | None = None
    receipt: Receipt | None = None
    ended_child: EndedChild | None = None
    hops: int = 0
    dead_letter: Timer | None = None

"""What a host answers when events are delivered to an instance. Values: nothing was performed yet."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from statekeep.domain.errors import StatekeepError
from statekeep.domain.timer import TimerOp


class Effects(Enum):
    """What has to be performed once the transition is durable."""

    NONE = "none"
    ACTIONS = "actions"
    """Something that involves no child: nobody has to wait for it."""
    CHILDREN = "children"
    """Children are started, stopped or sent to: the next event has to wait for it."""


# An enumeration is slow to look a member up, and these are needed for every event.
NO_EFFECTS: Final = Effects.NONE
ACTIONS: Final = Effects.ACTIONS
CHILDREN: Final = Effects.CHILDREN


class Macrostep(NamedTuple):
    """One transition to the next stable state.

    `event` is JSON; None for the delivered event itself. `view` is the JSON of what an authorised caller may see. A silent one
    changed the snapshot without being a transition. `taken` names the transitions of the statechart that it was made of, where the runtime observes them: the
    position of a state in document order, and that of the transition there.
    """

    event: bytes | None
    snapshot: bytes
    view: bytes
    is_silent: bool = False
    taken: tuple[tuple[int, int], ...] = ()


class Stepped(NamedTuple):
    """An event was accepted.

    `due` lists the children that settling waits for once the effects are performed; `live` counts all children. `is_done`: the machine reached its
    final state.
    """

    macrosteps: tuple[Macrostep, ...]
    timer_ops: tuple[TimerOp, ...] = ()
    due: tuple[str, ...] = ()
    live: int = 0
    effects: Effects = NO_EFFECTS
    is_done: bool = False

    @property
    def has_children(self) -> bool:
        """Do children live after it, or are there some to be started, stopped or sent to?"""
        return bool(self.due or self.live) or self.effects is CHILDREN


class Refused(NamedTuple):
    """`allowWrite` did not answer true: nothing changed."""


class Ignored(NamedTuple):
    """The instance is finished: nothing changed."""


class Later(NamedTuple):
    """A delivery before this one touches children: deliver it again once that is performed."""


class Failed(NamedTuple):
    """Nothing changed and nothing will be performed."""

    error: StatekeepError


Outcome = Stepped | Refused | Ignored | Later | Failed


class ChildrenState(NamedTuple):
    """Children as they are now: those that settling waits for, and how many live at all."""

    due: tuple[str, ...]
    live: int

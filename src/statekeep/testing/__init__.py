"""Tests for authors: a machine file in the very runtime of a server, with time that moves when the test says so.

    def test_the_door_locks_itself(machine):
        door = machine("door.ts").start(as_={"sub": "ada"})
        door.send("close")
        door.advance(days=730)
        assert door.state == "locked"

`machine` is a fixture of the pytest plugin that comes with the package; without pytest, `World` is where to begin. docs/testing.md is for those who write
such tests. Names are imported when they are first used: having this package installed costs a run of pytest nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from statekeep.bundling import BuildFailed
    from statekeep.domain.errors import (
        AlreadyExists,
        InvalidCode,
        InvalidParameter,
        InvalidState,
        MachineError,
        RejectedByMachineAuthorizer,
        StatekeepError,
        TooLarge,
    )
    from statekeep.testing.asynchronous import AsyncInstance, AsyncMachine, AsyncWorld
    from statekeep.testing.blocking import Instance, Machine, World
    from statekeep.testing.cases import Path, Step, explore, paths, paths_through
    from statekeep.testing.exploring import Complaint, Exploration, Failure
    from statekeep.testing.moves import Move, MoveKind, examples
    from statekeep.testing.readings import LogLine, Reading, Sent, Timer, Transition
    from statekeep.testing.world import NeverAtRest

__all__ = [
    "AlreadyExists",
    "AsyncInstance",
    "AsyncMachine",
    "AsyncWorld",
    "BuildFailed",
    "Complaint",
    "Exploration",
    "Failure",
    "Instance",
    "InvalidCode",
    "InvalidParameter",
    "InvalidState",
    "LogLine",
    "Machine",
    "MachineError",
    "Move",
    "MoveKind",
    "NeverAtRest",
    "Path",
    "Reading",
    "RejectedByMachineAuthorizer",
    "Sent",
    "StatekeepError",
    "Step",
    "Timer",
    "TooLarge",
    "Transition",
    "World",
    "examples",
    "explore",
    "paths",
    "paths_through",
]

_HOMES: Final = {
    "statekeep.bundling": ("BuildFailed",),
    "statekeep.domain.errors": (
        "AlreadyExists",
        "InvalidCode",
        "InvalidParameter",
        "InvalidState",
        "MachineError",
        "RejectedByMachineAuthorizer",
        "StatekeepError",
        "TooLarge",
    ),
    "statekeep.testing.asynchronous": ("AsyncInstance", "AsyncMachine", "AsyncWorld"),
    "statekeep.testing.blocking": ("Instance", "Machine", "World"),
    "statekeep.testing.exploring": ("Complaint", "Exploration", "Failure"),
    "statekeep.testing.moves": ("Move", "MoveKind", "examples"),
    "statekeep.testing.cases": ("Path", "Step", "explore", "paths", "paths_through"),
    "statekeep.testing.readings": ("LogLine", "Reading", "Sent", "Timer", "Transition"),
    "statekeep.testing.world": ("NeverAtRest",),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)

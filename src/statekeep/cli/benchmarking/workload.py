"""What a benchmark sends, phase by phase: to instances of a machine that asks its `allowWrite` about each event."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from statekeep.cli.benchmarking.phases import Phase
from statekeep.cli.benchmarking.plan import NAME, PROOF, Plan

CREATED_MAX: Final = 10_000_000
"""Instances that one phase may make."""
_UNMEASURED_SECONDS_MAX: Final = 600
"""For what is sent once: instances to begin with, and the deletion of all."""

_EVENT: Final = '{"event":{"type":"toggle"}}'
_CREATION: Final = f'{{"slug":"{NAME}"}}'
_DELETION: Final = (
    '{"dangerDataWillBeDeletedForever":true,'
    f'"hmacSha256OfMachineInstanceNameWithMachineNameKey":"{PROOF}"}}'
)


class Workload:
    """Plans for the instances of one machine, which are numbered from zero, and for somebody with that token."""

    def __init__(
        self, url: str, token: str, machine: str, *, connections: int, instances: int
    ) -> None:
        self._events = Plan(
            url=url,
            token=token,
            machine=machine,
            method="POST",
            path=f"/machines/{machine}/i/{NAME}/events",
            body=_EVENT,
            count=instances,
            connections=connections,
            seconds=_UNMEASURED_SECONDS_MAX,
        )
        self._creations = replace(
            self._events, path=f"/machines/{machine}", body=_CREATION, is_once=True
        )

    def preparation(self) -> Plan:
        """The instances that events go to."""
        return self._creations

    def warm_up(self, seconds: float) -> Plan:
        """Events that are not measured."""
        return replace(self._events, seconds=seconds)

    def phase(self, phase: Phase, seconds: float, first_free: int) -> Plan:
        """What is measured. Instances that it makes are numbered from `first_free` on."""
        match phase:
            case Phase.SINGLE:
                return replace(self._events, count=1, connections=1, seconds=seconds)
            case Phase.MANY:
                return replace(self._events, seconds=seconds)
            case Phase.HOT:
                return replace(self._events, count=1, seconds=seconds)
            case Phase.CREATE:
                return replace(
                    self._creations, first=first_free, count=CREATED_MAX, seconds=seconds
                )

    def deletion(self, count: int) -> Plan:
        """All instances that there may be."""
        path = f"{self._creations.path}/i/{NAME}"
        return replace(self._creations, method="DELETE", path=path, body=_DELETION, count=count)

"""Machines: names with versions, indexes and instances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from statekeep.client.models import Machine, MachineDetails, Retention
from statekeep.client.noun import Noun, Shell, listing, operation
from statekeep.client.nouns.proofs import proof_of
from statekeep.client.pages import Listing
from statekeep.client.steps import Request, Steps, ask, present, tell

MACHINES: Final = "/machines"
MACHINE: Final = "/machines/{machine}"
_RETENTION: Final = f"{MACHINE}/retention"


class _MachineAnswer(msgspec.Struct):
    machine: MachineDetails


class Machines(Noun[Shell]):
    """Machines. Once one has a current version it takes instances."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self.dangerously: DangerousMachines[Shell] = DangerousMachines(shell)

    @listing
    def list(self, *, cursor: str | None = None) -> Listing[Machine]:
        """Machines, newest first."""
        return Listing(Request("GET", MACHINES), "machines", Machine, cursor)

    @operation
    def get(self, machine_name: str) -> Steps[MachineDetails]:
        """A machine with its indexes. Raises NotFoundError."""
        request = Request("GET", MACHINE, {"machine": machine_name})
        answer = yield from ask(request, _MachineAnswer)
        return answer.machine

    @operation
    def create(self, machine_name: str, *, indexes: Iterable[str] = ()) -> Steps[None]:
        """A machine without versions, whose versions may fill `indexes`. Raises AlreadyExistsError."""
        body = {"slug": machine_name, "indexes": [*indexes] or None}
        return tell(Request("POST", MACHINES, body=body))

    @operation
    def get_retention(self, machine_name: str) -> Steps[Retention]:
        """How long a machine keeps what it has done and printed."""
        return ask(Request("GET", _RETENTION, {"machine": machine_name}), Retention)

    @operation
    def set_retention(
        self,
        machine_name: str,
        *,
        journal_max_age: str | int | None = None,
        journal_max_entries: int | None = None,
        logs_max_age: str | int | None = None,
    ) -> Steps[Retention]:
        """Choose all of it: the server's defaults count for what is None.

        `journal_max_age` and `logs_max_age` are seconds, or have a unit: "30d", "12h", "90m". Transitions of an instance within both
        bounds are kept; those beyond are gone soon after, for ever.
        """
        journal = present({"maxAge": journal_max_age, "maxEntries": journal_max_entries})
        logs = present({"maxAge": logs_max_age})
        body = {"journal": journal or None, "logs": logs or None}
        return ask(Request("PUT", _RETENTION, {"machine": machine_name}, body=body), Retention)


class DangerousMachines(Noun[Shell]):
    """What cannot be undone."""

    @operation
    def delete(
        self, machine_name: str, *, danger_data_will_be_deleted_forever: bool
    ) -> Steps[None]:
        """A machine with its versions and migrations. Raises InvalidStateError while it has instances."""
        body = {
            "dangerDataWillBeDeletedForever": danger_data_will_be_deleted_forever,
            "hmacSha256OfMachineNameWithMachineNameKey": proof_of(machine_name, machine_name),
        }
        return tell(Request("DELETE", MACHINE, {"machine": machine_name}, body=body))

"""Machines: names under which an organization publishes versions and keeps instances."""

from __future__ import annotations

from collections.abc import Sequence

from statekeep.application.confirmation import MACHINE_PROOF, require_confirmation
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import AlreadyExists, InvalidParameter, NotFound
from statekeep.domain.limits import INDEXES_MAX
from statekeep.domain.machine import Machine
from statekeep.domain.names import MachineName, OrganizationId, parse_machine_name
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.pages import Page
from statekeep.ports.store import Catalog


async def find_machine(
    catalog: Catalog, organization_id: OrganizationId, name: MachineName
) -> Machine:
    """The organization's machine of that name. Raises NotFound."""
    machine = await catalog.machine(organization_id, name)
    if machine is None:
        raise NotFound(f"there is no machine {name}")
    return machine


class Machines:
    """What callers may do with the machines of their organization."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock

    async def create(self, caller: AuthContext, name: MachineName, indexes: Sequence[str]) -> None:
        """A machine without versions. Raises AlreadyExists where the name is taken."""
        organization_id = require_scope(caller, "machines.write")
        now = datetime_of(self._clock.now_ms())
        try:
            await self._catalog.create_machine(organization_id, name, parse_indexes(indexes), now)
        except AlreadyExists as error:
            raise AlreadyExists(f"machine {name} exists already") from error

    async def get(self, caller: AuthContext, name: MachineName) -> Machine:
        """Raises NotFound."""
        return await find_machine(self._catalog, require_scope(caller, "machines.read"), name)

    async def list(self, caller: AuthContext, cursor: str | None) -> Page[Machine]:
        """Newest first."""
        return await self._catalog.list_machines(
            require_scope(caller, "machines.read"), cursor=cursor
        )

    async def delete(
        self, caller: AuthContext, name: MachineName, *, is_confirmed: bool, proof: str
    ) -> None:
        """Remove the machine with its versions. Raises InvalidState while it has instances, and what `require_confirmation` raises."""
        organization_id = require_scope(caller, "machines.admin")
        machine = await find_machine(self._catalog, organization_id, name)
        require_confirmation(
            is_confirmed=is_confirmed,
            proof=proof,
            key=name,
            name=name,
            proof_parameter=MACHINE_PROOF,
        )
        await self._catalog.delete_machine(machine.id)


def parse_indexes(names: Sequence[str]) -> tuple[str, ...]:
    """Check the indexes of a machine. Raises InvalidParameter."""
    # The name of an index is a segment of a path, as a machine's is.
    indexes = tuple(parse_machine_name(name, parameter="indexes") for name in names)
    if len(indexes) > INDEXES_MAX:
        raise InvalidParameter(f"a machine has at most {INDEXES_MAX} indexes", parameter="indexes")
    if len(set(indexes)) < len(indexes):
        raise InvalidParameter("an index is named twice", parameter="indexes")
    return indexes

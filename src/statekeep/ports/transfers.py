"""Exports and imports, as far as they are the store's.

An import is *staged*: its machines are written where nobody finds them, whatever they are looked for by, and are published all at once. What is staged and was not
published when the process ended can be discarded by the next one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Protocol

from statekeep.domain.names import InstanceId, MachineName, OrganizationId
from statekeep.domain.timer import Timer
from statekeep.domain.transfer import ExportSelection, ImportId, Record


class TransferStore(Protocol):
    """Everything of an organization out, and in again."""

    def export(self, wanted: ExportSelection) -> AsyncGenerator[Sequence[Record], None]:
        """All that is wanted as it was at the first step, in portions of a bounded size and in the order of `domain.transfer`.

        Nobody who reads or writes waits for it. Between the portions nothing goes on. Raises Overloaded where as many exports are under way as there may be, and
        where what is written meanwhile, which has to be kept beside until the export ends, has become too much.
        """
        ...

    async def stage_machine(
        self,
        import_id: ImportId,
        organization_id: OrganizationId,
        name: MachineName,
        indexes: tuple[str, ...],
        created_at: datetime,
    ) -> int:
        """A machine that belongs to an import; returns its number.

        Until it is published no method of the store finds it, its instances, timers, fills or retention, but by its number. Versions, migrations and instances are added as to
        any other. Raises NotFound where there is no such organization.
        """
        ...

    async def stage_timers(self, instance_id: InstanceId, timers: Sequence[Timer]) -> None:
        """Add timers to an instance of a staged machine. Raises AlreadyExists where a number is taken and NotFound where there is no such instance."""
        ...

    async def publish_import(self, import_id: ImportId) -> None:
        """From now on the machines of the import are as any other, all of them at once. Raises AlreadyExists, and nothing is published, where a name is taken."""
        ...

    async def discard_import(self, import_id: ImportId) -> None:
        """Remove what is staged of an import, a bounded portion at a time. Nothing where it was published."""
        ...

    async def staged_imports(self) -> Sequence[ImportId]:
        """Imports that have staged something and are not published."""
        ...

"""Bulk upgrades: many instances carried over to another version, in the background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from statekeep.client.models import BulkUpgrade, BulkUpgradeProgress, BulkUpgradeResult
from statekeep.client.noun import Noun, Shell, listing, operation
from statekeep.client.nouns.machines import MACHINE
from statekeep.client.nouns.selections import InstanceQuery, selection
from statekeep.client.pages import Listing
from statekeep.client.steps import Request, Steps, ask, tell

_UPGRADES: Final = f"{MACHINE}/upgrades"
_UPGRADE: Final = f"{_UPGRADES}/{{upgrade}}"


class _NewUpgrade(msgspec.Struct):
    id: str


class BulkUpgrades(Noun[Shell]):
    """Bulk upgrades. A machine has one that is not over yet."""

    @operation
    def begin(
        self,
        machine_name: str,
        *,
        to_machine_version_id: str,
        from_machine_version_id: str | None = None,
        query: InstanceQuery | None = None,
        instances: Sequence[str] | None = None,
    ) -> Steps[str]:
        """Begin one for the instances that fulfil all that is said, and return its id. Each is carried over once it has settled.

        Raises NoMigrationPathError, and InvalidStateError while there is an unfinished one.
        """
        body = selection(to_machine_version_id, from_machine_version_id, query, instances)
        answer = yield from ask(
            Request("POST", _UPGRADES, {"machine": machine_name}, body=body), _NewUpgrade
        )
        return answer.id

    @listing
    def list(self, machine_name: str, *, cursor: str | None = None) -> Listing[BulkUpgrade]:
        """Bulk upgrades of a machine, newest first."""
        request = Request("GET", _UPGRADES, {"machine": machine_name})
        return Listing(request, "upgrades", BulkUpgrade, cursor)

    @operation
    def get(self, machine_name: str, bulk_upgrade_id: str) -> Steps[BulkUpgradeProgress]:
        """How far it is."""
        return ask(
            Request("GET", _UPGRADE, _names(machine_name, bulk_upgrade_id)), BulkUpgradeProgress
        )

    @operation
    def set_status(
        self,
        machine_name: str,
        bulk_upgrade_id: str,
        status: Literal["paused", "running", "cancelled"],
    ) -> Steps[None]:
        """Pause it ("paused"), let it go on ("running"), or cancel it for good ("cancelled"). What is upgraded stays so."""
        names = _names(machine_name, bulk_upgrade_id)
        return tell(Request("PUT", _UPGRADE, names, body={"status": status}))

    @listing
    def list_results(
        self,
        machine_name: str,
        bulk_upgrade_id: str,
        *,
        outcome: str | None = None,
        cursor: str | None = None,
    ) -> Listing[BulkUpgradeResult]:
        """What came of each instance: all, or those with the outcome "pending", "waiting", "upgraded", "unchanged" or "failed"."""
        names = _names(machine_name, bulk_upgrade_id)
        request = Request("GET", f"{_UPGRADE}/results", names, {"outcome": outcome})
        return Listing(request, "results", BulkUpgradeResult, cursor)


def _names(machine_name: str, bulk_upgrade_id: str) -> dict[str, str]:
    return {"machine": machine_name, "upgrade": bulk_upgrade_id}

"""Migrations: code that carries instances from one version to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from statekeep.client.models import (
    DryRun,
    Migration,
    ProvisionalMigration,
    PublishedMigration,
)
from statekeep.client.noun import Noun, Shell, listing, operation
from statekeep.client.nouns.machines import MACHINE
from statekeep.client.nouns.selections import InstanceQuery, selection
from statekeep.client.nouns.uploads import upload
from statekeep.client.pages import Listing
from statekeep.client.steps import Answer, Request, Steps, ask, tell

_MIGRATIONS: Final = f"{MACHINE}/migrations"
_DRY_RUNS: Final = f"{_MIGRATIONS}/dry-run"
_DRY_RUN: Final = f"{_DRY_RUNS}/{{run}}"


class MachineVersionMigrations(Noun[Shell]):
    """Migrations. `create` does in one call what `provisionally_create`, an upload and `finalize` do in three."""

    @listing
    def list(self, machine_name: str, *, cursor: str | None = None) -> Listing[Migration]:
        """Migrations of a machine, newest first."""
        request = Request("GET", _MIGRATIONS, {"machine": machine_name})
        return Listing(request, "migrations", Migration, cursor)

    @operation
    def create(
        self,
        machine_name: str,
        code: str | bytes,
        *,
        from_machine_version_id: str,
        to_machine_version_id: str,
    ) -> Steps[PublishedMigration]:
        """Publish a migration: one ES module that exports `upgradeState` and `upgradeContext`, as text or gzipped."""
        begun = yield from _provisionally_create(
            machine_name, from_machine_version_id, to_machine_version_id
        )
        yield from upload(begun.code_upload_url, begun.code_upload_fields, code)
        return (yield from _finalize(machine_name, begun.machine_version_migration_id))

    @operation
    def provisionally_create(
        self, machine_name: str, *, from_machine_version_id: str, to_machine_version_id: str
    ) -> Steps[ProvisionalMigration]:
        """Reserve a migration: where to upload its code (`machine_versions.upload` does), and the signed id to finalize it with."""
        return _provisionally_create(machine_name, from_machine_version_id, to_machine_version_id)

    @operation
    def finalize(
        self, machine_name: str, signed_machine_version_migration_id: str
    ) -> Steps[PublishedMigration]:
        """Load what was uploaded, and make it a migration. Raises InvalidParameterError with the reason where it cannot be one."""
        return _finalize(machine_name, signed_machine_version_migration_id)

    @operation
    def dry_run(
        self,
        machine_name: str,
        *,
        to_machine_version_id: str,
        from_machine_version_id: str | None = None,
        codes: Sequence[str] = (),
        query: InstanceQuery | None = None,
        instances: Sequence[str] | None = None,
    ) -> Steps[DryRun]:
        """Try migrations out on existing instances, and change nothing.

        They are the published ones, or those in `codes`, which lead one after the other from `from_machine_version_id`. Without a
        `query` or names of `instances` it is about all that are not of the new version. Where the report takes longer than some 20
        seconds, what is returned is still "running": `get_dry_run` has the rest.
        """
        body = {
            **selection(to_machine_version_id, from_machine_version_id, query, instances),
            "codes": [*codes] or None,
        }
        # A dry run that nobody reads is forgotten.
        request = Request(
            "POST", _DRY_RUNS, {"machine": machine_name}, body=body, is_repeatable=True
        )
        return ask(request, DryRun)

    @operation
    def get_dry_run(self, machine_name: str, dry_run_id: str) -> Steps[DryRun]:
        """What a dry run has found so far."""
        return ask(Request("GET", _DRY_RUN, {"machine": machine_name, "run": dry_run_id}), DryRun)

    @operation
    def end_dry_run(self, machine_name: str, dry_run_id: str) -> Steps[None]:
        """Stop a dry run, and forget what it has found."""
        return tell(Request("DELETE", _DRY_RUN, {"machine": machine_name, "run": dry_run_id}))

    @operation
    def get_stub(
        self, machine_name: str, *, from_machine_version_id: str, to_machine_version_id: str
    ) -> Steps[str]:
        """TypeScript of a migration to begin with: it keeps the states that both versions have, and throws for the others."""
        query = {"from": from_machine_version_id, "to": to_machine_version_id}
        answer: Answer = yield Request(
            "GET", f"{_MIGRATIONS}/stub", {"machine": machine_name}, query
        )
        return answer.body.decode()


def _provisionally_create(
    machine_name: str, from_machine_version_id: str, to_machine_version_id: str
) -> Steps[ProvisionalMigration]:
    body = {
        "fromMachineVersionId": from_machine_version_id,
        "toMachineVersionId": to_machine_version_id,
    }
    # What is reserved and not used costs nothing, so it may be repeated.
    request = Request("POST", _MIGRATIONS, {"machine": machine_name}, body=body, is_repeatable=True)
    return ask(request, ProvisionalMigration)


def _finalize(machine_name: str, signed_id: str) -> Steps[PublishedMigration]:
    names = {"machine": machine_name, "signed": signed_id}
    return ask(Request("PUT", f"{_MIGRATIONS}/{{signed}}", names), PublishedMigration)

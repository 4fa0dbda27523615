"""Migrations between versions, and the version that an instance is to have."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import views
from statekeep.api.http.route import CURSOR, Call, QueryParameter, Route
from statekeep.api.http.routes.versions import UPLOAD_PATH
from statekeep.domain.errors import (
    InvalidParameter,
    InvalidState,
    NoMigrationPath,
    NotFound,
    Overloaded,
    TooLarge,
)
from statekeep.domain.limits import PROVISIONAL_REQUEST_BYTES_MAX
from statekeep.domain.names import VersionId
from statekeep.wire import answers, requests


async def list_migrations(call: Call[None]) -> answers.MigrationPage:
    page = await call.services.migrations.list(call.caller, call.machine, call.cursor)
    return answers.MigrationPage(views.shown(page, views.migration_item), views.next_cursor(page))


async def provision_migration(
    call: Call[requests.ProvisionMigration],
) -> answers.ProvisionalMigration:
    provisional = await call.services.migrations.provision(
        call.caller,
        call.machine,
        VersionId(call.body.from_machine_version_id),
        VersionId(call.body.to_machine_version_id),
    )
    return answers.ProvisionalMigration(
        machine_version_migration_id=provisional.signed_id,
        code_upload_url=call.base_url + UPLOAD_PATH.format(token=provisional.upload_token),
        code_upload_fields={},
    )


async def publish_migration(call: Call[None]) -> answers.PublishedMigration:
    migration_id = await call.services.migrations.publish(
        call.caller, call.machine, call.path["signed"]
    )
    return answers.PublishedMigration(migration_id, migration_id)


async def set_desired_version(call: Call[requests.SetDesiredVersion]) -> None:
    target = VersionId(call.body.target_machine_version_id)
    await call.services.desired_versions.set(call.caller, call.machine, call.instance, target)


ROUTES: Final = (
    Route(
        method="GET",
        path="/machines/{machine}/migrations",
        summary="List migrations",
        tag="Migrations",
        handler=list_migrations,
        scope="machine-versions.read",
        answer=answers.MigrationPage,
        query=(CURSOR,),
        errors=(InvalidParameter, NotFound),
    ),
    Route(
        method="POST",
        path="/machines/{machine}/migrations",
        summary="Begin a migration",
        tag="Migrations",
        handler=provision_migration,
        description=(
            "The first of three steps, as for a version: then POST the code to `codeUploadUrl`, and last PUT to"
            " `/machines/{machine}/migrations/{signed}` with the `machineVersionMigrationId` of this answer."
        ),
        scope="machine-versions.write",
        request=requests.ProvisionMigration,
        answer=answers.ProvisionalMigration,
        query=(
            QueryParameter(
                "gzip", "Announces gzipped code. The upload itself decides, so it may be left out."
            ),
        ),
        errors=(InvalidParameter, NotFound, TooLarge),
        request_bytes_max=PROVISIONAL_REQUEST_BYTES_MAX,
    ),
    Route(
        method="PUT",
        path="/machines/{machine}/migrations/{signed}",
        summary="Publish a migration",
        tag="Migrations",
        handler=publish_migration,
        description=(
            "Loads what was uploaded and makes it a migration, which never changes again. The code exports two functions:"
            " `upgradeState(oldPath, context)` and `upgradeContext(oldPaths, newPaths, context)`."
        ),
        scope="machine-versions.write",
        answer=answers.PublishedMigration,
        errors=(InvalidParameter, NotFound, InvalidState, TooLarge, Overloaded),
    ),
    Route(
        method="PUT",
        path="/machines/{machine}/i/{instance}/v",
        summary="Set the version that an instance is to have",
        tag="Migrations",
        handler=set_desired_version,
        description=(
            "The instance is carried over before its next event, by the shortest path of migrations, once it has settled."
            " The version that it has takes an earlier wish back."
        ),
        scope="instances.admin",
        request=requests.SetDesiredVersion,
        status=201,
        errors=(InvalidParameter, NoMigrationPath, NotFound, Overloaded),
    ),
)

"""Versions of machines."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import views
from statekeep.api.http.route import CURSOR, Call, QueryParameter, Route
from statekeep.application.versions import Description
from statekeep.domain.errors import (
    InvalidParameter,
    InvalidState,
    MachineError,
    NotFound,
    Overloaded,
    TooLarge,
)
from statekeep.domain.limits import UPLOAD_BYTES_MAX
from statekeep.domain.names import VersionId
from statekeep.wire import answers, requests

UPLOAD_PATH: Final = "/uploads/{token}"

_FORM: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "content-type": {"type": "string"},
        "content-encoding": {"type": "string", "enum": ["gzip"]},
        "file": {"type": "string", "format": "binary"},
    },
}


async def list_versions(call: Call[None]) -> answers.VersionPage:
    page = await call.services.versions.list(call.caller, call.machine, call.cursor)
    return answers.VersionPage(views.shown(page, views.version), views.next_cursor(page))


async def provision_version(call: Call[None]) -> answers.ProvisionalVersion:
    provisional = await call.services.versions.provision(call.caller, call.machine)
    return answers.ProvisionalVersion(
        machine_version_id=provisional.signed_id,
        code_upload_url=call.base_url + UPLOAD_PATH.format(token=provisional.upload_token),
        code_upload_fields={},
    )


async def publish_version(call: Call[requests.PublishVersion]) -> answers.PublishedVersion:
    version_id = await call.services.versions.publish(
        call.caller,
        call.machine,
        call.path["signed"],
        Description(
            client_info=call.body.client_info,
            make_current=bool(call.body.make_current),
            index_selectors=call.body.index_selectors,
        ),
    )
    radius = await call.services.blast_radii.at_a_glance(version_id)
    return answers.PublishedVersion(version_id, views.blast_radius(radius))


async def read_blast_radius(call: Call[None]) -> answers.BlastRadius:
    version_id = VersionId(call.path["version"])
    radius = await call.services.blast_radii.of(call.caller, call.machine, version_id)
    return views.blast_radius(radius)


ROUTES: Final = (
    Route(
        method="GET",
        path="/machines/{machine}/v",
        summary="List versions",
        tag="Versions",
        handler=list_versions,
        scope="machine-versions.read",
        answer=answers.VersionPage,
        query=(CURSOR,),
        errors=(InvalidParameter, NotFound),
    ),
    Route(
        method="POST",
        path="/machines/{machine}/v",
        summary="Begin a version",
        tag="Versions",
        handler=provision_version,
        description=(
            "The first of three steps. Then POST the code to `codeUploadUrl` as a multipart form: every field of"
            " `codeUploadFields`, `content-type`, `content-encoding: gzip` where it is gzipped, and the code as"
            " `file`. Last, PUT to `/machines/{machine}/v/{signed}` with the `machineVersionId` of this answer."
        ),
        scope="machine-versions.write",
        answer=answers.ProvisionalVersion,
        query=(
            QueryParameter(
                "gzip", "Announces gzipped code. The upload itself decides, so it may be left out."
            ),
        ),
        errors=(NotFound,),
    ),
    Route(
        method="PUT",
        path="/machines/{machine}/v/{signed}",
        summary="Publish a version",
        tag="Versions",
        handler=publish_version,
        description=(
            "Loads what was uploaded and makes it a version, which never changes again. Saying the same again"
            " gives the same answer. `blastRadius` tells how many instances are in states that the version does not have, as far as"
            " that can be said at once."
        ),
        scope="machine-versions.write",
        request=requests.PublishVersion,
        is_body_optional=True,
        answer=answers.PublishedVersion,
        errors=(InvalidParameter, NotFound, InvalidState, TooLarge, Overloaded),
    ),
    Route(
        method="GET",
        path="/machines/{machine}/v/{version}/blast-radius",
        summary="Read the blast radius of a version",
        tag="Versions",
        handler=read_blast_radius,
        description="Looks at every instance of other versions, and counts those that are in states that this version does not have.",
        scope="machine-versions.read",
        answer=answers.BlastRadius,
        errors=(NotFound, MachineError, Overloaded),
    ),
    Route(
        method="POST",
        path=UPLOAD_PATH,
        summary="Upload code",
        tag="Versions",
        description=(
            "The address is part of the answer that began the version, and good for a short time. A second upload"
            " replaces the first until the version is published."
        ),
        is_public=True,
        form=_FORM,
        status=204,
        errors=(InvalidParameter, InvalidState, TooLarge),
        request_bytes_max=UPLOAD_BYTES_MAX,
    ),
)

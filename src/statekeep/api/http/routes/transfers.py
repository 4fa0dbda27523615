"""Exports and imports. `api/http/transfers.py` serves them; here they are described."""

from __future__ import annotations

from typing import Final

from statekeep.api.http.route import QueryParameter, Route
from statekeep.application.exports import EXPORT_SCOPES
from statekeep.application.imports import IMPORT_SCOPES
from statekeep.domain.errors import AlreadyExists, InvalidParameter, NotFound, Overloaded, TooLarge
from statekeep.wire import answers

EXPORT_PATH: Final = "/export"
MACHINE_EXPORT_PATH: Final = "/machines/{machine}/export"
IMPORT_PATH: Final = "/import"

_JOURNAL: Final = QueryParameter(
    "journal", "`all` entries of each journal, or only the `newest`, which is the state."
)
_LINES: Final = (
    "Lines of JSON (`application/x-ndjson`): machines, versions with their code, migrations, instances with their journals and timers, all as they were at one"
    " moment. The last line has a checksum of the others; without it the export is not whole."
)

ROUTES: Final = (
    Route(
        method="GET",
        path=EXPORT_PATH,
        summary="Export the organization",
        tag="Exports",
        description=_LINES,
        scope=EXPORT_SCOPES[0],
        more_scopes=EXPORT_SCOPES[1:],
        query=(_JOURNAL,),
        errors=(InvalidParameter, NotFound, Overloaded),
    ),
    Route(
        method="GET",
        path=MACHINE_EXPORT_PATH,
        summary="Export a machine",
        tag="Exports",
        description=_LINES,
        scope=EXPORT_SCOPES[0],
        more_scopes=EXPORT_SCOPES[1:],
        query=(_JOURNAL,),
        errors=(InvalidParameter, NotFound, Overloaded),
    ),
    Route(
        method="POST",
        path=IMPORT_PATH,
        summary="Import an export",
        tag="Exports",
        description=(
            "Takes an export into the caller's organization: all of it at once, or nothing. Its machines must not exist yet. Versions keep their ids where these are"
            " free on this server; `changedVersionIds` has the others."
        ),
        scope=IMPORT_SCOPES[0],
        more_scopes=IMPORT_SCOPES[1:],
        form={"type": "string"},
        form_type="application/x-ndjson",
        answer=answers.Imported,
        errors=(AlreadyExists, InvalidParameter, Overloaded, TooLarge),
    ),
)

"""How long machines keep what they have done and printed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from statekeep.api.http import views
from statekeep.api.http.route import Call, Route
from statekeep.domain.durations import parse_duration
from statekeep.domain.errors import InvalidParameter, NotFound, Overloaded
from statekeep.domain.retention import JournalBounds, LogBounds, Retention
from statekeep.wire import answers, requests

_RETENTION: Final = "/machines/{machine}/retention"


async def get_retention(call: Call[None]) -> answers.RetentionAnswer:
    return views.retention(await call.services.retentions.get(call.caller, call.machine))


async def put_retention(call: Call[requests.PutRetention]) -> answers.RetentionAnswer:
    journal, logs = call.body.journal, call.body.logs
    chosen = Retention(
        None if journal is None else JournalBounds(_age(journal.max_age), journal.max_entries),
        None if logs is None else LogBounds(_age(logs.max_age)),
    )
    return views.retention(await call.services.retentions.put(call.caller, call.machine, chosen))


def _age(given: str | int | None) -> timedelta | None:
    if given is None:
        return None
    age = parse_duration(str(given))
    if age is None:
        raise InvalidParameter(
            f'expected a duration such as 30d, 12h or a number of seconds, not "{given}"',
            parameter="maxAge",
        )
    return age


ROUTES: Final = (
    Route(
        method="GET",
        path=_RETENTION,
        summary="Get the retention of a machine",
        tag="Machines",
        handler=get_retention,
        description="What was chosen, and what is in effect where the server's defaults fill in the rest.",
        scope="machines.read",
        answer=answers.RetentionAnswer,
        errors=(NotFound,),
    ),
    Route(
        method="PUT",
        path=_RETENTION,
        summary="Choose the retention of a machine",
        tag="Machines",
        handler=put_retention,
        description=(
            "Replaces what was chosen before. Without `journal` the server's defaults count; an empty `journal` keeps transitions for ever. Log"
            " entries (`logs`) are never kept for longer than the server keeps any. What is beyond the bounds is removed within minutes, for ever; the newest"
            " transition of an instance never is."
        ),
        scope="machines.write",
        request=requests.PutRetention,
        is_body_optional=True,
        answer=answers.RetentionAnswer,
        errors=(InvalidParameter, NotFound, Overloaded),
    ),
)

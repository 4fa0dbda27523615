"""Logs."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import views
from statekeep.api.http.route import Call, QueryParameter, Route
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.log import LogSelection
from statekeep.domain.names import VersionId, parse_instance_name, parse_machine_name
from statekeep.wire import answers
from statekeep.wire.codecs import milliseconds


async def read_logs(call: Call[None]) -> answers.LogPage:
    return views.log_page(await call.services.logs.page(call.caller, _selection(call)))


def _selection(call: Call[None]) -> LogSelection:
    query = call.query
    after_ms = _instant(call, "from")
    if after_ms is None:
        raise InvalidParameter(
            "say `from` when on logs are wanted: ?from=2026-01-31T12:00:00.000Z", parameter="from"
        )
    machine, instance = query.get("machine"), query.get("instance")
    return LogSelection(
        after_ms,
        _instant(call, "to"),
        parse_machine_name(machine, parameter="machine") if machine else None,
        parse_instance_name(instance, parameter="instance") if instance else None,
        VersionId(query["version"]) if query.get("version") else None,
    )


def _instant(call: Call[None], parameter: str) -> int | None:
    text = call.query.get(parameter)
    if not text:
        return None
    instant = milliseconds(text)
    if instant is None:
        raise InvalidParameter(
            "expected an instant such as 2026-01-31T12:00:00.000Z", parameter=parameter
        )
    return instant


ROUTES: Final = (
    Route(
        method="GET",
        path="/logs",
        summary="Read logs",
        tag="Logs",
        handler=read_logs,
        description=(
            "What machines printed and what went wrong in them, oldest first, at most 100 entries. Pass `maxTimestamp` as the next `from`"
            " to read on; where it is the same as `from` there is nothing more for now. No entry is then lost or repeated."
        ),
        scope="logs.read",
        answer=answers.LogPage,
        query=(
            QueryParameter("from", "Entries later than this instant.", is_required=True),
            QueryParameter("to", "Entries up to this instant, itself included."),
            QueryParameter("machine", "Name of a machine."),
            QueryParameter("instance", "Name of an instance."),
            QueryParameter("version", "Id of a version."),
        ),
        errors=(InvalidParameter,),
    ),
)

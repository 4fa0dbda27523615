"""Following instances. `app.py` serves these: their answers do not end."""

from __future__ import annotations

from typing import Final

from statekeep.api.http.route import QueryParameter, Route
from statekeep.api.http.stream import STREAM_PATH
from statekeep.domain.errors import (
    HistoryGone,
    InvalidParameter,
    MachineError,
    NotFound,
    Overloaded,
    RejectedByMachineAuthorizer,
)
from statekeep.wire import answers

REALTIME_PATH: Final = "/rt"

_TOKEN: Final = QueryParameter(
    "token", "The caller's token, for browsers: their EventSource and WebSocket set no headers."
)
_ORGANIZATION: Final = QueryParameter(
    "x-statebacked-org-id", "The organization that is meant; needed by members of several."
)

ROUTES: Final = (
    Route(
        method="GET",
        path=STREAM_PATH,
        summary="Follow an instance",
        tag="Realtime",
        description=(
            "Server-sent events. The data of each is a state, its id the revision. Begins with the state as it is and goes on with every"
            " one that follows, or, with `Last-Event-ID`, with every one past that id. Asks `allowRead` of the machine for each."
            " A line with a colon only is a sign of life. An event of the type `end` says why there will be no more."
        ),
        scope="state.read",
        answer=answers.State,
        answer_media_type="text/event-stream",
        query=(
            QueryParameter("since", "As the header `Last-Event-ID`, which wins."),
            _TOKEN,
            _ORGANIZATION,
        ),
        errors=(
            InvalidParameter,
            RejectedByMachineAuthorizer,
            NotFound,
            HistoryGone,
            MachineError,
            Overloaded,
        ),
    ),
    Route(
        method="GET",
        path=REALTIME_PATH,
        summary="Open a realtime socket",
        tag="Realtime",
        description=(
            "A WebSocket over which any number of instances can be followed, as the official client does. Send"
            ' `{"type": "subscribe-to-instance", "requestId", "machineName", "machineInstanceName", "since"?}`,'
            ' `{"type": "unsubscribe-from-instance", "requestId"}` and, at least every five minutes, `{"type": "ping"}`. What comes is'
            ' `{"type": "instance-update", "machineName", "machineInstanceName", "revision", ...}` with the fields of a state, and'
            ' `{"type": "error", "requestId", "status", "code", "error"}`. A token that is no good is told there too, not by the handshake.'
        ),
        is_public=True,
        status=101,
        query=(_TOKEN, _ORGANIZATION),
    ),
)

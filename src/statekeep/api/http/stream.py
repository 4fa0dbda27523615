"""States of an instance as server-sent events (SPEC 5; the format is that of the HTML standard, 9.2).

Each event is a State, its id the revision. A reader that comes back with the last id it saw misses nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from functools import lru_cache
from typing import Final

from starlette.requests import Request

from statekeep.api.http.authentication import credentials_in_query, identify
from statekeep.api.http.errors import body_of
from statekeep.api.http.reply import Headers, Reply, StreamReply
from statekeep.api.http.route import instance_in_path, machine_in_path
from statekeep.api.http.services import Services
from statekeep.api.http.views import state_json
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import InvalidParameter, Overloaded, StatekeepError
from statekeep.domain.instance import InstanceView
from statekeep.domain.limits import STREAM_PULSE
from statekeep.wire import codecs

STREAM_PATH: Final = "/machines/{machine}/i/{instance}/stream"

_HEADERS: Final[Headers] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # nginx would collect what is meant to arrive at once.
    (b"x-accel-buffering", b"no"),
]
_RETRY: Final = b"retry: 2000\n\n"
"""Milliseconds after which a browser comes back when the connection is lost."""
_PULSE: Final = b":\n\n"
_REVISION: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


class StreamResponder:
    """Every state from now on, or from the one that the reader has seen last."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Reply | StreamReply:
        credentials = credentials_in_query(
            dict(request.scope["headers"]), request.scope["query_string"]
        )

        async def caller() -> AuthContext:
            return await identify(credentials, self._services.authenticator)

        self._services.rate_limits.admit(await caller())
        states = self._services.watching.all_states(
            caller,
            machine_in_path(request.path_params["machine"]),
            instance_in_path(request.path_params["instance"]),
            after=_last_seen(request),
            pulse_seconds=STREAM_PULSE.total_seconds(),
        )
        # What is wrong from the beginning is an answer like any other. Browsers come back after all but those.
        first = await anext(states)
        if request.method == "HEAD":
            await states.aclose()
            return Reply(200, _HEADERS, b"")
        return StreamReply(200, _HEADERS, _events(first, states))


def _last_seen(request: Request) -> int | None:
    """The header of a browser that comes back; the query of one that comes for the first time and can set no header."""
    header, query = request.headers.get("last-event-id"), request.query_params.get("since")
    text = header or query
    if not text:
        return None
    if _REVISION.fullmatch(text) is None:
        raise InvalidParameter(
            "ids of events are revisions, which are whole numbers",
            parameter="last-event-id" if header else "since",
        )
    return int(text)


async def _events(
    first: InstanceView | None, states: AsyncGenerator[InstanceView | None, None]
) -> AsyncGenerator[bytes, None]:
    try:
        yield _RETRY + (_PULSE if first is None else _event(first))
        async for view in states:
            yield _PULSE if view is None else _event(view)
    except Overloaded:
        # The reader comes back, and goes on where it was.
        return
    except StatekeepError as error:
        yield _end(error)
    finally:
        await states.aclose()


@lru_cache(maxsize=16)
def _event(view: InstanceView) -> bytes:
    """The same for everybody who gets this state."""
    return b"id: %d\ndata: %b\n\n" % (view.revision, state_json(view))


def _end(error: StatekeepError) -> bytes:
    """Not named `error`, which is what browsers call the loss of a connection."""
    return b"event: end\ndata: %b\n\n" % codecs.encode(body_of(error))

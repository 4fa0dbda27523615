"""States of an instance as server-sent events (SPEC 5; the format is that of the HTML standard, 9.2).

Each event is a State, its id the revision. A reader that comes back with the last id it saw misses nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from statekeep.api.http.authentication import credentials_in_query, fields_of, identify
from statekeep.api.http.cors import Cors
from statekeep.api.http.errors import ErrorAnswers, body_of
from statekeep.api.http.reply import Headers, Reply, StreamReply, send_reply, send_stream
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


class StreamRoute:
    """An ASGI app that answers GET on the path of a stream and hands everything else to `fallback`.

    Without the framework, whose layers would stay in memory for as long as each stream lasts.
    """

    def __init__(
        self, services: Services, errors: ErrorAnswers, cors: Cors, fallback: ASGIApp
    ) -> None:
        self._services = services
        self._errors = errors
        self._cors = cors
        self._fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._fallback(scope, receive, send)
            return
        match scope["path"].split("/"):
            case ["", "machines", machine, "i", instance, "stream"]:
                await self._answer(machine, instance, scope, receive, send)
            case _:
                await self._fallback(scope, receive, send)

    async def _answer(
        self, machine: str, instance: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        headers = dict(scope["headers"])
        try:
            states = await self._begin(machine, instance, headers, scope["query_string"])
            # What is wrong from the beginning is an answer like any other. Browsers come back after all but those.
            first = await anext(states)
        except Exception as error:
            refusal = self._errors.of(error)
            refusal.headers.extend(self._cors.error_headers_for(headers))
            await send_reply(refusal, send)
            return
        answer_headers = [*_HEADERS, *self._cors.headers_for(headers)]
        if scope["method"] == "HEAD":
            await states.aclose()
            await send_reply(Reply(200, answer_headers, b""), send)
        else:
            await send_stream(
                StreamReply(200, answer_headers, _events(first, states)), receive, send
            )

    async def _begin(
        self, machine: str, instance: str, headers: Mapping[bytes, bytes], query_string: bytes
    ) -> AsyncGenerator[InstanceView | None, None]:
        """Every state from now on, or from the one that the reader has seen last."""
        credentials = credentials_in_query(headers, query_string)

        async def caller() -> AuthContext:
            return await identify(credentials, self._services.authenticator)

        self._services.rate_limits.admit(await caller())
        return self._services.watching.all_states(
            caller,
            machine_in_path(machine),
            instance_in_path(instance),
            after=_last_seen(headers, query_string),
            pulse_seconds=STREAM_PULSE.total_seconds(),
        )


def _last_seen(headers: Mapping[bytes, bytes], query_string: bytes) -> int | None:
    """The header of a browser that comes back; the query of one that comes for the first time and can set no header."""
    sent = headers.get(b"last-event-id")
    text = fields_of(query_string).get("since") if not sent else sent.decode("latin-1")
    if not text:
        return None
    if _REVISION.fullmatch(text) is None:
        raise InvalidParameter(
            "ids of events are revisions, which are whole numbers",
            parameter="last-event-id" if sent else "since",
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

"""The caller, and the caller's sessions. Keys are nobody: these routes want a session."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import people_views, views
from statekeep.api.http.route import CURSOR, Call, Route
from statekeep.domain.errors import InvalidParameter, MissingUser, NotFound
from statekeep.domain.names import SessionId
from statekeep.wire import people

_TAG: Final = "People"


async def read_me(call: Call[None]) -> people.Me:
    return people_views.me(await call.services.people.sessions.who(call.caller))


async def list_sessions(call: Call[None]) -> people.SessionPage:
    page = await call.services.people.sessions.list(call.caller, call.cursor)
    items = [people_views.session_item(one, call.caller.session_id) for one in page.items]
    return people.SessionPage(items, views.next_cursor(page))


async def end_current_session(call: Call[None]) -> None:
    await call.services.people.sessions.end_current(call.caller)


async def end_session(call: Call[None]) -> None:
    await call.services.people.sessions.end(call.caller, SessionId(call.path["session"]))


ROUTES: Final = (
    Route(
        method="GET",
        path="/me",
        summary="Tell who is asking",
        tag=_TAG,
        handler=read_me,
        answer=people.Me,
        errors=(MissingUser, NotFound),
    ),
    Route(
        method="GET",
        path="/sessions",
        summary="List sessions",
        tag=_TAG,
        handler=list_sessions,
        description="The caller's own: browsers and devices in which they are signed in.",
        answer=people.SessionPage,
        query=(CURSOR,),
        errors=(MissingUser, InvalidParameter),
    ),
    Route(
        method="DELETE",
        path="/sessions/current",
        summary="Sign out",
        tag=_TAG,
        handler=end_current_session,
        description="Ends the session of this request: its token is worth nothing from then on.",
        status=204,
        errors=(MissingUser, NotFound),
    ),
    Route(
        method="DELETE",
        path="/sessions/{session}",
        summary="End a session",
        tag=_TAG,
        handler=end_session,
        description="One of the caller's own: its token is worth nothing from then on.",
        status=204,
        errors=(MissingUser, NotFound),
    ),
)

"""`statekeep sessions`: where you are signed in."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from statekeep.cli.api import connected, show_list
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.output import tell

app = noun("sessions")


@app.command(name="list", help_epilogue=examples("statekeep sessions list"))
def list_sessions(*, options: Globals = NOTHING) -> None:
    """List your sessions: browsers and devices."""
    columns = {
        "id": "Session",
        "kind": "Kind",
        "label": "Label",
        "createdAt": "Since",
        "expiresAt": "Ends",
        "isCurrent": "This one",
    }
    with connected(options, as_person=True) as api:
        show_list(options, api.sessions.list().pages(), columns)


@app.command(name="end", help_epilogue=examples("statekeep sessions end --session ses_..."))
def end_session(
    *,
    session: Annotated[
        str, Parameter(metavar="SESSION", help="ID of the session, as `sessions list` has it.")
    ],
    options: Globals = NOTHING,
) -> None:
    """End a session: its token is worth nothing from then on. `logout` ends the one that is in use."""
    with connected(options, as_person=True) as api:
        api.sessions.end(session)
    tell("Ended session")

"""`statekeep profiles`: several servers, or several people on one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from statekeep.cli.globals import Format
from statekeep.cli.instants import format_instant
from statekeep.cli.nouns import examples, noun
from statekeep.cli.output import show_pages, tell
from statekeep.cli.profiles import Profiles

app = noun("profiles")

_Name = Annotated[str, Parameter(metavar="NAME", help="Name of the profile.")]


@app.command(name="list", help_epilogue=examples("statekeep profiles list"))
def list_profiles(*, format: Format | None = None) -> None:
    """List profiles, and which of them is in use."""
    profiles = Profiles()
    rows = [_row(profiles, name) for name in profiles.names()]
    columns = {
        "name": "Name",
        "inUse": "In use",
        "apiUrl": "Server",
        "email": "Person",
        "defaultOrg": "Organization",
        "endsAt": "Ends",
    }
    show_pages([rows], columns, format)


@app.command(name="use", help_epilogue=examples("statekeep profiles use production"))
def use_profile(name: _Name, /) -> None:
    """Use a profile from now on, where no other is named with --profile."""
    Profiles().use(name)
    tell(f"Using {name}")


@app.command(name="delete", help_epilogue=examples("statekeep profiles delete staging"))
def delete_profile(name: _Name, /) -> None:
    """Forget a profile on this machine. `logout` also ends its session on the server."""
    profiles = Profiles()
    profiles.require(name)
    profiles.sign_out(name)
    tell(f"Forgot {name}")


def _row(profiles: Profiles, name: str) -> dict[str, object]:
    session = profiles.session(name)
    ends_at = session.ends_at if session else None
    return {
        "name": name,
        "inUse": name == profiles.in_use(),
        "apiUrl": session.api_url if session else None,
        "email": session.email if session else None,
        "defaultOrg": profiles.organization(name),
        "endsAt": None if ends_at is None else format_instant(datetime.fromtimestamp(ends_at, UTC)),
    }

"""`statekeep orgs`: what owns machines, and has members."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from cyclopts import Parameter

from statekeep.cli.api import client_for, connected, show_list
from statekeep.cli.connection import find_profile, find_target
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.output import CommandFailed, Misused, say, show, tell
from statekeep.cli.profiles import Profiles

app = noun("orgs")
default = noun("default")
default.help = (
    "The organization that commands are about where none is named. Stored in ~/.smply/default-org."
)
app.command(default)

_NO_PROFILE: Final = "a default is kept for who is signed in: sign in with statekeep login, or name the organization with --org or SMPLY_ORG in each command"


@app.command(name="list", help_epilogue=examples("statekeep orgs list"))
def list_organizations(*, options: Globals = NOTHING) -> None:
    """List organizations that you are a member of."""
    columns = {"id": "Organization", "name": "Name", "role": "Role", "createdAt": "Created"}
    with connected(options, as_person=True) as api:
        show_list(options, api.orgs.list().pages(), columns)


@app.command(name="create", help_epilogue=examples('statekeep orgs create --name "Toys"'))
def create_organization(
    *,
    name: Annotated[str, Parameter(alias="-n", metavar="NAME", help="Organization name.")],
    anonymous_access: Annotated[
        bool,
        Parameter(
            negative="--no-anonymous-access",
            help="Whether anonymous end users may ask; their machines decide what they may.",
        ),
    ] = True,
    options: Globals = NOTHING,
) -> None:
    """Create a new organization, with you as its admin."""
    with connected(options, as_person=True) as api:
        made = api.orgs.create(name, allow_anonymous_access=anonymous_access)
    show({"orgId": made}, options.format)


@default.command(name="set", help_epilogue=examples("statekeep orgs default set --org org_..."))
def set_default(*, options: Globals = NOTHING) -> None:
    """Set the default organization of the profile in use, or of the one that is named. You must be a member of it."""
    if not options.org:
        raise Misused("-o or --org is required")
    # Of the profile, whatever a variable says: with a token of its own a command has no default.
    target = find_target(replace(options, access_token=None, data_dir=None))
    if target.profile is None:
        raise CommandFailed(_NO_PROFILE)
    with client_for(target) as api:
        api.me.get()
    Profiles().choose_organization(target.profile, options.org)
    tell("Successfully set default org")


@default.command(name="get", help_epilogue=examples("statekeep orgs default get"))
def get_default(*, options: Globals = NOTHING) -> None:
    """Get the default organization: its bare ID."""
    profiles = Profiles()
    profile = find_profile(options, profiles)
    organization = profile and profiles.organization(profile)
    say(organization or "No default organization set.")

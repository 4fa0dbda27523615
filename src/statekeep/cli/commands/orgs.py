"""`statekeep orgs`: what owns machines, and has members."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from statekeep.cli.api import connected, show_list
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.output import Misused, say, show, tell
from statekeep.cli.profiles import Profiles

app = noun("orgs")
default = noun("default")
default.help = (
    "The organization that commands are about where none is named. Stored in ~/.smply/default-org."
)
app.command(default)


@app.command(name="list", help_epilogue=examples("statekeep orgs list"))
def list_organizations(*, options: Globals = NOTHING) -> None:
    """List organizations that you are a member of."""
    columns = {"id": "Organization", "name": "Name", "role": "Role", "createdAt": "Created"}
    with connected(options) as api:
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
    with connected(options) as api:
        made = api.orgs.create(name, allow_anonymous_access=anonymous_access)
    show({"orgId": made}, options.format)


@default.command(name="set", help_epilogue=examples("statekeep orgs default set --org org_..."))
def set_default(*, options: Globals = NOTHING) -> None:
    """Set the default organization of the profile in use, or of the one that is named."""
    if not options.org:
        raise Misused("-o or --org is required")
    profiles = Profiles()
    profiles.choose_organization(options.profile or profiles.in_use(), options.org)
    tell("Successfully set default org")


@default.command(name="get", help_epilogue=examples("statekeep orgs default get"))
def get_default(*, options: Globals = NOTHING) -> None:
    """Get the default organization: its bare ID."""
    profiles = Profiles()
    organization = profiles.organization(options.profile or profiles.in_use())
    say(organization or "No default organization set.")

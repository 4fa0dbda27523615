"""`statekeep members`: people of an organization."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from statekeep.cli.api import connected, show_list
from statekeep.cli.confirmation import Yes, confirm
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.output import tell

app = noun("members")

_User = Annotated[
    str, Parameter(metavar="USER", help="User ID of the member, as `members list` has it.")
]


@app.command(name="list", help_epilogue=examples("statekeep members list"))
def list_members(*, options: Globals = NOTHING) -> None:
    """List members of the organization."""
    columns = {"id": "User", "email": "E-mail", "role": "Role", "joinedAt": "Since"}
    with connected(options) as api:
        show_list(options, api.members.list().pages(), columns)


@app.command(
    name="set-role",
    help_epilogue=examples("statekeep members set-role --user usr_... --role read"),
)
def set_role(
    *,
    user: _User,
    role: Annotated[Literal["admin", "write", "read"], Parameter(alias="-r", help="New role.")],
    options: Globals = NOTHING,
) -> None:
    """Let a member do more, or less, from now on."""
    with connected(options) as api:
        api.members.set_role(user, role)
    tell("Set role")


@app.command(name="remove", help_epilogue=examples("statekeep members remove --user usr_..."))
def remove(*, user: _User, yes: Yes = False, options: Globals = NOTHING) -> None:
    """Remove a member from the organization, or leave it yourself."""
    confirm(f"Are you sure you want to remove {user}? (y/n)", is_confirmed=yes)
    with connected(options) as api:
        api.members.remove(user)
    tell("Removed member")

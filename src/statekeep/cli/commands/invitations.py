"""`statekeep invitations`: how people become members."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from cyclopts import Parameter

from statekeep.cli.api import as_json, connected, show_list
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.output import say, show, tell

app = noun("invitations")


@app.command(
    name="send",
    help_epilogue=examples("statekeep invitations send --email ada@example.com --role write"),
)
def send(
    *,
    email: Annotated[
        str,
        Parameter(alias="-e", metavar="EMAIL", help="Email address to send the invitation to."),
    ],
    role: Annotated[
        Literal["admin", "read", "write"],
        Parameter(alias="-r", help="Role to assign to the user."),
    ] = "write",
    options: Globals = NOTHING,
) -> None:
    """Send an invitation to an organization. A server without a mail server prints the link to pass on instead."""
    with connected(options) as api:
        sent = api.invitations.send(email, role)
    if sent.url is None:
        tell("Invitation sent.")
        return
    tell(
        f"Pass this link on to {email}, and to nobody else. It is good once, until {sent.invitation.expires_at:%Y-%m-%d}."
    )
    say(sent.url)


@app.command(
    name="accept",
    help_epilogue=examples(
        "statekeep invitations accept --invitation sbinv_...",
        "statekeep invitations accept -i 'https://states.example.com/invitation?code=sbinv_...'",
    ),
)
def accept(
    *,
    invitation: Annotated[
        str,
        Parameter(
            alias="-i",
            metavar="INVITATION",
            help="Invitation code that you received, or the whole link.",
        ),
    ],
    options: Globals = NOTHING,
) -> None:
    """Accept an invitation to an organization."""
    with connected(options, as_person=True) as api:
        accepted = api.invitations.accept(_code(invitation))
    tell("Invitation accepted. You are now a member of the organization.")
    show(as_json(accepted), options.format)


def _code(invitation: str) -> str:
    return parse_qs(urlsplit(invitation).query).get("code", [invitation])[0]


@app.command(name="list", help_epilogue=examples("statekeep invitations list"))
def list_invitations(*, options: Globals = NOTHING) -> None:
    """List invitations that nobody has accepted yet."""
    columns = {
        "id": "Invitation",
        "email": "E-mail",
        "role": "Role",
        "createdAt": "Sent",
        "expiresAt": "Expires",
    }
    with connected(options) as api:
        show_list(options, api.invitations.list().pages(), columns)


@app.command(
    name="revoke", help_epilogue=examples("statekeep invitations revoke --invitation inv_...")
)
def revoke(
    *,
    invitation: Annotated[
        str, Parameter(alias="-i", metavar="INVITATION", help="ID of the invitation.")
    ],
    options: Globals = NOTHING,
) -> None:
    """Revoke an invitation: it is good no longer."""
    with connected(options) as api:
        api.invitations.revoke(invitation)
    tell("Revoked invitation")

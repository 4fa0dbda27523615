"""`statekeep login`, `logout`, `whoami`, `billing` and `usage`: the person at the keyboard."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from statekeep.cli.confirmation import ask
from statekeep.cli.globals import NOTHING, GlobalOptions, Globals
from statekeep.cli.output import CommandFailed, Misused, say, show, tell
from statekeep.cli.profiles import DEFAULT, Profiles, Session

if TYPE_CHECKING:
    from statekeep.client.models import SignIn

_CLIENT_ID: Final = "statekeep-cli"
_STANDARD_INPUT: Final = "-"
_REFUSALS: Final = {
    "access_denied": "it was refused in the browser",
    "expired_token": "nobody has confirmed the code in time: try again",
}
_OFFER: Final = (
    "You don't belong to any organizations yet. You'll need one to create machines."
    " Would you like to create one? (y/n)"
)


def login(
    *,
    store: Annotated[
        bool,
        Parameter(
            negative="--no-store",
            help="Keep the token in the profile. With --no-store it is only printed to stdout.",
            show_default=False,
        ),
    ] = True,
    token: Annotated[
        str | None,
        Parameter(
            metavar="TOKEN",
            allow_leading_hyphen=True,
            help="Keep this token, without a browser; - reads it from stdin, where nobody else can see it.",
        ),
    ] = None,
    options: Globals = NOTHING,
) -> None:
    """Log in to a server and store a token in ~/.smply/credentials.

    A code is shown, to be confirmed on a page of the server in a browser, on this machine or any other. With --profile NAME the token is kept beside others, for several servers or people.
    """
    from statekeep.cli.connection import find_url

    profiles = Profiles()
    name = options.profile or profiles.in_use()
    url = find_url(options, profiles)
    if store and not options.profile:
        _require_same_server(profiles, name, url)
    session = _session_of(url, token) if token is not None else _sign_in(url)
    if not store:
        say(session.access_token)
        return
    profiles.sign_in(name, session)
    who = session.email or "somebody"
    tell(f"Logged in to {url} as {who}" + ("" if name == DEFAULT else f" (profile {name})"))
    if name != profiles.in_use():
        tell(f"Use it with --profile {name}, or from now on with statekeep profiles use {name}")
    _welcome(GlobalOptions(profile=name))


def logout(*, options: Globals = NOTHING) -> None:
    """End the session on the server, and forget it here."""
    from statekeep.cli.api import connected
    from statekeep.client.errors import UnauthenticatedError

    profiles = Profiles()
    name = options.profile or profiles.in_use()
    profiles.require(name)
    # Of the profile, whatever a variable says: another token is not what is to be ended.
    whose = GlobalOptions(profile=name, api_url=options.api_url)
    with connected(whose, as_person=True) as api:
        try:
            api.sessions.end_current()
        except UnauthenticatedError:
            tell("The session was over already")
    profiles.sign_out(name)
    tell("Logged out")


def whoami(*, options: Globals = NOTHING) -> None:
    """Print the current user."""
    from statekeep.cli.api import connected

    with connected(options, as_person=True) as api:
        person = api.me.get()
    profiles = Profiles()
    chosen = options.org or profiles.organization(options.profile or profiles.in_use())
    show({"email": person.email, "userId": person.id, "defaultOrg": chosen}, options.format)


def billing(*, options: Globals = NOTHING) -> None:
    """Print the address of the page that shows what the organization uses."""
    from statekeep.cli.api import connected

    with connected(options) as api:
        say(api.billing.get())


def usage(*, options: Globals = NOTHING) -> None:
    """Count what the organization has: machines, versions, instances, transitions."""
    from statekeep.cli.api import as_json, connected

    with connected(options) as api:
        show(as_json(api.billing.get_usage()), options.format)


def _require_same_server(profiles: Profiles, name: str, url: str) -> None:
    """Whoever is signed in elsewhere does not mean to lose that. Raises Misused."""
    session = profiles.session(name)
    if session is not None and session.api_url not in (None, url):
        raise Misused(
            f'profile "{name}" is of {session.api_url}: keep {url} beside it with --profile NAME,'
            " or log out there first"
        )


def _sign_in(url: str) -> Session:
    """Of somebody who has confirmed a code in a browser. Raises CommandFailed where nobody has."""
    from statekeep.cli.api import client_for
    from statekeep.cli.connection import Target
    from statekeep.cli.progress import busy
    from statekeep.client.errors import TokenExchangeError

    with client_for(Target(url=url)) as api:
        begun = api.device_logins.begin(_CLIENT_ID, device_name=platform.node() or None)
        page = begun.verification_uri_complete or begun.verification_uri
        tell(f"Open {page}\nand confirm that it shows the code {begun.user_code}.")
        try:
            with busy("Waiting for you to confirm it"):
                return _kept(url, api.device_logins.finish(_CLIENT_ID, begun))
        except TokenExchangeError as error:
            raise CommandFailed(_REFUSALS.get(error.code or "", str(error))) from error


def _kept(url: str, signed_in: SignIn) -> Session:
    from statekeep.system import SystemClock

    return Session(
        access_token=signed_in.access_token,
        api_url=url,
        email=signed_in.user.email,
        user_id=signed_in.user.id,
        ends_at=SystemClock().now_ms() / 1000 + signed_in.expires_in,
    )


def _session_of(url: str, token: str) -> Session:
    """Of whoever was given a token. Raises CommandFailed where it is none of a person."""
    from statekeep.cli.api import client_for
    from statekeep.cli.connection import Target

    text = sys.stdin.readline().strip() if token == _STANDARD_INPUT else token
    with client_for(Target(url=url, token=text)) as api:
        person = api.me.get()
    return Session(
        access_token=text,
        api_url=url,
        email=person.email,
        user_id=person.id,
        ends_at=person.session.expires_at.timestamp(),
    )


def _welcome(options: GlobalOptions) -> None:
    """What a newcomer needs next: an organization, or the choice of one."""
    from statekeep.cli.api import connected

    with connected(options) as api:
        organizations = api.orgs.list().page().items
        if len(organizations) > 1:
            tell("Choose one of your organizations with statekeep orgs default set --org ORG:")
            for organization in organizations:
                tell(f"  {organization.id}  {organization.name}")
        if organizations or not sys.stdin.isatty():
            return
        if ask(_OFFER).strip().lower() != "y":
            tell("You can create a new org later with `smply orgs create`")
        elif name := ask("What would you like to call your org?").strip():
            show({"orgId": api.orgs.create(name)})
            tell("Created org. You can now create machines with `smply machines create`.")

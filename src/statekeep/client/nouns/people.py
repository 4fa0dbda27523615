"""People: who is signed in, who is a member of an organization, who is invited to be one."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from statekeep.client.errors import ConnectionFailedError, TokenExchangeError
from statekeep.client.models import (
    AcceptedInvitation,
    DeviceAuthorization,
    Invitation,
    ListedSession,
    Member,
    Person,
    SentInvitation,
    SignIn,
    Usage,
)
from statekeep.client.noun import Noun, Shell, listing, operation
from statekeep.client.pages import Listing
from statekeep.client.steps import Pause, Request, Steps, ask, present, tell

Role: TypeAlias = Literal["admin", "write", "read"]

DEVICE_GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER_SECONDS: Final = 5
"""What the server wants to be added to the interval of somebody who asks too often (RFC 8628, 3.5)."""

_MEMBERS: Final = "/org-members"
_INVITATIONS: Final = "/org-invitations"
_SESSIONS: Final = "/sessions"


class DeviceLogins(Noun[Shell]):
    """Signing in on a device without a browser (RFC 8628): a person confirms a code on a page, wherever they have one. Needs no token."""

    @operation
    def begin(
        self, client_id: str, *, device_name: str | None = None
    ) -> Steps[DeviceAuthorization]:
        """A code for the person to confirm at `verification_uri`, within `expires_in` seconds."""
        form = present({"client_id": client_id, "device_name": device_name})
        request = Request("POST", "/device_authorization", form=form, is_authorized=False)
        return ask(request, DeviceAuthorization)

    @operation
    def finish(self, client_id: str, authorization: DeviceAuthorization) -> Steps[SignIn]:
        """Wait until the person has confirmed the code, and return their session, which is given this once.

        Raises TokenExchangeError with code "access_denied" where they said no, and "expired_token" where they said nothing.
        """
        form = {
            "grant_type": DEVICE_GRANT_TYPE,
            "device_code": authorization.device_code,
            "client_id": client_id,
        }
        request = Request("POST", "/tokens", form=form, is_authorized=False)
        interval, waited = float(authorization.interval), 0.0
        while True:
            yield Pause(interval)
            waited += interval
            try:
                return (yield from ask(request, SignIn))
            except ConnectionFailedError:
                # RFC 8628, 3.5: ask less often then. Who waits has a bound all the same.
                if waited > authorization.expires_in:
                    raise
                interval *= 2
            except TokenExchangeError as error:
                if error.code == "slow_down":
                    interval += SLOWER_SECONDS
                elif error.code != "authorization_pending":
                    raise


class Me(Noun[Shell]):
    """Whoever asks."""

    @operation
    def get(self) -> Steps[Person]:
        """The person, and the session that is used. Raises MissingUserError for a key."""
        return ask(Request("GET", "/me"), Person)


class Sessions(Noun[Shell]):
    """Where the caller is signed in."""

    @listing
    def list(self, *, cursor: str | None = None) -> Listing[ListedSession]:
        """Sessions of the caller, newest first."""
        return Listing(Request("GET", _SESSIONS), "sessions", ListedSession, cursor)

    @operation
    def end(self, session_id: str) -> Steps[None]:
        """Its token is worth nothing from then on."""
        return tell(Request("DELETE", f"{_SESSIONS}/{{session}}", {"session": session_id}))

    @operation
    def end_current(self) -> Steps[None]:
        """Sign out: the client's own token is worth nothing from then on."""
        return tell(Request("DELETE", f"{_SESSIONS}/current"))


class Members(Noun[Shell]):
    """People of the organization."""

    @listing
    def list(self, *, cursor: str | None = None) -> Listing[Member]:
        """Members with their roles."""
        return Listing(Request("GET", _MEMBERS), "members", Member, cursor)

    @operation
    def set_role(self, user_id: str, role: Role) -> Steps[None]:
        """Let a member do more, or less, at once: `role` is "admin", "write" or "read". Raises InvalidStateError for the last admin."""
        names = {"user": user_id}
        return tell(Request("PUT", f"{_MEMBERS}/{{user}}", names, body={"role": role}))

    @operation
    def remove(self, user_id: str) -> Steps[None]:
        """Somebody is a member no longer; oneself to leave. Raises InvalidStateError for the last admin."""
        return tell(Request("DELETE", f"{_MEMBERS}/{{user}}", {"user": user_id}))


class Invitations(Noun[Shell]):
    """Invitations to the organization: good once, for the address that they are for."""

    @operation
    def send(self, email: str, role: Role) -> Steps[SentInvitation]:
        """Invite somebody to be an "admin", or to "write" or "read". Where the server has no mail server, `url` is the link to give to them, told this once.

        Takes the place of an earlier one for the same address. Raises AlreadyExistsError for a member.
        """
        return ask(Request("POST", _MEMBERS, body={"email": email, "role": role}), SentInvitation)

    @listing
    def list(self, *, cursor: str | None = None) -> Listing[Invitation]:
        """Those that nobody has accepted yet."""
        return Listing(Request("GET", _INVITATIONS), "invitations", Invitation, cursor)

    @operation
    def revoke(self, invitation_id: str) -> Steps[None]:
        """It is good no longer."""
        return tell(Request("DELETE", f"{_INVITATIONS}/{{id}}", {"id": invitation_id}))

    @operation
    def accept(self, code: str) -> Steps[AcceptedInvitation]:
        """Become a member. Raises NotFoundError where it was used or revoked, has expired, or is for another address."""
        return ask(Request("PUT", "/{invitation}", {"invitation": code}), AcceptedInvitation)


class _BillingPage(msgspec.Struct):
    url: str


class Billing(Noun[Shell]):
    """What the organization uses. Nothing is billed: the names are those of State Backed."""

    @operation
    def get(self) -> Steps[str]:
        """The address of a page for a browser that is signed in."""
        answer = yield from ask(Request("GET", "/billing"), _BillingPage)
        return answer.url

    @operation
    def get_usage(self) -> Steps[Usage]:
        """Counts of what there is."""
        return ask(Request("GET", "/usage"), Usage)

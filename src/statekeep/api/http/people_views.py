"""People as answers."""

from __future__ import annotations

from msgspec import structs

from statekeep.application.device_logins import AdmittedDevice, BegunDeviceLogin
from statekeep.application.invitations import Acceptance, SentInvitation
from statekeep.application.links import DEVICE_PATH, device_path, invitation_path
from statekeep.application.sessions import SignedIn
from statekeep.domain.machine import Usage
from statekeep.domain.names import SessionId
from statekeep.domain.people import Invitation, Member, Session
from statekeep.wire import people
from statekeep.wire.codecs import timestamp


def me(who: SignedIn) -> people.Me:
    """The caller."""
    user, session = who
    return people.Me(user.id, user.email, timestamp(user.created_at), _session_info(session))


def session_item(session: Session, current: SessionId | None) -> people.SessionItem:
    """A session in a list that was asked for with the session `current`."""
    is_current = session.id == current
    return people.SessionItem(**structs.asdict(_session_info(session)), is_current=is_current)


def _session_info(session: Session) -> people.SessionInfo:
    return people.SessionInfo(
        session.id,
        session.kind.value,
        session.label,
        timestamp(session.created_at),
        timestamp(session.expires_at),
    )


def member(one: Member) -> people.MemberItem:
    """A member."""
    return people.MemberItem(one.user_id, one.email, one.role.value, timestamp(one.joined_at))


def invitation(one: Invitation) -> people.InvitationItem:
    """An invitation, without its code."""
    return people.InvitationItem(
        one.id, one.email, one.role.value, timestamp(one.created_at), timestamp(one.expires_at)
    )


def sent_invitation(sent: SentInvitation, base_url: str) -> people.SentInvitation:
    """An invitation as its inviter sees it once."""
    item = invitation(sent.invitation)
    if sent.code is None:
        return people.SentInvitation(item, True)
    return people.SentInvitation(item, False, sent.code, base_url + invitation_path(sent.code))


def acceptance(accepted: Acceptance) -> people.AcceptedInvitation:
    """What somebody has become."""
    organization = accepted.organization
    joined = people.JoinedOrganization(organization.id, organization.name)
    return people.AcceptedInvitation(joined, accepted.role.value)


def usage(counts: Usage) -> people.Usage:
    """What there is of an organization's."""
    return people.Usage(counts.machines, counts.versions, counts.instances, counts.transitions)


def device_authorization(begun: BegunDeviceLogin, base_url: str) -> people.DeviceAuthorization:
    """A device login that has begun, as the device sees it."""
    return people.DeviceAuthorization(
        begun.device_code,
        begun.user_code,
        base_url + DEVICE_PATH,
        base_url + device_path(begun.user_code),
        begun.expires_in_seconds,
        begun.interval_seconds,
    )


def device_token(admitted: AdmittedDevice) -> people.IssuedToken:
    """The token of a device that was let in."""
    user, (session, token) = admitted
    lasts = session.expires_at - session.created_at
    owner = people.TokenOwner(user.id, user.email)
    return people.IssuedToken(token, int(lasts.total_seconds()), user=owner)

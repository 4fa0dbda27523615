"""Members of an organization, and how somebody becomes one."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import people_views, views
from statekeep.api.http.route import CURSOR, Call, Route
from statekeep.application.members import MEMBERS_READ_SCOPE, MEMBERS_SCOPE
from statekeep.domain.access import Role
from statekeep.domain.errors import (
    AlreadyExists,
    InvalidParameter,
    InvalidState,
    MailUnavailable,
    MissingUser,
    NotFound,
)
from statekeep.domain.names import InvitationId, UserId
from statekeep.wire import people

_TAG: Final = "People"


async def list_members(call: Call[None]) -> people.MemberPage:
    page = await call.services.people.members.list(call.caller, call.cursor)
    return people.MemberPage(views.shown(page, people_views.member), views.next_cursor(page))


async def set_role(call: Call[people.SetRole]) -> None:
    role = Role(call.body.role)
    await call.services.people.members.set_role(call.caller, UserId(call.path["user"]), role)


async def remove_member(call: Call[None]) -> None:
    await call.services.people.members.remove(call.caller, UserId(call.path["user"]))


async def send_invitation(call: Call[people.SendInvitation]) -> people.SentInvitation:
    body = call.body
    sent = await call.services.people.invitations.send(call.caller, body.email, Role(body.role))
    return people_views.sent_invitation(sent, call.base_url)


async def list_invitations(call: Call[None]) -> people.InvitationPage:
    page = await call.services.people.invitations.list(call.caller, call.cursor)
    items = views.shown(page, people_views.invitation)
    return people.InvitationPage(items, views.next_cursor(page))


async def withdraw_invitation(call: Call[None]) -> None:
    invitation_id = InvitationId(call.path["id"])
    await call.services.people.invitations.withdraw(call.caller, invitation_id)


async def accept_invitation(call: Call[None]) -> people.AcceptedInvitation:
    accepted = await call.services.people.invitations.accept(call.caller, call.path["invitation"])
    return people_views.acceptance(accepted)


ROUTES: Final = (
    Route(
        method="GET",
        path="/org-members",
        summary="List members",
        tag=_TAG,
        handler=list_members,
        scope=MEMBERS_READ_SCOPE,
        answer=people.MemberPage,
        query=(CURSOR,),
        errors=(InvalidParameter,),
    ),
    Route(
        method="POST",
        path="/org-members",
        summary="Invite somebody",
        tag=_TAG,
        handler=send_invitation,
        description=(
            "By mail, where the server has a mail server; else the answer has a link to pass on, shown once. An invitation is good for a week and"
            " takes the place of an earlier one for the same address."
        ),
        scope=MEMBERS_SCOPE,
        request=people.SendInvitation,
        answer=people.SentInvitation,
        errors=(InvalidParameter, AlreadyExists, InvalidState, MailUnavailable),
    ),
    Route(
        method="PUT",
        path="/org-members/{user}",
        summary="Give a member another role",
        tag=_TAG,
        handler=set_role,
        scope=MEMBERS_SCOPE,
        request=people.SetRole,
        status=204,
        errors=(InvalidParameter, NotFound, InvalidState),
    ),
    Route(
        method="DELETE",
        path="/org-members/{user}",
        summary="Remove a member",
        tag=_TAG,
        handler=remove_member,
        description=(
            "From the next request on they are a stranger here. Keys that they made stay. Needs `org-members.write`, but for oneself;"
            " the last admin stays."
        ),
        status=204,
        errors=(NotFound, InvalidState),
    ),
    Route(
        method="GET",
        path="/org-invitations",
        summary="List invitations",
        tag=_TAG,
        handler=list_invitations,
        description="Those that are neither accepted nor withdrawn.",
        scope=MEMBERS_SCOPE,
        answer=people.InvitationPage,
        query=(CURSOR,),
        errors=(InvalidParameter,),
    ),
    Route(
        method="DELETE",
        path="/org-invitations/{id}",
        summary="Withdraw an invitation",
        tag=_TAG,
        handler=withdraw_invitation,
        scope=MEMBERS_SCOPE,
        status=204,
        errors=(NotFound,),
    ),
    Route(
        method="PUT",
        path="/{invitation}",
        summary="Accept an invitation",
        tag=_TAG,
        handler=accept_invitation,
        description="For the caller, whose address has to be the one that was invited. `/invitation` is a page that does it for people.",
        answer=people.AcceptedInvitation,
        errors=(MissingUser, NotFound),
    ),
)

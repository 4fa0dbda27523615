"""Bodies about people: who they are, where they are signed in, what they are members of."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from statekeep.wire.answers import Answer
from statekeep.wire.fields import Count, Cursor, Label, OrganizationId, Role, Timestamp
from statekeep.wire.requests import Request, StrictRequest

UserId = Annotated[str, Meta(description="Id of a user.", examples=["usr_uHvZHpF4STWvMg8BKVCUTg"])]
SessionId = Annotated[
    str, Meta(description="Id of a session.", examples=["ses_uHvZHpF4STWvMg8BKVCUTg"])
]
EmailAddress = Annotated[
    str,
    Meta(
        description="An e-mail address. Capital letters are taken for small ones.",
        examples=["ada@example.com"],
    ),
]
_Kind = Annotated[
    Literal["browser", "device", "server"],
    Meta(
        description=(
            "`browser`: signed in to the server's pages. `device`: let in by device login."
            " `server`: the token in the server's `credentials.json`."
        )
    ),
]
_Label = Annotated[str, Meta(description="What it says it is: words of whoever began it.")]


class SessionInfo(Answer):
    """A session of the caller."""

    id: SessionId
    kind: _Kind
    label: _Label
    created_at: Timestamp
    expires_at: Timestamp


class SessionItem(SessionInfo):
    """A session in a list."""

    is_current: Annotated[bool, Meta(description="Is it the one of this request?")]


class SessionPage(Answer):
    """Sessions of the caller, newest first."""

    sessions: list[SessionItem]
    cursor: Cursor | UnsetType = UNSET


class Me(Answer):
    """The caller."""

    id: UserId
    email: EmailAddress
    created_at: Timestamp
    session: SessionInfo


class SetRole(StrictRequest):
    """What a member may do from now on."""

    role: Role


class SendInvitation(Request):
    """Somebody to invite."""

    email: EmailAddress
    role: Role


class MemberItem(Answer):
    """A member of the organization."""

    id: UserId
    email: EmailAddress
    role: Role
    joined_at: Timestamp


class MemberPage(Answer):
    """Members, those who joined last first."""

    members: list[MemberItem]
    cursor: Cursor | UnsetType = UNSET


class InvitationItem(Answer):
    """An invitation that was not accepted yet."""

    id: Annotated[
        str, Meta(description="Id of an invitation.", examples=["inv_uHvZHpF4STWvMg8BKVCUTg"])
    ]
    email: EmailAddress
    role: Role
    created_at: Timestamp
    expires_at: Timestamp


class InvitationPage(Answer):
    """Invitations, newest first."""

    invitations: list[InvitationItem]
    cursor: Cursor | UnsetType = UNSET


class SentInvitation(Answer):
    """An invitation that was made. Without a mail server it has a link to pass on, which is never shown again."""

    invitation: InvitationItem
    is_mailed: bool
    code: Annotated[
        str | UnsetType, Meta(description="What `PUT /{invitation}` takes, if it is not mailed.")
    ] = UNSET
    url: Annotated[
        str | UnsetType, Meta(description="A page on which to accept, if it is not mailed.")
    ] = UNSET


class JoinedOrganization(Answer):
    """An organization that somebody joined."""

    id: OrganizationId
    name: Label


class AcceptedInvitation(Answer):
    """What the caller has become."""

    organization: JoinedOrganization
    role: Role


class Usage(Answer):
    """What there is of an organization's."""

    machines: Count
    versions: Count
    instances: Count
    transitions: Annotated[
        int,
        Meta(
            ge=0,
            description="Taken by the instances that there are, whether they are still kept or not.",
        ),
    ]


class UsagePage(Answer):
    """Where the usage of the organization is shown."""

    url: str


class DeviceAuthorization(Answer, rename=None):
    """A device login that has begun (RFC 8628, 3.2)."""

    device_code: Annotated[str, Meta(description="For the device alone.")]
    user_code: Annotated[str, Meta(description="For a person to type.", examples=["WDJB-MJHT"])]
    verification_uri: Annotated[str, Meta(description="Where to type it.")]
    verification_uri_complete: Annotated[str, Meta(description="The same with the code in it.")]
    expires_in: Annotated[int, Meta(description="Seconds until the login ends.")]
    interval: Annotated[int, Meta(description="Seconds to wait between two questions.")]


class TokenOwner(Answer):
    """Whom a session's token is of."""

    id: UserId
    email: EmailAddress


class IssuedToken(Answer, rename=None):
    """A token, as RFC 6749, 5.1 and RFC 8693, 2.2.1 want it."""

    access_token: Annotated[str, Meta(description="The token.")]
    expires_in: Annotated[int, Meta(description="Seconds that it is good for.")]
    token_type: Literal["Bearer"] = "Bearer"
    issued_token_type: Annotated[
        Literal["urn:ietf:params:oauth:token-type:access_token"] | UnsetType,
        Meta(description="Where it was exchanged for another."),
    ] = UNSET
    user: Annotated[
        TokenOwner | UnsetType, Meta(description="Where a device was let in: by whom.")
    ] = UNSET

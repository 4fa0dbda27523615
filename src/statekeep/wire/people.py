"""Bodies about people: who they are and where they are signed in."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from statekeep.wire.answers import Answer
from statekeep.wire.fields import Cursor, Timestamp

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

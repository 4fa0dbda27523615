"""People as answers."""

from __future__ import annotations

from statekeep.application.sessions import SignedIn
from statekeep.domain.names import SessionId
from statekeep.domain.people import Session
from statekeep.wire import people
from statekeep.wire.codecs import timestamp


def me(who: SignedIn) -> people.Me:
    """The caller."""
    user, session = who
    return people.Me(user.id, user.email, timestamp(user.created_at), _session_info(session))


def session_item(session: Session, current: SessionId | None) -> people.SessionItem:
    """A session in a list that was asked for with the session `current`."""
    return people.SessionItem(
        session.id,
        session.kind.value,
        session.label,
        timestamp(session.created_at),
        timestamp(session.expires_at),
        session.id == current,
    )


def _session_info(session: Session) -> people.SessionInfo:
    return people.SessionInfo(
        session.id,
        session.kind.value,
        session.label,
        timestamp(session.created_at),
        timestamp(session.expires_at),
    )

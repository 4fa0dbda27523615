"""Users, members, sessions and invitations in SQLite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import apsw

from statekeep.domain.access import Role
from statekeep.domain.errors import AlreadyExists
from statekeep.domain.machine import Membership
from statekeep.domain.names import EmailAddress, InvitationId, OrganizationId, SessionId, UserId
from statekeep.domain.people import (
    SESSIONS_MAX,
    Invitation,
    LinkUse,
    Member,
    Session,
    User,
    require_another_admin,
    require_room_for_member,
)
from statekeep.ports.pages import Page
from statekeep.ports.people import PeopleStore
from statekeep.storage.pages import page_of
from statekeep.storage.sqlite.database import Row
from statekeep.storage.sqlite.named import QUERIES, NamedQueries, run
from statekeep.storage.sqlite.rows import (
    invitation_columns,
    invitation_of,
    member_of,
    membership_of,
    microseconds_of,
    session_columns,
    session_of,
    user_columns,
    user_of,
)


class SqlitePeople(NamedQueries, PeopleStore):
    """Who may sign in, and where they are signed in."""

    async def create_user(self, user: User) -> None:
        await self._change("create_user", **user_columns(user))

    async def user(self, user_id: UserId) -> User | None:
        row = self._read("user", id=user_id)
        return None if row is None else user_of(*row)

    async def user_by_email(self, email: EmailAddress) -> User | None:
        row = self._read("user_by_email", email=email)
        return None if row is None else user_of(*row)

    async def first_user(self) -> User | None:
        row = self._read("first_user")
        return None if row is None else user_of(*row)

    async def set_email(self, user_id: UserId, email: EmailAddress) -> None:
        await self._change("set_email", id=user_id, email=email)

    async def verify_email(self, user_id: UserId) -> Sequence[SessionId]:
        def verify(connection: apsw.Connection) -> Sequence[SessionId]:
            run(connection, "verify_email", id=user_id)
            if connection.changes() == 0:
                return []
            return _ids(run(connection, "end_all_sessions", user_id=user_id))

        return await self._database.write(verify)

    async def memberships(self, user_id: UserId) -> Sequence[Membership]:
        rows = await self._database.scan_rows(QUERIES["memberships"], {"user_id": user_id})
        return [membership_of(*columns) for columns in rows]

    async def role_of(self, user_id: UserId, organization_id: OrganizationId) -> Role | None:
        row = self._read("role_of", user_id=user_id, organization_id=organization_id)
        return None if row is None else Role(row[0])

    async def list_members(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[Member]:
        listing = f"members of {organization_id}"
        rows = await self._list("list_members", listing, cursor, organization_id=organization_id)
        return page_of([(number, member_of(*columns)) for number, *columns in rows], listing)

    async def set_role(self, organization_id: OrganizationId, user_id: UserId, role: Role) -> bool:
        member = {"user_id": user_id, "organization_id": organization_id}

        def change(connection: apsw.Connection) -> None:
            run(connection, "set_role", **member, role=role.value)

        return await self._change_member(member, change, stays_admin=role is Role.ADMIN)

    async def remove_member(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        member = {"user_id": user_id, "organization_id": organization_id}

        def remove(connection: apsw.Connection) -> None:
            run(connection, "remove_member", **member)

        return await self._change_member(member, remove, stays_admin=False)

    async def _change_member(
        self,
        member: dict[str, str],
        change: Callable[[apsw.Connection], None],
        *,
        stays_admin: bool,
    ) -> bool:
        def change_if_there(connection: apsw.Connection) -> bool:
            role = run(connection, "role_of", **member).get
            if role == Role.ADMIN.value and not stays_admin:
                organization_id = member["organization_id"]
                admins = run(connection, "count_admins", organization_id=organization_id).get
                require_another_admin(admins)
            change(connection)
            return role is not None

        return await self._database.write(change_if_there)

    async def create_session(
        self, session: Session, *, link: LinkUse | None = None
    ) -> Sequence[SessionId]:
        def create(connection: apsw.Connection) -> Sequence[SessionId]:
            if link is not None:
                expires_at = microseconds_of(link.expires_at)
                run(connection, "use_link", link_id=link.link_id, expires_at=expires_at)
            run(connection, "create_session", **session_columns(session))
            ended = run(
                connection,
                "end_oldest_sessions",
                user_id=session.user_id,
                kind=session.kind.value,
                kept=SESSIONS_MAX[session.kind],
            )
            return _ids(ended)

        return await self._database.write(create)

    async def session(self, session_id: SessionId) -> Session | None:
        row = self._read("session", id=session_id)
        return None if row is None else session_of(*row)

    async def list_sessions(self, user_id: UserId, *, cursor: str | None) -> Page[Session]:
        listing = f"sessions of {user_id}"
        rows = await self._list("list_sessions", listing, cursor, user_id=user_id)
        return page_of([(number, session_of(*columns)) for number, *columns in rows], listing)

    async def end_session(self, user_id: UserId, session_id: SessionId) -> bool:
        return await self._change("end_session", id=session_id, user_id=user_id) > 0

    async def put_invitation(self, invitation: Invitation, code_hash: bytes) -> None:
        organization_id, email = invitation.organization_id, invitation.email

        def put(connection: apsw.Connection) -> None:
            whose = {"organization_id": organization_id, "email": email}
            if run(connection, "has_member_with_email", **whose).get:
                raise AlreadyExists("somebody with this address is a member already")
            run(connection, "withdraw_invitation", **whose)
            count = run(connection, "count_members", organization_id=organization_id).get
            require_room_for_member(count)
            run(connection, "create_invitation", **invitation_columns(invitation, code_hash))

        await self._database.write(put)

    async def invitation(self, code_hash: bytes) -> Invitation | None:
        row = self._read("invitation", code_hash=code_hash)
        return None if row is None else invitation_of(*row)

    async def list_invitations(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[Invitation]:
        listing = f"invitations of {organization_id}"
        rows = await self._list(
            "list_invitations", listing, cursor, organization_id=organization_id
        )
        return page_of([(number, invitation_of(*columns)) for number, *columns in rows], listing)

    async def delete_invitation(
        self, organization_id: OrganizationId, invitation_id: InvitationId
    ) -> bool:
        named = {"id": invitation_id, "organization_id": organization_id}
        return await self._change("delete_invitation", **named) > 0

    async def accept_invitation(
        self, invitation_id: InvitationId, user: User, *, is_new: bool, now: datetime
    ) -> bool:
        def accept(connection: apsw.Connection) -> bool:
            if not run(connection, "has_invitation", id=invitation_id).get:
                return False
            if is_new:
                run(connection, "create_user", **user_columns(user))
            joining = {"id": invitation_id, "user_id": user.id, "now": microseconds_of(now)}
            run(connection, "accept_invitation", **joining)
            run(connection, "use_up_invitation", id=invitation_id)
            return True

        return await self._database.write(accept)

    async def forget_expired_people(self, *, now: datetime) -> int:
        def forget(connection: apsw.Connection) -> int:
            forgotten = 0
            for query in (
                "forget_expired_sessions",
                "forget_expired_links",
                "forget_expired_invitations",
            ):
                run(connection, query, now=microseconds_of(now))
                forgotten += connection.changes()
            return forgotten

        return await self._database.write(forget)


def _ids(cursor: apsw.Cursor) -> list[SessionId]:
    # All rows are fetched: a statement with RETURNING ends with its last one.
    rows: list[Row] = cursor.fetchall()
    return [id for (id,) in rows]

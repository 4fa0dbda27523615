"""Rows as values of the domain, and back.

The functions take columns in the order in which every query names them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from statekeep.domain.access import Role
from statekeep.domain.dead_letter import DeadLetter
from statekeep.domain.index import IndexFill
from statekeep.domain.instance import ClaimedInstance, InstanceInfo, InstanceKey, InstanceStatus
from statekeep.domain.machine import (
    Key,
    Machine,
    MachineVersion,
    Membership,
    Organization,
    VersionInfo,
)
from statekeep.domain.message import Address, Message, MessageKind
from statekeep.domain.names import InstanceId
from statekeep.domain.people import Invitation, Member, Session, SessionKind, User
from statekeep.domain.retention import JournalBounds, LogBounds, Retention
from statekeep.domain.timer import Timer
from statekeep.domain.token_exchange import IdentityProvider, TokenProvider

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_strings = msgspec.json.Decoder(tuple[str, ...]).decode
_selectors = msgspec.json.Decoder(dict[str, str]).decode
_mapping = msgspec.json.Decoder(dict[str, Any]).decode


def microseconds_of(instant: datetime) -> int:
    """An instant as it is stored: exact, unlike a float."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(microseconds: int) -> datetime:
    """Back from `microseconds_of`."""
    return _EPOCH + microseconds * _MICROSECOND


def json_of(value: object) -> str:
    """A value in a TEXT column that no statement looks into."""
    return msgspec.json.encode(value).decode()


def organization_of(id: Any, name: Any, created_at: int, allows_anonymous: int) -> Organization:
    """A row of organizations."""
    return Organization(id, name, instant_of(created_at), bool(allows_anonymous))


def membership_of(role: str, *organization: Any) -> Membership:
    """A row of members with its organization."""
    return Membership(organization_of(*organization), Role(role))


def user_of(id: Any, email: Any, created_at: int, is_email_verified: int) -> User:
    """A row of users."""
    return User(id, email, instant_of(created_at), bool(is_email_verified))


def user_columns(user: User) -> dict[str, Any]:
    """A user as a row."""
    return {
        "id": user.id,
        "email": user.email,
        "created_at": microseconds_of(user.created_at),
        "is_email_verified": user.is_email_verified,
    }


def member_of(user_id: Any, email: Any, role: str, joined_at: int) -> Member:
    """A row of members with its user."""
    return Member(user_id, email, Role(role), instant_of(joined_at))


def session_of(
    id: Any, user_id: Any, kind: str, label: str, created_at: int, expires_at: int
) -> Session:
    """A row of sessions."""
    return Session(
        id, user_id, SessionKind(kind), label, instant_of(created_at), instant_of(expires_at)
    )


def session_columns(session: Session) -> dict[str, Any]:
    """A session as a row."""
    return {
        "id": session.id,
        "user_id": session.user_id,
        "kind": session.kind.value,
        "label": session.label,
        "created_at": microseconds_of(session.created_at),
        "expires_at": microseconds_of(session.expires_at),
    }


def invitation_of(id: Any, organization_id: Any, email: Any, role: str, *rest: int) -> Invitation:
    """A row of invitations, without the hash of its code."""
    created_at, expires_at, is_mailed = rest
    return Invitation(
        id,
        organization_id,
        email,
        Role(role),
        instant_of(created_at),
        instant_of(expires_at),
        bool(is_mailed),
    )


def invitation_columns(invitation: Invitation, code_hash: bytes) -> dict[str, Any]:
    """An invitation as a row."""
    return {
        "id": invitation.id,
        "organization_id": invitation.organization_id,
        "email": invitation.email,
        "role": invitation.role.value,
        "created_at": microseconds_of(invitation.created_at),
        "expires_at": microseconds_of(invitation.expires_at),
        "is_mailed": invitation.is_mailed,
        "code_hash": code_hash,
    }


def key_of(id: Any, organization_id: Any, name: str, scopes: str, created_at: int) -> Key:
    """A row of keys, without the secret."""
    return Key(id, organization_id, name, frozenset(_strings(scopes)), instant_of(created_at))


def key_columns(key: Key, sealed_secret: bytes) -> dict[str, Any]:
    """A key as a row."""
    return {
        "id": key.id,
        "organization_id": key.organization_id,
        "name": key.name,
        "scopes": json_of(sorted(key.scopes)),
        "created_at": microseconds_of(key.created_at),
        "sealed_secret": sealed_secret,
    }


def identity_provider_of(
    id: Any, organization_id: Any, audience: str, issuer: str, algorithms: str, *rest: Any
) -> IdentityProvider:
    """A row of identity_providers."""
    jwks_url, sealed_key, mapping = rest
    return IdentityProvider(
        id,
        organization_id,
        audience or None,
        issuer or None,
        _strings(algorithms),
        jwks_url,
        sealed_key,
        _mapping(mapping),
    )


def identity_provider_columns(provider: IdentityProvider) -> dict[str, Any]:
    """An identity provider as a row."""
    return {
        "id": provider.id,
        "organization_id": provider.organization_id,
        "audience": provider.audience or "",
        "issuer": provider.issuer or "",
        "algorithms": json_of(provider.algorithms),
        "jwks_url": provider.jwks_url,
        "sealed_key": provider.sealed_key,
        "mapping": json_of(provider.mapping),
    }


def token_provider_of(
    id: Any, organization_id: Any, service: Any, key_id: Any, mapping: str
) -> TokenProvider:
    """A row of token_providers."""
    return TokenProvider(id, organization_id, service, key_id, _mapping(mapping))


def token_provider_columns(provider: TokenProvider) -> dict[str, Any]:
    """A token provider as a row."""
    return {
        "id": provider.id,
        "organization_id": provider.organization_id,
        "service": provider.service,
        "key_id": provider.key_id,
        "mapping": json_of(provider.mapping),
    }


def machine_of(
    id: int, organization_id: Any, name: Any, indexes: str, created_at: int, *current: Any
) -> Machine:
    """A row of machines with its current version."""
    return Machine(
        id,
        organization_id,
        name,
        _strings(indexes),
        instant_of(created_at),
        optional_version_info_of(*current),
    )


def retention_of(json: str | None) -> Retention:
    """The column of machines. What a later release has added to it is not looked at."""
    chosen = {} if json is None else msgspec.json.decode(json)
    journal, logs = chosen.get("journal"), chosen.get("logs")
    return Retention(
        None
        if journal is None
        else JournalBounds(_age_of(journal.get("maxAgeMs")), journal.get("maxEntries")),
        None if logs is None else LogBounds(_age_of(logs.get("maxAgeMs"))),
    )


def retention_json(retention: Retention) -> str | None:
    """Back from `retention_of`."""
    journal, logs = retention
    chosen: dict[str, Any] = {}
    if journal is not None:
        age_ms = _age_ms(journal.max_age)
        chosen["journal"] = {"maxAgeMs": age_ms, "maxEntries": journal.max_entries}
    if logs is not None:
        chosen["logs"] = {"maxAgeMs": _age_ms(logs.max_age)}
    return json_of(chosen) if chosen else None


def _age_of(ms: float | None) -> timedelta | None:
    return None if ms is None else timedelta(milliseconds=ms)


def _age_ms(age: timedelta | None) -> float | None:
    return None if age is None else age.total_seconds() * 1000


def version_info_of(id: Any, created_at: int, client_info: str | None) -> VersionInfo:
    """What lists show of a row of versions."""
    return VersionInfo(id, instant_of(created_at), client_info)


def optional_version_info_of(id: Any, created_at: Any, client_info: Any) -> VersionInfo | None:
    """The same of an outer join."""
    return None if id is None else version_info_of(id, created_at, client_info)


def version_of(
    id: Any,
    machine_id: int,
    organization_id: Any,
    machine_name: Any,
    created_at: int,
    client_info: str | None,
    index_selectors: str,
    xstate_major: int,
    code_hash: bytes,
) -> MachineVersion:
    """A row of versions with its machine."""
    return MachineVersion(
        id,
        machine_id,
        organization_id,
        machine_name,
        instant_of(created_at),
        client_info,
        _selectors(index_selectors),
        xstate_major,
        code_hash,
    )


def instance_info_of(name: Any, created_at: int, status: str, *versions: Any) -> InstanceInfo:
    """A row of instances with its version and the desired one."""
    return InstanceInfo(
        name,
        instant_of(created_at),
        InstanceStatus(status),
        version_info_of(*versions[:3]),
        optional_version_info_of(*versions[3:]),
    )


def claimed_of(
    instance_id: InstanceId, row: tuple[Any, ...], timers: tuple[Timer, ...]
) -> ClaimedInstance:
    """A row of the query `claim`."""
    (
        *key,
        status,
        created_at,
        revision,
        due,
        next_timer_seq,
        ts,
        snapshot,
    ) = row[:10]
    return ClaimedInstance(
        id=instance_id,
        key=InstanceKey(*key),
        version=version_of(*row[10:19]),
        desired_version=optional_version_info_of(*row[19:22]),
        status=InstanceStatus(status),
        revision=revision,
        ts=ts,
        snapshot=snapshot,
        due=_strings(due) if due is not None else (),
        timers=timers,
        next_timer_seq=next_timer_seq,
        created_at=instant_of(created_at),
    )


def selectors_of(index_selectors: str) -> dict[str, str]:
    """The index selectors of a row of versions."""
    return _selectors(index_selectors)


def index_fill_of(machine_id: int, generation: int, names: str | None, *progress: Any) -> IndexFill:
    """A row of index_fills."""
    indexes = None if names is None else _strings(names)
    return IndexFill(machine_id, generation, indexes, *progress)


def timer_of(seq: int, send_id: str, due_at: float, event: bytes, *rest: Any) -> Timer:
    """A row of timers."""
    after, tries, is_dead, message, hops, failure = rest
    return Timer(
        seq,
        send_id,
        due_at,
        event,
        after,
        tries,
        bool(is_dead),
        None if message is None else _message_of(message),
        hops,
        failure,
    )


def dead_letter_of(instance_id: Any, instance_name: Any, *timer: Any) -> DeadLetter:
    """A row of timers with the name of its instance."""
    return DeadLetter(instance_id, instance_name, timer_of(*timer))


def timer_row(instance_id: InstanceId, timer: Timer) -> tuple[Any, ...]:
    """A timer as a row of timers."""
    if timer.message is None:
        return (instance_id, *timer)
    return (instance_id, *timer._replace(message=_message_json(timer.message)))


def _message_json(message: Message) -> Any:
    (machine_name, name), kind, child_id, version_id = message
    return json_of([machine_name, name, kind.value, child_id, version_id])


def _message_of(text: str) -> Message:
    machine_name, name, kind, child_id, version_id = msgspec.json.decode(text)
    return Message(Address(machine_name, name), MessageKind(kind), child_id, version_id)

"""Organizations, machines, instances and commits for tests, complete but for what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from statekeep.domain.access import Role
from statekeep.domain.commit import Commit, JournalEntry, KeyUse, NewInstance
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceKey
from statekeep.domain.log import LogEntry, size_of
from statekeep.domain.machine import Key, Machine, MachineVersion, Organization
from statekeep.domain.migration import Migration
from statekeep.domain.names import (
    EmailAddress,
    IdentityProviderId,
    InstanceId,
    InstanceName,
    InvitationId,
    KeyId,
    MachineName,
    MigrationId,
    OrganizationId,
    ServiceName,
    SessionId,
    TokenProviderId,
    UserId,
    VersionId,
)
from statekeep.domain.people import Invitation, Session, SessionKind, User
from statekeep.domain.timer import Timer
from statekeep.domain.token_exchange import IdentityProvider, TokenProvider
from statekeep.ports.store import Store

NOW = datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)
NOW_MS = 1_767_268_800_123.0
BOB_EMAIL = EmailAddress("bob@example.com")
CODE = b"export default createMachine({});"


@dataclass(frozen=True)
class Ground:
    """A machine with a current version, on which instances can stand."""

    machine: Machine
    version: MachineVersion

    def key(self, name: str = "one") -> InstanceKey:
        """How the world names an instance of it."""
        return InstanceKey(self.machine.organization_id, self.machine.name, InstanceName(name))

    def creation(self, instance_id: InstanceId, name: str = "one") -> Commit:
        """The first commit of an instance."""
        new = NewInstance(self.key(name), self.machine.id, self.version.id, NOW)
        entry = an_entry(1, origin=Origin.CREATION)
        return Commit(instance_id, 0, (entry,), new=new)


def a_user(name: str = "ada") -> User:
    """Somebody."""
    return User(UserId(f"usr_{name}"), EmailAddress(f"{name}@example.com"), NOW)


def a_session(
    user: User, name: str = "laptop", *, kind: SessionKind = SessionKind.DEVICE
) -> Session:
    """Good for an hour."""
    ends = NOW + timedelta(hours=1)
    return Session(SessionId(f"ses_{name}"), user.id, kind, f"on the {name}", NOW, ends)


def an_invitation(
    organization_id: OrganizationId,
    email: EmailAddress = BOB_EMAIL,
    *,
    id: str = "inv_1",
    role: Role = Role.READ,
) -> Invitation:
    """By a link that the inviter passes on, good for a day."""
    ends = NOW + timedelta(days=1)
    return Invitation(InvitationId(id), organization_id, email, role, NOW, ends, False)


def an_organization(name: str = "acme", *, created_at: datetime = NOW) -> Organization:
    """Without anonymous access."""
    return Organization(OrganizationId(f"org_{name}"), name, created_at, False)


def a_key(organization_id: OrganizationId, name: str = "ci") -> Key:
    """With two scopes."""
    scopes = frozenset({"events.write", "state.read"})
    return Key(KeyId(f"sbk_{name}"), organization_id, name, scopes, NOW)


def an_identity_provider(
    organization_id: OrganizationId,
    audience: str | None = "https://app.example.com",
    issuer: str | None = "https://login.example.com/",
    *,
    id: str = "idp_1",
) -> IdentityProvider:
    """With a key of its own and a mapping that has some of everything."""
    mapping = {"sub.$": "$.sub", "nested": [{"deep.$": "x"}, None, 1.5], "ä": True}
    return IdentityProvider(
        IdentityProviderId(id),
        organization_id,
        audience,
        issuer,
        ("HS256", "HS512"),
        None,
        b"\0sealed",
        mapping,
    )


def a_token_provider(
    organization_id: OrganizationId, service: str = "app", *, id: str = "tkp_1", key: str = "sbk_ci"
) -> TokenProvider:
    """Of a key that need not exist."""
    mapping = {"sub.$": "$.sub"}
    return TokenProvider(
        TokenProviderId(id), organization_id, ServiceName(service), KeyId(key), mapping
    )


def a_version(machine: Machine, name: str = "first") -> MachineVersion:
    """Of XState 5, with one index."""
    return MachineVersion(
        id=VersionId(f"ver_{machine.name}_{name}"),
        machine_id=machine.id,
        organization_id=machine.organization_id,
        machine_name=machine.name,
        created_at=NOW,
        client_info=f"sha of {name}",
        index_selectors={"owner": "$.owner"},
        xstate_major=5,
        code_hash=b"h" * 32,
    )


def a_migration(source: MachineVersion, target: MachineVersion, name: str = "first") -> Migration:
    """From one version of a machine to another."""
    return Migration(
        MigrationId(f"mig_{name}"), source.machine_id, source.id, target.id, NOW, b"m" * 32
    )


def an_entry(
    revision: int, *, origin: Origin = Origin.CLIENT, snapshot: bytes | None = None
) -> JournalEntry:
    """Told apart by its revision in every field."""
    event = b'{"type":"E%d"}' % revision
    snapshot = b'{"value":%d}' % revision if snapshot is None else snapshot
    return JournalEntry(revision, NOW_MS + revision / 1000, origin, event, snapshot)


def a_commit(instance_id: InstanceId, base_revision: int, *, entries: int = 1) -> Commit:
    """One that moves an instance on. What else it does is added with `_replace`."""
    revisions = range(base_revision + 1, base_revision + 1 + entries)
    return Commit(instance_id, base_revision, tuple(an_entry(revision) for revision in revisions))


def a_timer(seq: int, *, due_at: float = NOW_MS + 1000) -> Timer:
    """An `after` of the machine."""
    return Timer(seq, f"after-{seq}", due_at, b'{"type":"xstate.after"}', b'{"path":[]}')


def a_key_use(key: str = "k", *, expires_at: float = NOW_MS + 1000) -> KeyUse:
    """Of an event that has not settled."""
    return KeyUse(key, b"hash of " + key.encode(), None, expires_at)


async def found_organization(store: Store, name: str = "acme") -> OrganizationId:
    """An organization with an admin of its own."""
    admin = a_user(f"admin of {name}")
    await store.create_user(admin)
    organization = an_organization(name)
    await store.create_organization(organization, admin.id)
    return organization.id


async def lay_ground(
    store: Store, *, organization: str = "acme", machine: str = "toggle"
) -> Ground:
    """A published machine in an organization, which is founded where it does not exist."""
    organization_id = an_organization(organization).id
    if await store.organization(organization_id) is None:
        await found_organization(store, organization)
    name = MachineName(machine)
    await store.create_machine(organization_id, name, ("owner",), NOW)
    created = await store.machine(organization_id, name)
    assert created is not None
    version = a_version(created, organization)
    await store.create_version(version, CODE, make_current=True)
    current = await store.machine(organization_id, name)
    assert current is not None
    return Ground(current, version)


async def create_instances(store: Store, ground: Ground, names: Sequence[str]) -> list[InstanceId]:
    """In that order, all at revision 1."""
    ids = [store.new_instance_id() for _ in names]
    commits = [store.commit(ground.creation(*one)) for one in zip(ids, names, strict=True)]
    for written in commits:
        await written
    return ids


async def create_instance(store: Store, ground: Ground, name: str = "one") -> InstanceId:
    """One at revision 1."""
    (instance_id,) = await create_instances(store, ground, [name])
    return instance_id


def a_log_entry(ts_ms: int, *, organization: str = "acme", text: str = "hello") -> LogEntry:
    """Something that instance `one` printed."""
    return LogEntry(
        ts_ms,
        an_organization(organization).id,
        MachineName("toggle"),
        InstanceName("one"),
        VersionId("ver_1"),
        False,
        text,
        size_of(text),
    )

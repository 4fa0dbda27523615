"""What the server answers, as Python values: instants are aware datetimes, what is absent is None.

Fields that a newer server adds are ignored, and words of which it may add some (states, roles, outcomes) are plain strings.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Struct, field

StateValue: TypeAlias = str | dict[str, Any]
"""The active state: a string at the top level, an object from parent to child states where it is nested, with several keys where it is parallel."""

Item = TypeVar("Item")


class Model(Struct, rename="camel"):
    """Base of all answers."""


class Page(Struct, Generic[Item]):
    """A page of a list. Without `cursor` it is the last one."""

    items: list[Item]
    cursor: str | None = None

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


# Machines and their versions


class MachineVersion(Model):
    """A published version. `client_info` is the author's own reference."""

    id: str
    created_at: datetime
    client_info: str


class Machine(Model):
    """A machine in a list. It takes no instances without a current version."""

    slug: str
    created_at: datetime
    current_version: MachineVersion | None = None


class MachineDetails(Machine, kw_only=True):
    """A machine with the names of its indexes."""

    indexes: list[str]


class ProvisionalVersion(Model):
    """Where to upload code, and the signed id to publish it with."""

    machine_version_id: str
    code_upload_url: str
    code_upload_fields: dict[str, str]


class UnmappedState(Model):
    """A state (keys from the root) that a version does not have, and how many instances of another version are in it."""

    state: list[str]
    from_machine_version_id: str
    instances: int


class BlastRadius(Model):
    """How many instances of other versions are in states that a version does not have. Not `is_complete` where not all of them could be looked at."""

    instances: int
    checked: int
    unmapped: list[UnmappedState]
    is_complete: bool


class PublishedVersion(Model):
    """The version that came of an upload. State Backed tells no blast radius."""

    machine_version_id: str
    blast_radius: BlastRadius | None = None


class JournalRetention(Model):
    """Bounds of the journal of each instance. None is no bound."""

    max_age: str | None = None
    max_entries: int | None = None


class LogRetention(Model):
    """How long log entries are kept. None is as long as the server keeps any."""

    max_age: str | None = None


class ChosenRetention(Model):
    """What was chosen for a machine. The server's defaults count for what is None."""

    journal: JournalRetention | None = None
    logs: LogRetention | None = None


class EffectiveRetention(Model):
    """What a machine keeps."""

    journal: JournalRetention
    logs: LogRetention


class Retention(Model):
    """How long a machine keeps what it has done and printed: what was chosen (`retention`), and what comes of it with the server's defaults."""

    retention: ChosenRetention
    effective: EffectiveRetention


class Index(Model):
    """An index of a machine. While `state` is "filling", `done` of `total` instances have been looked at."""

    name: str
    state: str
    selector: str | None = None
    done: int | None = None
    total: int | None = None


class IndexMatch(Model):
    """An instance and the value under which an index has it."""

    slug: str
    index_value: str


# Migrations


class Migration(Model):
    """A published migration."""

    id: str
    from_machine_version_id: str
    to_machine_version_id: str
    created_at: datetime


class ProvisionalMigration(Model):
    """Where to upload code, and the signed id to publish it with."""

    machine_version_migration_id: str
    code_upload_url: str
    code_upload_fields: dict[str, str]


class PublishedMigration(Model):
    """The migration that came of an upload; its id stands under both names."""

    machine_version_id: str
    machine_version_migration_id: str


class Failures(Model):
    """Instances that would stay as they are, for the same reason. `samples` are names of some."""

    reason: str
    message: str
    instances: int
    samples: list[str]


class UnmappedStates(Model):
    """A state that migrations lead to and that the new version does not have."""

    state: list[str]
    from_machine_version_id: str
    instances: int
    samples: list[str]


class Timers(Model):
    """Delayed events that would be cancelled or started."""

    id: str
    count: int
    samples: list[str]


class MovedTimers(Model):
    """Delayed events that would keep their time under another name."""

    from_: str = field(name="from")
    to: str
    count: int
    samples: list[str]


class TimerMoves(Model):
    """What would become of delayed events."""

    cancelled: list[Timers]
    moved: list[MovedTimers]
    started: list[Timers]


class LostChildren(Model):
    """Children that would be left behind."""

    id: str
    count: int
    samples: list[str]


class LostHistory(Model):
    """A state whose remembered past would be left behind."""

    state: list[str]
    count: int
    samples: list[str]


class DryRun(Model):
    """What a dry run has found so far. `state` is "running", "done" or "stopped", then with `why`."""

    id: str
    state: str
    done: int
    fit: int
    failed: int
    unchanged: int
    failures: list[Failures]
    unmapped: list[UnmappedStates]
    timers: TimerMoves
    lost_children: list[LostChildren]
    lost_history: list[LostHistory]
    others: int
    total: int | None = None
    why: str | None = None


class BulkUpgrade(Model):
    """A bulk upgrade. `status` is "running", "paused", "cancelled" or "done"; `reason` says why it paused itself."""

    id: str
    status: str
    to_machine_version_id: str
    created_at: datetime
    from_machine_version_id: str | None = None
    finished_at: datetime | None = None
    reason: str | None = None


class BulkUpgradeProgress(BulkUpgrade, kw_only=True):
    """How far a bulk upgrade is, in instances. `done` is upgraded, unchanged and failed together; `waiting` are looked at again."""

    total: int
    is_total_known: bool
    done: int
    pending: int
    waiting: int
    upgraded: int
    unchanged: int
    failed: int


class BulkUpgradeResult(Model):
    """What came of an instance. Its version is the one that it had before."""

    slug: str
    from_machine_version_id: str
    outcome: str
    reason: str | None = None
    message: str | None = None


# Instances


class State(Model):
    """What the caller may see of an instance. `ts` is when it came about, in milliseconds since the epoch, strictly growing per instance."""

    ts: float
    state: StateValue
    tags: list[str]
    done: bool
    public_context: Any = None

    @property
    def states(self) -> list[str]:
        """All active states, parents before their children, as paths: "checkout", "checkout.payment"."""
        return list(_paths(self.state, ""))

    def matches(self, path: str) -> bool:
        """Whether the state at `path` ("checkout.payment") is active."""
        return path in self.states


class Update(State, kw_only=True):
    """A state that a subscription tells. Each transition of an instance has a larger `revision` than those before it."""

    machine_name: str
    machine_instance_name: str
    revision: int


class Instance(Model):
    """An instance in a list. `status` is "running" or "paused"."""

    slug: str
    created_at: datetime
    status: str
    machine_version: MachineVersion
    desired_machine_version: MachineVersion | None = None


class AdministrativeState(Model):
    """An instance as its operator sees it, with its whole context."""

    state: StateValue
    context: dict[str, Any]
    status: str
    tags: list[str]
    done: bool
    machine_version: MachineVersion
    created_at: datetime
    desired_machine_version: MachineVersion | None = None


class Transition(Model):
    """One recorded step of an instance: the event, and the state it led to."""

    created_at: datetime
    state: StateValue
    event: dict[str, Any]


class InstanceAddress(Model):
    """An instance of the organization."""

    machine_name: str
    machine_instance_name: str


class DeadLetter(Model):
    """A delayed event of `instance` to itself ("timer"), or what it sent to another one, that was given up after so many `tries`."""

    id: str
    instance: str
    kind: str
    event: Any
    due_at: datetime
    tries: int
    failure: str
    to: InstanceAddress | None = None


class RetriedDeadLetters(Model):
    """How many were sent off. Where there is a `cursor` there are more."""

    retried: int
    cursor: str | None = None


# Organizations, keys and tokens


class Key(Model):
    """An API key. Its secret is never shown again."""

    id: str
    name: str
    scopes: list[str]
    created_at: datetime


class NewKey(Model):
    """A key that was made. `key` is its secret, told this once."""

    id: str
    key: str


class IdentityProvider(Model):
    """A trusted identity provider. Its key is never shown."""

    algs: list[str]
    mapping: dict[str, Any]
    aud: str | None = None
    iss: str | None = None
    jwks_url: str | None = None


class TokenProvider(Model):
    """A kind of token to exchange others for, signed with the key `key_id`."""

    key_id: str
    service: str
    mapping: dict[str, Any]


class ExchangedToken(Struct):
    """A token that was given for another one (RFC 8693, 2.2.1), good for so many seconds."""

    access_token: str
    expires_in: int
    issued_token_type: str
    token_type: str


class OrganizationLimits(Model):
    """Of a month."""

    monthly_events_limit: int
    monthly_reads_limit: int


class Organization(Model):
    """An organization as its member sees it."""

    id: str
    name: str
    role: str
    created_at: datetime
    limits: OrganizationLimits


# People


class DeviceAuthorization(Struct):
    """A code for a person to confirm (RFC 8628, 3.2), within so many seconds; ask for what came of it every `interval` seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    verification_uri_complete: str | None = None
    interval: int = 5


class SignedInUser(Model):
    """Whose session it is."""

    id: str
    email: str


class SignIn(Struct):
    """A session that was given to a device, good for so many seconds."""

    access_token: str
    expires_in: int
    token_type: str
    user: SignedInUser


class SignInSession(Model):
    """Where somebody is signed in: a "browser", a "device" or the "server" itself."""

    id: str
    kind: str
    label: str
    created_at: datetime
    expires_at: datetime


class ListedSession(SignInSession):
    """The same in a list: `is_current` where it is the one that asks."""

    is_current: bool


class Person(Model):
    """Somebody, and the session that they ask with."""

    id: str
    email: str
    created_at: datetime
    session: SignInSession


class Member(Model):
    """Somebody in an organization."""

    id: str
    email: str
    role: str
    joined_at: datetime


class Invitation(Model):
    """An invitation that nobody has accepted yet."""

    id: str
    email: str
    role: str
    created_at: datetime
    expires_at: datetime


class SentInvitation(Model):
    """An invitation that was mailed, or the link that is to be given to whom it is for."""

    invitation: Invitation
    is_mailed: bool
    code: str | None = None
    url: str | None = None


class JoinedOrganization(Model):
    """The organization that somebody was invited to."""

    id: str
    name: str


class AcceptedInvitation(Model):
    """What accepting an invitation made of its caller."""

    organization: JoinedOrganization
    role: str


class Usage(Model):
    """What an organization has."""

    machines: int
    versions: int
    instances: int
    transitions: int


# Logs and the rest


class LogEntry(Model):
    """What a machine printed at once (`output_type` "stdout" or "stderr"), or what went wrong in it. `instance_name` is empty where it belongs to none."""

    timestamp: datetime
    org_id: str
    machine_name: str
    instance_name: str
    machine_version_id: str
    output_type: str
    log: str


class LogPage(Model):
    """Log entries, oldest first. `max_timestamp` is where the next page begins."""

    max_timestamp: datetime
    logs: list[LogEntry]


class Imported(Model):
    """What an import brought. `changed_version_ids` lead from ids that were taken on this server to those that the versions have here."""

    machines: list[str]
    versions: int
    migrations: int
    instances: int
    entries: int
    timers: int
    changed_version_ids: dict[str, str]


class Health(Model):
    """Whether the server takes requests."""

    status: str


class HttpAnswer(Struct):
    """What an endpoint of a machine answered, whatever the status. Names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


def _paths(value: StateValue, parent: str) -> Iterator[str]:
    children = {value: {}} if isinstance(value, str) else value
    for name, below in children.items():
        path = parent + name
        yield path
        if below:
            yield from _paths(below, f"{path}.")

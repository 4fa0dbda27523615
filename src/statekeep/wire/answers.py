"""Bodies of answers, as the published clients read them. A field that is absent is left out, never null."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from statekeep.wire.fields import (
    BulkUpgradeId,
    ClaimsMapping,
    Count,
    Cursor,
    DryRunId,
    IndexName,
    InstanceSlug,
    InstanceStatus,
    IsDone,
    KeyId,
    KeySetUrl,
    MachineSlug,
    MigrationId,
    OrganizationId,
    PublicContext,
    RecordedEvent,
    Role,
    Scope,
    ServiceName,
    SigningAlgorithm,
    StatePath,
    StateTimestamp,
    StateValue,
    Tags,
    Timestamp,
    TokenAudience,
    TokenIssuer,
    VersionId,
    WholeContext,
)


class Answer(Struct, rename="camel"):
    """Base of all answer bodies."""


class Error(Answer):
    """What went wrong. `code` is for programs, `error` for people, `parameter` names the wrong input.

    A token exchange that is refused says it as RFC 6749, 5.2 wants it: `error` is the code, `error_description` is for people.
    """

    error: str
    code: str | UnsetType = UNSET
    parameter: str | UnsetType = UNSET
    error_description: str | UnsetType = field(default=UNSET, name="error_description")


class VersionInfo(Answer):
    """A published version."""

    id: VersionId
    created_at: Timestamp
    client_info: str


class MachineItem(Answer):
    """A machine in a list."""

    slug: MachineSlug
    created_at: Timestamp
    current_version: VersionInfo | UnsetType = UNSET


class MachinePage(Answer):
    """Machines, newest first."""

    machines: list[MachineItem]
    cursor: Cursor | UnsetType = UNSET


class MachineDetails(Answer):
    """A machine with its indexes."""

    slug: MachineSlug
    created_at: Timestamp
    indexes: list[IndexName]
    current_version: VersionInfo | UnsetType = UNSET


class MachineAnswer(Answer):
    """One machine."""

    machine: MachineDetails


class JournalRetention(Answer):
    """Bounds of the journal of each instance. A bound that is absent is none."""

    max_age: Annotated[str, Meta(examples=["30d"])] | UnsetType = UNSET
    max_entries: int | UnsetType = UNSET


class LogRetention(Answer):
    """How long log entries are kept. Without a bound as long as the server keeps any."""

    max_age: Annotated[str, Meta(examples=["7d"])] | UnsetType = UNSET


class ChosenRetention(Answer):
    """What was chosen for a machine. The server's defaults count for what is absent."""

    journal: JournalRetention | UnsetType = UNSET
    logs: LogRetention | UnsetType = UNSET


class EffectiveRetention(Answer):
    """What a machine keeps."""

    journal: JournalRetention
    logs: LogRetention


class RetentionAnswer(Answer):
    """How long a machine keeps what it has done and printed."""

    retention: ChosenRetention
    effective: EffectiveRetention


class State(Answer):
    """What an authorised caller may see of an instance."""

    ts: StateTimestamp
    state: StateValue
    tags: Tags
    done: IsDone
    public_context: PublicContext | UnsetType = UNSET


class InstanceItem(Answer):
    """An instance in a list."""

    slug: InstanceSlug
    created_at: Timestamp
    status: InstanceStatus
    machine_version: VersionInfo
    desired_machine_version: VersionInfo | UnsetType = UNSET


class InstancePage(Answer):
    """Instances, newest first."""

    instances: list[InstanceItem]
    cursor: Cursor | UnsetType = UNSET


class AdministrativeState(Answer):
    """An instance as its operator sees it, without a question to its authoriser."""

    state: StateValue
    context: WholeContext
    status: InstanceStatus
    tags: Tags
    done: IsDone
    machine_version: VersionInfo
    created_at: Timestamp
    desired_machine_version: VersionInfo | UnsetType = UNSET


class TransitionItem(Answer):
    """One recorded step of an instance: the event, and the state it led to."""

    created_at: Timestamp
    state: StateValue
    event: RecordedEvent


class TransitionPage(Answer):
    """Transitions, newest first."""

    transitions: list[TransitionItem]
    cursor: Cursor | UnsetType = UNSET


class IndexMatch(Answer):
    """An instance and the value that an index has of it."""

    slug: InstanceSlug
    index_value: Annotated[str, Meta(description="The value under which it was found.")]


class IndexPage(Answer):
    """Entries of an index, by value and then by the age of the instance."""

    instances: list[IndexMatch]
    cursor: Cursor | UnsetType = UNSET


class IndexDetails(Answer):
    """An index of a machine."""

    name: IndexName
    state: Annotated[
        Literal["ready", "filling"],
        Meta(description="`filling` while existing instances are still to be indexed."),
    ]
    selector: Annotated[
        str | UnsetType, Meta(description="The selector of the machine's current version.")
    ] = UNSET
    done: Annotated[
        int | UnsetType, Meta(description="Instances that were looked at, while it is filling.")
    ] = UNSET
    total: Annotated[int | UnsetType, Meta(description="Instances to look at in all.")] = UNSET


class IndexList(Answer):
    """Indexes of a machine."""

    indexes: list[IndexDetails]


class InstanceAddress(Answer):
    """An instance of the organization."""

    machine_name: MachineSlug
    machine_instance_name: InstanceSlug


class DeadLetterItem(Answer):
    """A delayed event of an instance to itself (`timer`), or what it sent to another one, that was given up."""

    id: Annotated[str, Meta(description="Names it while it is a dead letter, and nothing else.")]
    instance: Annotated[
        str, Meta(description="The instance that set or sent it: a name of the machine's.")
    ]
    kind: Annotated[
        Literal["timer", "event", "done", "spawn"],
        Meta(
            description="`done` is the end of a child, told to its parent; `spawn` makes a child."
        ),
    ]
    event: Annotated[
        Raw,
        Meta(description="The event; the child's output for `done`, its context for `spawn`."),
    ]
    due_at: Timestamp
    tries: int
    failure: Annotated[str, Meta(description="Why the last try failed.")]
    to: InstanceAddress | UnsetType = UNSET


class DeadLetterPage(Answer):
    """Dead letters, the last to die first."""

    dead_letters: list[DeadLetterItem]
    cursor: Cursor | UnsetType = UNSET


class RetriedDeadLetters(Answer):
    """How many were sent off. Where there is a `cursor` there are more: send it along to go on."""

    retried: int
    cursor: Cursor | UnsetType = UNSET


class VersionPage(Answer):
    """Versions, newest first."""

    versions: list[VersionInfo]
    cursor: Cursor | UnsetType = UNSET


class ProvisionalVersion(Answer):
    """Where to upload code, and the id to publish it with."""

    machine_version_id: Annotated[
        str, Meta(description="A signed id, good for publishing this upload only.")
    ]
    code_upload_url: Annotated[
        str, Meta(description="POST the code there as a multipart form, in its part `file`.")
    ]
    code_upload_fields: Annotated[
        dict[str, str], Meta(description="Fields to send in that form before the file.")
    ]


class UnmappedState(Answer):
    """A state that a version does not have, and the instances of another version that are in it."""

    state: StatePath
    from_machine_version_id: VersionId
    instances: Count


class BlastRadius(Answer):
    """How many instances of other versions are in states that a version does not have."""

    instances: Annotated[int, Meta(ge=0, description="Those that are in such a state.")]
    checked: Annotated[
        int, Meta(ge=0, description="Instances of other versions that were looked at.")
    ]
    unmapped: Annotated[
        list[UnmappedState], Meta(description="Those with the most instances first, 200 at most.")
    ]
    is_complete: Annotated[
        bool, Meta(description="False where not all instances could be looked at in time.")
    ]


class PublishedVersion(Answer):
    """The version that came of an upload."""

    machine_version_id: VersionId
    blast_radius: BlastRadius


class MigrationItem(Answer):
    """A migration in a list."""

    id: MigrationId
    from_machine_version_id: VersionId
    to_machine_version_id: VersionId
    created_at: Timestamp


class MigrationPage(Answer):
    """Migrations, newest first."""

    migrations: list[MigrationItem]
    cursor: Cursor | UnsetType = UNSET


class ProvisionalMigration(Answer):
    """Where to upload code, and the id to publish it with."""

    machine_version_migration_id: Annotated[
        str, Meta(description="A signed id, good for publishing this upload only.")
    ]
    code_upload_url: Annotated[
        str, Meta(description="POST the code there as a multipart form, in its part `file`.")
    ]
    code_upload_fields: Annotated[
        dict[str, str], Meta(description="Fields to send in that form before the file.")
    ]


class PublishedMigration(Answer):
    """The migration that came of an upload. Its id stands under both names, as the published types know the first only."""

    machine_version_id: MigrationId
    machine_version_migration_id: MigrationId


Samples = Annotated[list[InstanceSlug], Meta(description="Names of some of these instances.")]


class Failures(Answer):
    """Instances that would stay as they are, for the same reason."""

    reason: str
    message: str
    instances: Count
    samples: Samples


class UnmappedStates(Answer):
    """A state that migrations lead to and that the new version does not have."""

    state: StatePath
    from_machine_version_id: VersionId
    instances: Count
    samples: Samples


class Timers(Answer):
    """Delayed events that would be cancelled or started, by their name."""

    id: str
    count: Count
    samples: Samples


class MovedTimers(Answer):
    """Delayed events that would keep their time under another name."""

    from_: Annotated[str, Meta(description="The name in the old version.")] = field(name="from")
    to: str
    count: Count
    samples: Samples


class TimerMoves(Answer):
    """What would become of delayed events. Those that are not named stay as they are."""

    cancelled: list[Timers]
    moved: list[MovedTimers]
    started: list[Timers]


class LostChildren(Answer):
    """Children that would be left behind, by their id."""

    id: str
    count: Count
    samples: Samples


class LostHistory(Answer):
    """States whose remembered past would be left behind."""

    state: StatePath
    count: Count
    samples: Samples


class DryRun(Answer):
    """What a dry run has found so far."""

    id: DryRunId
    state: Literal["running", "done", "stopped"]
    done: Annotated[int, Meta(ge=0, description="Instances that were looked at.")]
    fit: Annotated[int, Meta(ge=0, description="Those that would be carried over.")]
    failed: Annotated[int, Meta(ge=0, description="Those that would stay as they are.")]
    unchanged: Annotated[int, Meta(ge=0, description="Those that are of the new version already.")]
    failures: list[Failures]
    unmapped: list[UnmappedStates]
    timers: TimerMoves
    lost_children: list[LostChildren]
    lost_history: list[LostHistory]
    others: Annotated[
        int, Meta(ge=0, description="Findings of kinds beyond the first 50 of each list.")
    ]
    total: Annotated[int | UnsetType, Meta(description="Instances that match.")] = UNSET
    why: Annotated[str | UnsetType, Meta(description="Why it stopped.")] = UNSET


class NewBulkUpgrade(Answer):
    """A bulk upgrade that has begun."""

    id: BulkUpgradeId


BulkUpgradeStatus = Literal["running", "paused", "cancelled", "done"]
Outcome = Literal["pending", "waiting", "upgraded", "unchanged", "failed"]


class BulkUpgradeItem(Answer):
    """A bulk upgrade."""

    id: BulkUpgradeId
    status: BulkUpgradeStatus
    to_machine_version_id: VersionId
    created_at: Timestamp
    from_machine_version_id: VersionId | UnsetType = UNSET
    finished_at: Timestamp | UnsetType = UNSET
    reason: Annotated[str | UnsetType, Meta(description="Why it paused itself.")] = UNSET


class BulkUpgradePage(Answer):
    """Bulk upgrades, newest first."""

    upgrades: list[BulkUpgradeItem]
    cursor: Cursor | UnsetType = UNSET


class BulkUpgradeProgress(BulkUpgradeItem, kw_only=True):
    """How far a bulk upgrade is."""

    total: Annotated[
        int, Meta(ge=0, description="Instances that it is about, as far as that is known.")
    ]
    is_total_known: bool
    done: Annotated[int, Meta(ge=0, description="Upgraded, unchanged and failed together.")]
    pending: Count
    waiting: Annotated[
        int, Meta(ge=0, description="Not settled, or busy; they are looked at again.")
    ]
    upgraded: Count
    unchanged: Count
    failed: Count


class BulkUpgradeResult(Answer):
    """What came of an instance. Its version is the one that it had before."""

    slug: InstanceSlug
    from_machine_version_id: VersionId
    outcome: Outcome
    reason: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class BulkUpgradeResultPage(Answer):
    """Results, newest instance first."""

    results: list[BulkUpgradeResult]
    cursor: Cursor | UnsetType = UNSET


class KeyItem(Answer):
    """An API key in a list. Its secret is never shown again."""

    id: KeyId
    name: str
    scopes: list[Scope]
    created_at: Timestamp


class KeyPage(Answer):
    """Keys, newest first."""

    keys: list[KeyItem]
    cursor: Cursor | UnsetType = UNSET


class NewKey(Answer):
    """A key that was made."""

    id: KeyId
    key: Annotated[str, Meta(description="The secret. This is the only time it is shown.")]


class IdentityProviderItem(Answer):
    """A trusted identity provider in a list. Its key is never shown."""

    algs: list[SigningAlgorithm]
    mapping: ClaimsMapping
    aud: TokenAudience | UnsetType = UNSET
    iss: TokenIssuer | UnsetType = UNSET
    jwks_url: KeySetUrl | UnsetType = UNSET


class IdentityProviderPage(Answer):
    """Identity providers, newest first."""

    idps: list[IdentityProviderItem]
    cursor: Cursor | UnsetType = UNSET


class TokenProviderItem(Answer):
    """A token provider in a list."""

    key_id: KeyId
    service: ServiceName
    mapping: ClaimsMapping


class TokenProviderPage(Answer):
    """Token providers, newest first."""

    token_providers: list[TokenProviderItem]
    cursor: Cursor | UnsetType = UNSET


class OrganizationLimits(Answer):
    """The server sets no monthly limits: both are the largest integer that JavaScript counts exactly."""

    monthly_events_limit: int
    monthly_reads_limit: int


class OrganizationItem(Answer):
    """An organization as its member sees it."""

    id: OrganizationId
    name: str
    role: Role
    created_at: Timestamp
    limits: OrganizationLimits


class OrganizationPage(Answer):
    """Organizations of the caller, oldest first."""

    orgs: list[OrganizationItem]
    cursor: Cursor | UnsetType = UNSET


class NewOrganization(Answer):
    """An organization that was made."""

    id: OrganizationId


class LogEntry(Answer):
    """What a machine printed at once, or what went wrong in it."""

    timestamp: Timestamp
    org_id: OrganizationId
    machine_name: MachineSlug
    instance_name: Annotated[
        str,
        Meta(description="Empty where it belongs to none: code that runs as a module is loaded."),
    ]
    machine_version_id: VersionId
    output_type: Literal["stdout", "stderr"]
    log: Annotated[str, Meta(description="The text; it may have several lines.")]


class LogPage(Answer):
    """Log entries, oldest first. `maxTimestamp` is the next `from`."""

    max_timestamp: Timestamp
    logs: list[LogEntry]


class Health(Answer):
    """Whether the server takes requests."""

    status: str


class Imported(Answer):
    """What an import brought. `changed_version_ids` lead from ids that were taken on this server to those that the versions have here."""

    machines: list[MachineSlug]
    versions: int
    migrations: int
    instances: int
    entries: int
    timers: int
    changed_version_ids: dict[str, str]

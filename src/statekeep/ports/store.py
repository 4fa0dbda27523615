"""The store: all that must survive.

Five protocols. `InstanceStore` is the path of an event, `IndexStore` how instances are found, `Catalog` the things people set up: organizations, members, keys,
machines and versions, `LogStore` what author code had to say, `BulkUpgradeStore` jobs over many instances, `TransferStore` (transfers.py) how all of it goes elsewhere. One contract suite holds every adapter to all.

What has been awaited is durable: it survives the end of the process and, log entries excepted, of the machine. Every method that finds things by name looks
inside one organization only. Every list raises InvalidParameter for a cursor that it did not give out. Every method that writes raises
Overloaded where there is no room on the disk; nothing is then written, and reading goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from statekeep.domain.bulk_upgrade import (
    BulkUpgrade,
    InstanceOutcome,
    InstanceSelection,
    JobStatus,
    ListedResult,
    UpgradeResult,
    UpgradeTask,
)
from statekeep.domain.commit import Commit
from statekeep.domain.dead_letter import DeadLetter
from statekeep.domain.index import IndexChanges, IndexFill, IndexMatch, IndexQuery
from statekeep.domain.instance import ClaimedInstance, InstanceInfo, InstanceKey, InstanceStatus
from statekeep.domain.log import LogEntry, LogSelection
from statekeep.domain.machine import (
    Key,
    Machine,
    MachineVersion,
    Organization,
    Usage,
    VersionInfo,
)
from statekeep.domain.migration import Migration
from statekeep.domain.names import (
    BulkUpgradeId,
    CodeId,
    IdentityProviderId,
    InstanceId,
    InstanceName,
    KeyId,
    MachineName,
    MigrationId,
    OrganizationId,
    ServiceName,
    TokenProviderId,
    UserId,
    VersionId,
)
from statekeep.domain.retention import (
    JournalCut,
    JournalExtent,
    MachineLogAge,
    MachineRetention,
    Retention,
)
from statekeep.domain.timer import Timer
from statekeep.domain.token_exchange import (
    AnonymousAccess,
    ExchangePath,
    IdentityProvider,
    TokenProvider,
)
from statekeep.ports.pages import Page
from statekeep.ports.people import PeopleStore
from statekeep.ports.transfers import TransferStore


class DueTimer(NamedTuple):
    """A timer and the instance it belongs to."""

    instance_id: InstanceId
    seq: int
    due_at: float
    organization_id: OrganizationId


class StoredKeyUse(NamedTuple):
    """An idempotency key that was used. `answer` is None while (or because, after a crash) the event has not settled."""

    body_hash: bytes
    answer: bytes | None


class Transition(NamedTuple):
    """A journal entry as lists show it. `event` and `snapshot` are JSON."""

    revision: int
    ts: float
    event: bytes
    snapshot: bytes


class VersionSpan(NamedTuple):
    """Which version made the states of an instance, from one revision on until the next span begins."""

    first_revision: int
    version: MachineVersion


class Birthplace(NamedTuple):
    """What a new instance is made of: its version, and the index selectors of its machine's current one."""

    version: MachineVersion
    selectors: Mapping[str, str]


class InstanceStore(Protocol):
    """Instances, their journals, timers and idempotency keys."""

    def new_instance_id(self) -> InstanceId:
        """A number no instance had or will have, across restarts."""
        ...

    def birthplace(self, key: InstanceKey, version_id: VersionId | None) -> Birthplace | None:
        """What a new instance of that name would be made of, by default the machine's current version, as far as that is known without waiting.

        None also where there is no such machine or version, or such an instance already: nothing says which.
        """
        ...

    async def claim(self, key: InstanceKey) -> ClaimedInstance | None:
        """The instance at its newest durable revision; None where there is none."""
        ...

    async def claim_by_id(self, instance_id: InstanceId) -> ClaimedInstance | None:
        """The same by number."""
        ...

    def commit(
        self, commit: Commit, on_done: Callable[[asyncio.Future[None]], None] | None = None
    ) -> asyncio.Future[None]:
        """Write everything in `commit` in one transaction, together with whatever else waits (group commit).

        `on_done` is given the future once it is done and `commit` has returned: sooner, where that can be, than the future's own callbacks, which
        come a turn of the event loop later.

        The call itself takes the commit's place in line: of two commits the one passed first is written first, and awaited results
        come in that order. Done means durable. Raises AlreadyExists where a new instance's key is taken, and ConflictingRevision where
        the instance does not stand at `base_revision` (or does not exist any more) or a received message was taken away before, and NotFound where a new instance's machine is gone;
        nothing of that commit is then written. What an instance sent that was deleted meanwhile may still be received. A desired version is forgotten by the commit that reaches it, and by no other.
        """
        ...

    async def set_status(self, instance_id: InstanceId, status: InstanceStatus) -> None:
        """Pause or resume. No journal entry, no revision."""
        ...

    async def set_desired_version(self, instance_id: InstanceId, version_id: VersionId) -> None:
        """The version that the instance is to have; none where it has it already. No journal entry, no revision."""
        ...

    async def version_spans(self, instance_id: InstanceId) -> Sequence[VersionSpan]:
        """The versions that the instance had, in order, and last the one that it has. Empty where there is no such instance."""
        ...

    async def delete_instance(self, instance_id: InstanceId) -> None:
        """Remove the instance with its journal, timers and keys, all at once. Nothing where there is none."""
        ...

    async def list_instances(self, machine_id: int, *, cursor: str | None) -> Page[InstanceInfo]:
        """Newest first, `limits.PAGE_SIZE` a page. An instance that exists throughout appears exactly once."""
        ...

    async def list_transitions(
        self, instance_id: InstanceId, *, cursor: str | None
    ) -> Page[Transition]:
        """Newest first, without housekeeping entries, as far back as they are kept. Pages stay correct while new entries arrive."""
        ...

    def transitions_after(
        self, instance_id: InstanceId, revision: int
    ) -> AsyncGenerator[Sequence[Transition], None]:
        """Transitions past `revision` up to what is durable at the first step, oldest first, in portions of a bounded size.

        None is left out but housekeeping entries. Ends early where the instance is deleted meanwhile; nothing where there is none.
        Raises HistoryGone where some of them are not kept any more, also in the middle where they go meanwhile: what came before is without a gap.
        """
        ...

    async def journal_extents(
        self, machine_id: int, *, after: InstanceId | None, limit: int
    ) -> Sequence[JournalExtent]:
        """What there is of the journals of a machine's instances, by their numbers, those past `after` only."""
        ...

    async def cut_journal(self, instance_id: InstanceId, cut: JournalCut) -> int:
        """Remove the entries that have to go, and all that are older than any of these, but never the newest; returns how many.

        None of them is seen any more once the first is gone. Commits of all instances go on meanwhile. Nothing where there is no such instance.
        """
        ...

    async def timers_due_before(
        self, until: float, *, after: DueTimer | None, limit: int
    ) -> Sequence[DueTimer]:
        """Living timers due before `until` (ms since the epoch) in the order (due_at, instance, seq), those past `after` only."""
        ...

    async def update_timer(self, instance_id: InstanceId, timer: Timer) -> None:
        """Write tries, due time, hops, death and failure of a timer that could not be delivered, or is to be again. Nothing where it is gone.

        Only this makes dead letters: commits set living timers.
        """
        ...

    async def list_dead_letters(
        self, machine_id: int, *, cursor: str | None, instance_id: InstanceId | None = None
    ) -> Page[DeadLetter]:
        """Dead timers of a machine's instances, or of one of them; those that died last first. What dies meanwhile is on no later page."""
        ...

    async def remove_timer(self, instance_id: InstanceId, seq: int) -> bool:
        """Forget a timer, or a message that changes nothing where it arrives. Whether there was one."""
        ...

    async def unsettled_instances(
        self, *, after: InstanceId | None, limit: int
    ) -> Sequence[InstanceId]:
        """Instances that were owed answers by children at their newest revision, by number."""
        ...

    async def find_key(
        self, instance_id: InstanceId, key: str, *, now_ms: float
    ) -> StoredKeyUse | None:
        """An idempotency key of the instance that was used and has not expired."""
        ...

    async def answer_key(self, instance_id: InstanceId, key: str, answer: bytes) -> None:
        """Remember the first answer of an event that settled after its commit."""
        ...

    async def forget_expired_keys(self, *, now_ms: float) -> int:
        """Remove idempotency keys that expired; returns how many."""
        ...


class ConflictingRevision(Exception):
    """Somebody else moved the instance: what was computed is void and the instance has to be claimed again."""


class IndexedInstance(NamedTuple):
    """An instance and the version it runs."""

    id: InstanceId
    version_id: VersionId


class IndexStore(Protocol):
    """Index entries of instances, and what is known of those that are still to be made.

    A commit writes the entries of its own instance. Making a version current that selects otherwise than the one before begins a fill in the same transaction: see
    `Catalog.create_version`.
    """

    def reindex(
        self, instance_id: InstanceId, revision: int, changes: IndexChanges
    ) -> asyncio.Future[None]:
        """Change the entries of an instance that stands at `revision`, without a new one.

        Takes its place in line with the commits. Raises ConflictingRevision where the instance stands elsewhere, or is gone.
        """
        ...

    async def query_index(self, query: IndexQuery, *, cursor: str | None) -> Page[IndexMatch]:
        """A page of entries: none twice, and none left out that is there throughout, whatever changes between the pages."""
        ...

    async def current_selectors(self, machine_id: int) -> Mapping[str, str]:
        """Index selectors of the machine's current version; none where it has none."""
        ...

    async def index_fill(self, machine_id: int) -> IndexFill | None:
        """The fill of a machine that is not finished."""
        ...

    async def next_index_fill(self, *, after: int) -> IndexFill | None:
        """The unfinished fill with the lowest machine number greater than `after`."""
        ...

    async def begin_index_fill(self, fill: IndexFill) -> IndexFill | None:
        """Count what is still to do, once all commits are written that were passed before; None where it was overtaken or its machine is gone.

        Begun again, it goes on where it stood, up to what is the last instance now.
        """
        ...

    async def advance_index_fill(self, fill: IndexFill) -> bool:
        """Remember position and count; False, and nothing written, where it was overtaken or its machine is gone."""
        ...

    async def end_index_fill(self, fill: IndexFill) -> None:
        """Forget it, unless it was overtaken."""
        ...

    async def instances_to_index(self, fill: IndexFill, *, limit: int) -> Sequence[IndexedInstance]:
        """The first instances past the fill's position up to its last, by number."""
        ...


class Upload(NamedTuple):
    """Code that was uploaded and not yet published. `code` is as it came, gzipped or not."""

    code: bytes
    is_gzipped: bool


class ProviderCatalog(Protocol):
    """Identity providers and token providers of organizations."""

    async def put_identity_provider(self, provider: IdentityProvider) -> IdentityProviderId | None:
        """Add it, in place of the one with the same audience and issuer; returns the id of that one.

        What is replaced keeps its place in the list. Raises InvalidState where the organization would have more than IDENTITY_PROVIDERS_MAX.
        """
        ...

    async def identity_provider(
        self, organization_id: OrganizationId, audience: str | None, issuer: str | None
    ) -> IdentityProvider | None:
        """The one with exactly this pair."""
        ...

    async def identity_providers_for(
        self, organization_id: OrganizationId, audiences: Sequence[str], issuer: str | None
    ) -> Sequence[IdentityProvider]:
        """All whose audience is any or one of `audiences`, and whose issuer is any or `issuer`."""
        ...

    async def list_identity_providers(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[IdentityProvider]:
        """Newest first."""
        ...

    async def delete_identity_provider(
        self, organization_id: OrganizationId, audience: str | None, issuer: str | None
    ) -> IdentityProviderId | None:
        """The id of the one that was there."""
        ...

    async def put_token_provider(self, provider: TokenProvider) -> None:
        """Add it, or change key and mapping of the one with the same service, which keeps its id and its place in the list.

        Raises InvalidState where the organization would have more than TOKEN_PROVIDERS_MAX.
        """
        ...

    async def token_provider(
        self, organization_id: OrganizationId, service: ServiceName
    ) -> TokenProvider | None:
        """By service."""
        ...

    async def list_token_providers(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[TokenProvider]:
        """Newest first."""
        ...

    async def delete_token_provider(
        self, organization_id: OrganizationId, service: ServiceName
    ) -> TokenProviderId | None:
        """The id of the one that was there."""
        ...

    async def service_of_exchange(
        self, organization_id: OrganizationId, path: ExchangePath
    ) -> ServiceName | None:
        """The service of the token provider on this path; None where either provider is gone or another organization's."""
        ...


class MigrationCatalog(Protocol):
    """Migrations between versions of machines."""

    async def create_migration(self, migration: Migration, code: bytes) -> None:
        """Publish: the migration with its code (the module itself), the upload gone, all at once.

        Raises AlreadyExists where the id was published before and NotFound where the machine or a version is gone.
        """
        ...

    async def migration(self, migration_id: MigrationId) -> Migration | None:
        """A published migration by id. The caller checks that it belongs to the machine it means."""
        ...

    async def migration_code(self, migration_id: MigrationId) -> bytes | None:
        """The module of a published migration."""
        ...

    async def migrations(self, machine_id: int) -> Sequence[Migration]:
        """All of a machine, newest first, up to `limits.MIGRATIONS_PER_MACHINE_MAX`."""
        ...

    async def list_migrations(self, machine_id: int, *, cursor: str | None) -> Page[Migration]:
        """Newest first."""
        ...


class Catalog(PeopleStore, ProviderCatalog, MigrationCatalog, Protocol):
    """People, organizations, keys, machines, versions and uploads."""

    async def create_organization(
        self, organization: Organization, admin: UserId, anonymous: AnonymousAccess | None = None
    ) -> None:
        """With its first member and, where given, what lets anonymous callers in, all at once."""
        ...

    async def organization(self, organization_id: OrganizationId) -> Organization | None:
        """By id."""
        ...

    async def usage(self, organization_id: OrganizationId) -> Usage:
        """Counted now, on a thread: it takes a second for a million instances."""
        ...

    async def create_key(self, key: Key, sealed_secret: bytes) -> None:
        """`sealed_secret` is opaque: encrypted by the caller."""
        ...

    async def key(self, key_id: KeyId) -> tuple[Key, bytes] | None:
        """A key that was not deleted, with its sealed secret."""
        ...

    async def list_keys(self, organization_id: OrganizationId, *, cursor: str | None) -> Page[Key]:
        """Newest first."""
        ...

    async def delete_key(self, organization_id: OrganizationId, key_id: KeyId) -> bool:
        """Whether there was one to delete."""
        ...

    async def create_machine(
        self,
        organization_id: OrganizationId,
        name: MachineName,
        indexes: tuple[str, ...],
        now: datetime,
    ) -> None:
        """Raises AlreadyExists where the name is taken."""
        ...

    async def machine(self, organization_id: OrganizationId, name: MachineName) -> Machine | None:
        """By name."""
        ...

    async def list_machines(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[Machine]:
        """Newest first."""
        ...

    async def set_retention(self, machine_id: int, retention: Retention) -> None:
        """In place of what was chosen before. Nothing where the machine is gone."""
        ...

    async def retention(self, machine_id: int) -> Retention:
        """What was chosen last."""
        ...

    async def machine_retentions(self, *, after: int, limit: int) -> Sequence[MachineRetention]:
        """What was chosen for each machine of all organizations, by their numbers, those past `after` only."""
        ...

    async def machine_log_ages(self, *, after: int, limit: int) -> Sequence[MachineLogAge]:
        """Of the machines of all organizations those whose log entries are kept for a time of their own, by their numbers, those past `after` only."""
        ...

    async def delete_machine(self, machine_id: int) -> None:
        """With its versions and migrations. Raises InvalidState while it has instances.

        Uploads for it cannot be published any more and go when they expire.
        """
        ...

    async def save_upload(self, code_id: CodeId, upload: Upload, *, expires_at: datetime) -> None:
        """Keep uploaded code until it is published or expires; replaces an earlier upload for the same id."""
        ...

    async def upload(self, code_id: CodeId) -> Upload | None:
        """What was uploaded last and has not been published."""
        ...

    async def forget_expired_uploads(self, *, now: datetime) -> int:
        """Remove uploads that were never published; returns how many."""
        ...

    async def create_version(
        self, version: MachineVersion, code: bytes, *, make_current: bool
    ) -> None:
        """Publish: the version with its code (the module itself), the upload gone, current if asked, all at once.

        Made current in place of one with other index selectors, it begins a fill of the indexes that differ. A fill that was under way is overtaken, and what it had
        left over is part of the new one.
        Raises AlreadyExists where the id was published before and NotFound where the machine is gone.
        """
        ...

    async def version(self, version_id: VersionId) -> MachineVersion | None:
        """A published version by id. The caller checks that it belongs to the machine it means."""
        ...

    async def version_code(self, version_id: VersionId) -> bytes | None:
        """The module of a published version."""
        ...

    async def list_versions(self, machine_id: int, *, cursor: str | None) -> Page[VersionInfo]:
        """Newest first."""
        ...


class SelectedInstance(NamedTuple):
    """An instance as it stands at its newest durable revision, for somebody who only looks at it."""

    id: InstanceId
    name: InstanceName
    version_id: VersionId
    revision: int
    snapshot: bytes
    timers: tuple[Timer, ...]


class SelectedPortion(NamedTuple):
    """Instances of a machine by their numbers: all that were wanted up to `position`."""

    instances: Sequence[SelectedInstance]
    position: InstanceId


class BulkUpgradeStore(Protocol):
    """Looking at many instances of a machine, and jobs that upgrade them.

    Whatever walks over instances does so by their numbers, in portions, so that no read or write is long and none is missed that is there throughout.
    """

    async def newest_instance(self, machine_id: int) -> InstanceId:
        """The greatest number of an instance of the machine; 0 where it has none."""
        ...

    async def missing_instances(
        self, machine_id: int, names: Sequence[InstanceName]
    ) -> Sequence[InstanceName]:
        """Those of the names that no instance of the machine has, in their order."""
        ...

    async def count_instances(self, selection: InstanceSelection, *, last: InstanceId) -> int:
        """How many instances up to `last` are selected."""
        ...

    async def selected_instances(
        self,
        selection: InstanceSelection,
        *,
        after: InstanceId,
        last: InstanceId,
        limit: int,
        bytes_max: int,
        with_timers: bool,
    ) -> SelectedPortion:
        """The selected ones among the next `limit` instances past `after` up to `last`, as long as their snapshots are within `bytes_max` or it is a single one.

        The position is `last` where there are no more. `timers` are empty unless they are asked for.
        """
        ...

    async def create_bulk_upgrade(self, job: BulkUpgrade) -> None:
        """Begin a job. Of those of the machine that are over, only the newest `limits.BULK_UPGRADES_KEPT` stay.

        Raises NotFound where the machine is gone, and InvalidState where it has an unfinished job.
        """
        ...

    async def bulk_upgrade(self, job_id: BulkUpgradeId) -> BulkUpgrade | None:
        """By id. The caller checks that it is of the machine it means."""
        ...

    async def list_bulk_upgrades(self, machine_id: int, *, cursor: str | None) -> Page[BulkUpgrade]:
        """Newest first."""
        ...

    async def running_bulk_upgrades(self) -> Sequence[BulkUpgrade]:
        """All that are running, oldest first."""
        ...

    async def change_bulk_upgrade(
        self,
        job_id: BulkUpgradeId,
        status: JobStatus,
        *,
        reason: str | None = None,
        finished_at: datetime | None = None,
    ) -> bool:
        """Let a job that is not over have another status; False, and nothing written, where it is over or gone."""
        ...

    async def select_for_bulk_upgrade(self, job_id: BulkUpgradeId, *, limit: int) -> bool:
        """Look at the next `limit` instances of the machine and make a result for each that the job is about, pending or unchanged. Are there more to look at?"""
        ...

    async def bulk_upgrade_tasks(
        self,
        job_id: BulkUpgradeId,
        outcome: InstanceOutcome,
        *,
        after: InstanceId,
        limit: int,
    ) -> Sequence[UpgradeTask]:
        """Instances of the job with that outcome past `after`, by number."""
        ...

    async def record_upgrade_results(
        self, job_id: BulkUpgradeId, results: Sequence[UpgradeResult]
    ) -> None:
        """Write results, all or nothing, in place of the earlier ones of the same instances. Instances that are gone have none."""
        ...

    async def bulk_upgrade_counts(self, job_id: BulkUpgradeId) -> Mapping[InstanceOutcome, int]:
        """How many instances of the job have which outcome; 0 is left out. Deleted instances do not count any more."""
        ...

    async def list_upgrade_results(
        self, job_id: BulkUpgradeId, outcome: InstanceOutcome | None, *, cursor: str | None
    ) -> Page[ListedResult]:
        """Newest instance first; those with that outcome, if one is named."""
        ...


class LogStore(Protocol):
    """Log entries. What has been awaited survives the end of the process; the end of the machine may cost the last of it."""

    async def append_logs(self, entries: Sequence[LogEntry]) -> None:
        """Write a batch, all or nothing, in the order in which it is to be read, with timestamps as domain.log has them.

        No commit of events waits for it. Whoever has read everything up to some timestamp of an organization finds everything that is
        written afterwards past it.
        """
        ...

    async def read_logs(
        self, organization_id: OrganizationId, wanted: LogSelection, *, limit: int
    ) -> Sequence[LogEntry]:
        """The oldest of the entries that are wanted, by timestamp and then as they were written."""
        ...

    async def forget_old_logs(self, *, before_ms: int, organization_bytes_max: int) -> int:
        """Remove entries older than that, and the oldest ones of organizations that have more bytes; returns how many."""
        ...

    async def forget_machine_logs(
        self, organization_id: OrganizationId, machine_name: MachineName, *, before_ms: int
    ) -> int:
        """Remove the entries of machines of that name that are older than that; returns how many."""
        ...


class Store(
    InstanceStore, Catalog, IndexStore, LogStore, BulkUpgradeStore, TransferStore, Protocol
):
    """All of them, with a life of their own."""

    async def open(self) -> None:
        """Take sole possession of the database and bring its schema up to date. Raises StoreUnusable."""
        ...

    async def close(self) -> None:
        """Write what waits, then let go. Safe to call twice."""
        ...


class StoreUnusable(Exception):
    """The database cannot be opened as things are; the message says why and what to do."""


class BackupFailed(Exception):
    """There is no copy of the database; the message says why and what to do."""


class StoreBusy(StoreUnusable):
    """Another process has the database; the message says which and what to do."""


class StoreTooNew(StoreUnusable):
    """A later release has changed the database: this one could only do harm."""

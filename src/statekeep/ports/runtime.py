"""The runtime: runs author code in processes that can die without harm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from statekeep.domain.event import Delivery, Event
from statekeep.domain.http_mapping import HttpAnswer, HttpRequest, Meaning
from statekeep.domain.machine import MachineVersion
from statekeep.domain.message import Parent
from statekeep.domain.migration import Upgraded
from statekeep.domain.names import InstanceId, InstanceName, OrganizationId, VersionId
from statekeep.domain.step import ChildrenState, Outcome
from statekeep.domain.timer import Timer


class VersionFacts(NamedTuple):
    """What loading a version told. `xstate` is the version of our copy that it uses, or "bundled"."""

    xstate_major: int
    xstate: str


class Standing(NamedTuple):
    """Where an instance stands before something is asked of it: `snapshot` belongs to `revision`."""

    instance_id: InstanceId
    name: InstanceName
    revision: int
    snapshot: bytes


class ReadAnswer(NamedTuple):
    """One view, and for each auth context that was asked about whether it may be seen."""

    view: bytes
    is_allowed: tuple[bool, ...]


class SavedState(NamedTuple):
    """A snapshot taken between steps."""

    snapshot: bytes
    view: bytes


class MigrationCode(NamedTuple):
    """A migration for a runtime: `load` gives its module where a host does not have it yet. No two modules share an `id`."""

    id: str
    load: Callable[[], Awaitable[bytes]]


class Leaving(NamedTuple):
    """An instance that is to be carried over to another version: where it stands, and what is pending there."""

    version: MachineVersion
    standing: Standing
    timers: Sequence[Timer]


class RuntimeListener(Protocol):
    """Hears what hosts report. Called from the event loop, in the order of the reports of one instance; must not block."""

    def child_sent(
        self,
        instance_id: InstanceId,
        event: Event,
        handle: int,
        children: ChildrenState,
        child: str | None,
    ) -> None:
        """A child, or an action that was performed, sent the machine an event. It is now waiting to be delivered.

        `child` is the name of the child, None for an action.
        """
        ...

    def children_changed(self, instance_id: InstanceId, children: ChildrenState) -> None:
        """The set of children that settling waits for changed without an event."""
        ...

    def host_lost(self, instance_ids: Sequence[InstanceId]) -> None:
        """A host died, and with it all children of these instances and the effects that were not yet performed."""
        ...

    def logged(
        self,
        version: MachineVersion,
        instance_id: InstanceId | None,
        stream: int,
        ts: float,
        text: str,
    ) -> None:
        """Author code wrote to its console (1 stdout, 2 stderr)."""
        ...


class Runtime(Protocol):
    """Runs the code of machine versions, each in a host of its own.

    Hosts are started on demand and end when idle, over their limits or silent for longer than the step timeout. Whatever a host was
    asked and did not answer before it died is asked again of a new one, one request at a time; the request that
    kills its host again fails with MachineError. Overloaded is raised when no host can be had.

    Requests about one instance are handled in the order of the calls.
    """

    async def inspect(self, organization_id: OrganizationId, code: bytes) -> VersionFacts:
        """Load code that is not published yet and end its host again. Raises InvalidCode with the reason."""
        ...

    async def inspect_migration(self, organization_id: OrganizationId, code: bytes) -> None:
        """Load a migration that is not published yet, in a host of its own. Raises InvalidCode with the reason."""
        ...

    def has_met(self, version_id: VersionId) -> bool:
        """Is anything kept of a version with this id, a running host perhaps? Nobody may give the id to another version then, though none has it any more."""
        ...

    async def describe(self, version: MachineVersion) -> bytes:
        """The states of a version as JSON (`Outline` of docs/host-protocol.md). The same for ever."""
        ...

    async def upgrade(
        self, leaving: Leaving, target: MachineVersion, path: Sequence[MigrationCode]
    ) -> Upgraded:
        """The instance as it will be in `target`, by the migrations of `path` one after the other.

        Nothing is performed, and no host holds anything of the instance afterwards that it did not hold before. Raises UpgradeFailed where
        the migrations or the new version do not allow it, TooLarge where the context would be, and HostTakenDown where the host dies of it.
        """
        ...

    async def rehearse(
        self, leaving: Leaving, target: MachineVersion, path: Sequence[MigrationCode]
    ) -> Upgraded:
        """What `upgrade` would answer, from a host that serves nothing else: if it dies, no instance loses anything.

        What migrations print belongs to no instance. Raises what `upgrade` raises.
        """
        ...

    async def create(
        self,
        version: MachineVersion,
        instance_id: InstanceId,
        name: InstanceName,
        context: bytes,
        auth: bytes | None,
        parent: Parent | None = None,
    ) -> Outcome:
        """The initial macrostep with the caller's `context` (a JSON object). `auth` None asks no question. `parent` made it, and hears of its end."""
        ...

    def create_at_once(
        self,
        version: MachineVersion,
        instance_id: InstanceId,
        name: InstanceName,
        context: bytes,
        auth: bytes | None,
        then: Callable[[Outcome], None],
    ) -> bool:
        """`create` for an instance without a parent, as `step_at_once` is for `step`."""
        ...

    def done_event(self, version: MachineVersion, child_id: str, output: bytes) -> Event:
        """The event by which a machine of that version learns that its persistent child has ended. `output` is JSON."""
        ...

    async def step(
        self, version: MachineVersion, standing: Standing, deliveries: Sequence[Delivery]
    ) -> Sequence[Outcome]:
        """Deliver events one after the other on top of `standing`, which may be a revision whose commit is still under way.

        As many outcomes as deliveries. A delivery that fails or is refused leaves the state for the next one as it was.
        """
        ...

    def step_at_once(
        self,
        version: MachineVersion,
        standing: Standing,
        delivery: Delivery,
        then: Callable[[Outcome], None],
    ) -> bool:
        """`step` for one delivery, without a coroutine: `then` is called with its outcome, once, after this has returned.

        False, and nothing asked, where something would have to be waited for first. What `step` raises is an outcome here, too.
        """
        ...

    def perform(self, version: MachineVersion, instance_id: InstanceId, revision: int) -> None:
        """What was decided up to `revision` is durable: perform it. Nobody waits for it; a dead host means that it is lost."""
        ...

    async def perform_children(
        self, version: MachineVersion, instance_id: InstanceId, revision: int
    ) -> ChildrenState:
        """The same, waiting until children were started, stopped and sent to. Raises HostLost where the host died before."""
        ...

    async def read(
        self, version: MachineVersion, standing: Standing, auths: Sequence[bytes]
    ) -> ReadAnswer:
        """Ask `allowRead` for each auth context."""
        ...

    async def stop_children(
        self, version: MachineVersion, instance_id: InstanceId
    ) -> ChildrenState:
        """Stop every child that is due. None of their events is reported once this returned. Raises HostLost."""
        ...

    async def save(self, version: MachineVersion, instance_id: InstanceId) -> SavedState:
        """The snapshot as it is now, with what idle children came to. Raises HostLost."""
        ...

    async def handle_http(
        self, version: MachineVersion, slug: str, request: HttpRequest
    ) -> Meaning:
        """Ask the version's handler of that slug what a request means.

        What it throws, and what is wrong with what it returns, is in the author's log. Raises NotFound where there is no such handler, HttpMappingFailed,
        HttpMappingTimeout, and InvalidParameter where the body is not the JSON that it says it is.
        """
        ...

    async def respond_http(
        self, version: MachineVersion, slug: str, instance_id: InstanceId, snapshot: bytes
    ) -> HttpAnswer | None:
        """Ask the version's response mapper of that slug what is answered about a state. None where there is no such mapper.

        The answer is unchecked. Raises HttpMappingFailed and HttpMappingTimeout, as `handle_http` does.
        """
        ...

    def discard(self, version: MachineVersion, instance_id: InstanceId) -> None:
        """Forget an instance: decided effects are never performed, children are stopped silently."""
        ...


class HostLost(Exception):
    """The host died and with it everything it held of the instance."""


class CodeSource(Protocol):
    """Where the runtime gets the module of a version from."""

    def __call__(self, version: MachineVersion) -> Awaitable[bytes]:
        """The module of a published version."""
        ...

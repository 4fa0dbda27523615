"""The runtime port on top of a pool of hosts.

A host may die under any request. Nothing it computed has been committed then, so the requests it had not answered are asked again of a new host -
one at a time, each delivery by itself, while everything else for that version waits. The one that is alone when its host dies again is to blame and
fails; all others get their answer. Nobody is blamed for the first death, not even one that was alone: something that was performed before may have
been at work still.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from statekeep.domain.errors import HostTakenDown, Overloaded, StatekeepError
from statekeep.domain.event import Delivery, Event
from statekeep.domain.http_mapping import HttpAnswer, HttpRequest, Meaning
from statekeep.domain.limits import (
    HTTP_MAPPING_TIMEOUT,
    OUTLINE_RETRIED_AFTER,
    OUTLINES_REMEMBERED_MAX,
)
from statekeep.domain.machine import MachineVersion
from statekeep.domain.message import Parent
from statekeep.domain.migration import Upgraded
from statekeep.domain.names import (
    InstanceId,
    InstanceName,
    MachineName,
    OrganizationId,
    VersionId,
)
from statekeep.domain.step import (
    CHILDREN,
    NO_EFFECTS,
    ChildrenState,
    Failed,
    Later,
    Outcome,
    Stepped,
)
from statekeep.ports.runtime import (
    HostLost,
    Leaving,
    MigrationCode,
    ReadAnswer,
    RuntimeListener,
    SavedState,
    Standing,
    VersionFacts,
)
from statekeep.runtimes import http_protocol, protocol
from statekeep.runtimes.direct import DirectCreation, DirectStep
from statekeep.runtimes.host import Host
from statekeep.runtimes.http_questions import HttpQuestions, PendingAnswer
from statekeep.runtimes.pool import Pool
from statekeep.runtimes.process import HostDied
from statekeep.runtimes.protocol import HostFrame, bad_frame
from statekeep.runtimes.rehearsals import apart, original

Answer = TypeVar("Answer")
Kept = TypeVar("Kept")

_NO_REVISION: Final = -1
_NOBODY: Final = InstanceId(0)
"""No instance has this number."""
_OUTLINE_RETRIED_AFTER_SECONDS: Final = OUTLINE_RETRIED_AFTER.total_seconds()
_CAREFUL_TRIES_MAX: Final = 10
"""How often a careful request is asked again because its host died in company, for which it may not be to blame."""


class _Turnstile:
    """Lets one request of a version through at a time. `users` counts those who wait or are through."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class HostRuntime:
    """Runtime port. `listener` has to be set before the first request; `pool` has this object as its observer."""

    def __init__(self, *, http_timeout: timedelta = HTTP_MAPPING_TIMEOUT) -> None:
        self.pool: Pool
        self.listener: RuntimeListener
        self._http = HttpQuestions(http_timeout)
        self._careful: dict[VersionId, _Turnstile] = {}
        self._outlines: dict[VersionId, bytes] = {}
        self._outlines_missing: dict[VersionId, float] = {}
        """Versions that could not be loaded for it, and until when (loop time) they are not asked again."""
        self._undone: dict[InstanceId, tuple[Host, int]] = {}
        """Hosts that owe effects, and up to which revision: a later step may have decided more before the first was performed."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def inspect(self, organization_id: OrganizationId, code: bytes) -> VersionFacts:
        loaded = await self.pool.inspect(_unpublished(organization_id), code)
        if loaded.major is None:
            raise bad_frame("a version without its major")
        return VersionFacts(loaded.major, loaded.xstate)

    async def inspect_migration(self, organization_id: OrganizationId, code: bytes) -> None:
        await self.pool.inspect_migration(_unpublished(organization_id), code)

    def has_met(self, version_id: VersionId) -> bool:
        return version_id in self._outlines or self.pool.has(version_id)

    async def describe(self, version: MachineVersion) -> bytes:
        outline = self._outlines.pop(version.id, None)
        if outline is None:

            async def attempt(host: Host) -> bytes:
                [frame] = await host.ask(protocol.DESCRIBE)
                _raise_if_failed(frame)
                return protocol.outline_of(frame)

            outline = await self._asked(version, attempt)
        _keep(self._outlines, version.id, outline)
        return outline

    async def upgrade(
        self, leaving: Leaving, target: MachineVersion, path: Sequence[MigrationCode]
    ) -> Upgraded:
        outline = await self._outline_if_any(leaving.version)

        async def attempt(host: Host) -> Upgraded:
            instance_id = leaving.standing.instance_id
            # What the migrations print is then the instance's. No session stands at this revision.
            is_stranger = host.sessions.setdefault(instance_id, _NO_REVISION) == _NO_REVISION
            try:
                return await self._upgrade_on(host, leaving, outline, path)
            finally:
                if is_stranger and host.sessions.get(instance_id) == _NO_REVISION:
                    host.forget_session(instance_id)

        return await self._asked(target, attempt)

    async def rehearse(
        self, leaving: Leaving, target: MachineVersion, path: Sequence[MigrationCode]
    ) -> Upgraded:
        outline = await self._outline_if_any(leaving.version)
        nobody = leaving.standing._replace(instance_id=_NOBODY)

        async def attempt(host: Host) -> Upgraded:
            return await self._upgrade_on(host, leaving._replace(standing=nobody), outline, path)

        return await self._asked(apart(target), attempt)

    async def _outline_if_any(self, version: MachineVersion) -> bytes | None:
        """None where the old version cannot even be loaded any more: leaving it must be possible still.

        For many instances one after the other, so that not each of them starts a host in vain.
        """
        now = asyncio.get_running_loop().time()
        if self._outlines_missing.get(version.id, now) > now:
            return None
        self._outlines_missing.pop(version.id, None)
        try:
            return await self.describe(version)
        except Overloaded:
            raise
        except StatekeepError:
            _keep(self._outlines_missing, version.id, now + _OUTLINE_RETRIED_AFTER_SECONDS)
            return None

    async def _upgrade_on(
        self,
        host: Host,
        leaving: Leaving,
        outline: bytes | None,
        path: Sequence[MigrationCode],
    ) -> Upgraded:
        known = host.migrations.copy()
        for _ in range(2):
            codes = [(code.id, None if code.id in known else await code.load()) for code in path]
            [frame] = await host.ask(protocol.upgrade(leaving, outline, codes))
            if frame.need is None:
                break
            known.clear()
        _raise_if_failed(frame)
        host.migrations.update(code.id for code in path)
        return protocol.upgraded_of(frame)

    async def create(
        self,
        version: MachineVersion,
        instance_id: InstanceId,
        name: InstanceName,
        context: bytes,
        auth: bytes | None,
        parent: Parent | None = None,
    ) -> Outcome:
        request = protocol.create(instance_id, name, context, auth, parent)
        return await self._asked(version, self._creation(instance_id, request))

    def create_at_once(
        self,
        version: MachineVersion,
        instance_id: InstanceId,
        name: InstanceName,
        context: bytes,
        auth: bytes | None,
        then: Callable[[Outcome], None],
    ) -> bool:
        host = self._at_hand(version)
        if host is None:
            return False
        request = protocol.create(instance_id, name, context, auth)
        host.ask_for(
            DirectCreation(self, host, version, instance_id, request, then),
            request,
        )
        return True

    def done_event(self, version: MachineVersion, child_id: str, output: bytes) -> Event:
        return protocol.done_event(child_id, output, xstate_major=version.xstate_major)

    async def step(
        self, version: MachineVersion, standing: Standing, deliveries: Sequence[Delivery]
    ) -> Sequence[Outcome]:
        if version.id in self._careful:
            return await self.step_carefully(version, standing, deliveries)
        host = self.pool.warm(version.id) or await self.pool.host(version)
        with contextlib.suppress(HostDied):
            return await self._step_on(host, standing, deliveries)
        return await self.step_carefully(version, standing, deliveries)

    def step_at_once(
        self,
        version: MachineVersion,
        standing: Standing,
        delivery: Delivery,
        then: Callable[[Outcome], None],
    ) -> bool:
        host = self._at_hand(version)
        if host is None or host.sessions.get(standing.instance_id) != standing.revision:
            return False
        request = protocol.on(standing, protocol.step((delivery,)), with_snapshot=False)
        host.ask_for(DirectStep(self, host, version, standing, delivery, then), request)
        return True

    def perform(self, version: MachineVersion, instance_id: InstanceId, revision: int) -> None:
        host = self._owing(instance_id, revision)
        if host is not None:
            host.tell(protocol.perform(instance_id, revision))
            self.pool.settled()

    async def perform_children(
        self, version: MachineVersion, instance_id: InstanceId, revision: int
    ) -> ChildrenState:
        host = self._owing(instance_id, revision)
        if host is None:
            raise HostLost
        return await self._ask_children(
            host,
            instance_id,
            protocol.perform(instance_id, revision),
        )

    async def read(
        self, version: MachineVersion, standing: Standing, auths: Sequence[bytes]
    ) -> ReadAnswer:
        async def attempt(host: Host) -> ReadAnswer:
            frames = await self._ask_standing(host, standing, protocol.read(auths))
            return protocol.read_answer_of(frames[0], len(auths))

        return await self._asked(version, attempt)

    async def stop_children(
        self, version: MachineVersion, instance_id: InstanceId
    ) -> ChildrenState:
        host = self._holding(version, instance_id)
        return await self._ask_children(host, instance_id, protocol.stop(instance_id))

    async def save(self, version: MachineVersion, instance_id: InstanceId) -> SavedState:
        host = self._holding(version, instance_id)
        try:
            [frame] = await host.ask(protocol.save(instance_id))
        except HostDied as death:
            raise HostLost from death
        if frame.need is not None:
            raise HostLost
        _raise_if_failed(frame)
        return protocol.saved_state_of(frame)

    async def handle_http(
        self, version: MachineVersion, slug: str, request: HttpRequest
    ) -> Meaning:
        frame = await self._ask_http(version, http_protocol.handle(slug, request), None)
        if frame.error is not None:
            raise http_protocol.http_error_of(frame.error)
        return http_protocol.meaning_of(frame.http)

    async def respond_http(
        self, version: MachineVersion, slug: str, instance_id: InstanceId, snapshot: bytes
    ) -> HttpAnswer | None:
        request = http_protocol.respond(slug, instance_id, snapshot)
        frame = await self._ask_http(version, request, instance_id)
        if frame.error is not None:
            if frame.error.code == http_protocol.UNKNOWN:
                return None
            raise http_protocol.http_error_of(frame.error)
        return http_protocol.answer_of(frame.http)

    def discard(self, version: MachineVersion, instance_id: InstanceId) -> None:
        self._undone.pop(instance_id, None)
        host = self.pool.warm(version.id)
        if host is not None:
            host.forget_session(instance_id)
            host.tell(protocol.discard(instance_id))
            self.pool.settled()

    async def close(self) -> None:
        """End all hosts."""
        await self.pool.close()

    # HostObserver

    def reported(self, host: Host, frame: HostFrame) -> None:
        # A host may only speak of instances that were entrusted to it: others belong to other versions, perhaps of other people.
        if frame.op == "http":
            host.finish(frame.h, frame)
            return
        instance_id = None if frame.i is None else InstanceId(frame.i)
        if instance_id is not None and not host.knows(instance_id):
            instance_id = None
        if frame.op == "log":
            version = original(host.version)
            self.listener.logged(version, instance_id, frame.stream, frame.ts, frame.text)
            return
        if frame.op is None:
            raise bad_frame("neither a reply nor a report")
        if instance_id is None:
            return
        host.note_children(instance_id, frame.live)
        self.pool.settled()
        children = protocol.children_of(frame)
        if frame.op == "event":
            event = protocol.event_of(frame.event)
            self.listener.child_sent(instance_id, event, frame.h, children, frame.child)
        else:
            self.listener.children_changed(instance_id, children)

    def rested(self, host: Host) -> None:
        self.pool.settled()

    def ended(self, host: Host) -> None:
        self.pool.forget(host)
        for instance_id in host.undone:
            self._undone.pop(instance_id, None)
        lost = list(host.children)
        host.children.clear()
        host.undone.clear()
        if lost:
            self.listener.host_lost(lost)

    # Asking

    async def _asked(
        self, version: MachineVersion, attempt: Callable[[Host], Awaitable[Answer]]
    ) -> Answer:
        """Ask the host of a version, and where it dies, carefully a new one. Raises HostTakenDown where that dies of it too."""
        if version.id not in self._careful:
            host = self.pool.warm(version.id) or await self.pool.host(version)
            with contextlib.suppress(HostDied):
                return await attempt(host)
        return await self._asked_carefully(version, attempt)

    async def _ask_http(
        self, version: MachineVersion, request: bytes, instance_id: InstanceId | None
    ) -> HostFrame:
        """The answer, once it is there. Only while the author's code computes may it be asked again because its host died."""
        with self._http.counted(version.id, len(request)):

            async def attempt(host: Host) -> PendingAnswer:
                return await self._http.ask(host, request, instance_id)

            pending = await self._asked(version, attempt)
            try:
                return await self._http.answer(pending)
            finally:
                self.pool.settled()

    async def _asked_carefully(
        self, version: MachineVersion, attempt: Callable[[Host], Awaitable[Answer]]
    ) -> Answer:
        async with self._carefully(version):
            for _ in range(_CAREFUL_TRIES_MAX):
                host = await self.pool.host(version)
                try:
                    return await attempt(host)
                except HostDied as death:
                    if host.was_alone:
                        raise _blamed(death) from death
        raise Overloaded("the machine's host keeps dying", retry_after_seconds=5)

    # Deciding, of direct.py

    def _at_hand(self, version: MachineVersion) -> Host | None:
        """The host of a version, where it may be asked now."""
        host = self.pool.warm(version.id)
        is_ready = host is not None and host.is_alive and version.id not in self._careful
        return host if is_ready else None

    def direct_outcome(
        self, host: Host, standing: Standing, frames: list[HostFrame]
    ) -> Outcome | None:
        frame = frames[-1]
        if frame.need is not None:
            host.sessions.pop(standing.instance_id, None)
            return None
        _raise_if_failed(frame)
        outcome = _outcome(frame, 0)
        if isinstance(outcome, Stepped):
            self._note(host, standing.instance_id, standing.revision, (outcome,))
        return outcome

    def created(self, host: Host, instance_id: InstanceId, frames: list[HostFrame]) -> Outcome:
        [frame] = frames
        _raise_if_failed(frame)
        outcome = _outcome(frame, 0)
        self._note(host, instance_id, 0, (outcome,))
        return outcome

    async def create_carefully(
        self, version: MachineVersion, instance_id: InstanceId, request: bytes
    ) -> Outcome:
        return await self._asked_carefully(version, self._creation(instance_id, request))

    def _creation(
        self, instance_id: InstanceId, request: bytes
    ) -> Callable[[Host], Awaitable[Outcome]]:
        async def attempt(host: Host) -> Outcome:
            with host.entrusted(instance_id):
                frames = await host.ask(request)
            return self.created(host, instance_id, frames)

        return attempt

    def keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def step_carefully(
        self, version: MachineVersion, standing: Standing, deliveries: Sequence[Delivery]
    ) -> Sequence[Outcome]:
        """Deliver one by one, so that it shows which of them is to blame."""
        outcomes: list[Outcome] = []
        for delivery in deliveries:
            outcome = await self._deliver_carefully(version, standing, delivery)
            outcomes.append(outcome)
            if isinstance(outcome, Stepped):
                standing = _after(standing, outcome)
                if outcome.effects is CHILDREN:
                    break
        later = [Later()] * (len(deliveries) - len(outcomes))
        return [*outcomes, *later]

    async def _deliver_carefully(
        self, version: MachineVersion, standing: Standing, delivery: Delivery
    ) -> Outcome:
        async def attempt(host: Host) -> Outcome:
            [outcome] = await self._step_on(host, standing, [delivery])
            return outcome

        try:
            return await self._asked_carefully(version, attempt)
        except StatekeepError as error:
            return Failed(error)

    async def _step_on(
        self, host: Host, standing: Standing, deliveries: Sequence[Delivery]
    ) -> Sequence[Outcome]:
        frames = await self._ask_standing(
            host, standing, protocol.step(deliveries), expects=len(deliveries)
        )
        outcomes = _outcomes(frames)
        self._note(host, standing.instance_id, standing.revision, outcomes)
        return outcomes

    async def _ask_standing(
        self, host: Host, standing: Standing, request: bytes, *, expects: int = 1
    ) -> list[HostFrame]:
        """Ask about an instance, with its snapshot only where the host seems not to hold that revision."""
        if host.sessions.get(standing.instance_id) == standing.revision:
            short = protocol.on(standing, request, with_snapshot=False)
            frames = await host.ask(short, expects=expects)
            if frames[-1].need is None:
                _raise_if_failed(frames[-1])
                return frames
        full = protocol.on(standing, request, with_snapshot=True)
        with host.entrusted(standing.instance_id):
            frames = await host.ask(full, expects=expects)
        _raise_if_failed(frames[-1])
        return frames

    async def _ask_children(
        self, host: Host, instance_id: InstanceId, request: bytes
    ) -> ChildrenState:
        try:
            [frame] = await host.ask(request)
        except HostDied as death:
            raise HostLost from death
        if frame.need is not None:
            raise HostLost
        _raise_if_failed(frame)
        host.note_children(instance_id, frame.live)
        self.pool.settled()
        return protocol.children_of(frame)

    def _note(
        self, host: Host, instance_id: InstanceId, revision: int, outcomes: Sequence[Outcome]
    ) -> None:
        """Remember what the host holds after these outcomes."""
        for outcome in outcomes:
            if not isinstance(outcome, Stepped):
                continue
            revision += len(outcome.macrosteps)
            host.note_children(instance_id, outcome.live)
            if outcome.effects is not NO_EFFECTS:
                host.undone.add(instance_id)
                self._undone[instance_id] = (host, revision)
        if revision:
            host.remember_session(instance_id, revision)

    def _owing(self, instance_id: InstanceId, revision: int) -> Host | None:
        """The host that decided effects up to `revision`, which from now on does not owe them any more."""
        host, decided = self._undone.get(instance_id, (None, 0))
        if host is not None and revision >= decided:
            del self._undone[instance_id]
            host.undone.discard(instance_id)
        return host

    def _holding(self, version: MachineVersion, instance_id: InstanceId) -> Host:
        host = self.pool.warm(version.id)
        if host is None or instance_id not in host.sessions:
            raise HostLost
        return host

    @contextlib.asynccontextmanager
    async def _carefully(self, version: MachineVersion) -> AsyncIterator[None]:
        turnstile = self._careful.setdefault(version.id, _Turnstile())
        turnstile.users += 1
        try:
            async with turnstile.lock:
                yield
        finally:
            turnstile.users -= 1
            if not turnstile.users:
                del self._careful[version.id]


def _keep(known: dict[VersionId, Kept], version_id: VersionId, value: Kept) -> None:
    """As what was used last; what was not used for longest is forgotten."""
    known[version_id] = value
    if len(known) > OUTLINES_REMEMBERED_MAX:
        del known[next(iter(known))]


def _outcomes(frames: Sequence[HostFrame]) -> list[Outcome]:
    return [_outcome(frame, n) for n, frame in enumerate(frames)]


def _outcome(frame: HostFrame, n: int) -> Outcome:
    if frame.r is None or frame.n != n:
        raise bad_frame("an answer to something else")
    return protocol.outcome_of(frame.r)


def _unpublished(organization_id: OrganizationId) -> MachineVersion:
    """Stands in for the version that code may become."""
    return MachineVersion(
        id=VersionId("(unpublished)"),
        machine_id=0,
        organization_id=organization_id,
        machine_name=MachineName("(unpublished)"),
        created_at=datetime.fromtimestamp(0, tz=UTC),
        client_info=None,
        index_selectors={},
        xstate_major=0,
        code_hash=b"",
    )


def _raise_if_failed(frame: HostFrame) -> None:
    if frame.error is not None:
        raise protocol.error_of(frame.error)


def _after(standing: Standing, outcome: Stepped) -> Standing:
    return standing._replace(
        revision=standing.revision + len(outcome.macrosteps),
        snapshot=outcome.macrosteps[-1].snapshot,
    )


def _blamed(death: HostDied) -> StatekeepError:
    return HostTakenDown(f"the machine's code took its host process down: {death.reason}")

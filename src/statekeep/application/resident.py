"""One instance in the server's memory: where it stands, what waits for it, who waits for it.

Two revisions matter. The *head* is the newest that was computed; what is *committed* is durable and may be seen. They differ only while commits are under
way. Everything here is changed by the turn of the instance and by nothing else, but for the mailbox, which anyone may append to.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from statekeep.domain.errors import StatekeepError
from statekeep.domain.event import Delivery, Origin
from statekeep.domain.index import NO_INDEX_ENTRIES, IndexEntries
from statekeep.domain.instance import (
    NO_SELECTORS,
    ClaimedInstance,
    InstanceKey,
    InstanceStatus,
    InstanceView,
)
from statekeep.domain.limits import BURST_EVENTS_MAX
from statekeep.domain.machine import MachineVersion, VersionInfo
from statekeep.domain.names import InstanceId
from statekeep.domain.timer import Timer
from statekeep.ports.runtime import Standing
from statekeep.ports.tracing import EventTrace, Stage

_RUNNING: Final = InstanceStatus.RUNNING
"""An enumeration is slow to look a member up, and this is needed for every event."""
_FROM_ELSEWHERE: Final = (Origin.TIMER, Origin.CREATION, Origin.MESSAGE)


class Answer(Protocol):
    """Where the outcome of an event goes, once, without raising: others wait for theirs. A future is one."""

    def done(self) -> bool:
        """Has it gone there?"""
        ...

    def set_result(self, result: InstanceView, /) -> None:
        """The state that the event led to."""
        ...

    def set_exception(self, exception: BaseException, /) -> None:
        """Why nothing came of it, or nobody knows what."""
        ...


class Letter:
    """A delivery in a mailbox, and who wants to know what came of it.

    `answer` is set when the instance has settled (or failed, or ran out of time); `on_handled` is called as soon as the event is
    committed, or with the error that kept it from being. `key` and `body_hash` belong to an idempotent request.
    """

    __slots__ = (
        "answer",
        "body_hash",
        "delivery",
        "is_recorded",
        "key",
        "on_handled",
        "posted_at",
        "trace",
    )

    def __init__(
        self,
        delivery: Delivery,
        answer: Answer | None = None,
        *,
        key: str | None = None,
        body_hash: bytes = b"",
        on_handled: Callable[[StatekeepError | None], None] | None = None,
        trace: EventTrace | None = None,
    ) -> None:
        self.delivery = delivery
        self.answer = answer
        self.key = key
        self.body_hash = body_hash
        self.on_handled = on_handled
        self.trace = trace
        self.posted_at = 0.0
        """Loop time at which it came into the mailbox."""
        self.is_recorded = False
        """Did a commit come of it, once it is handled?"""

    @property
    def restarts_settling(self) -> bool:
        """Does its event begin the time anew that the instance has for settling?"""
        origin = self.delivery.origin
        return origin is Origin.CLIENT or origin in _FROM_ELSEWHERE

    @property
    def is_last_word(self) -> bool:
        """Does it come of a child, and never again if it is lost?"""
        origin = self.delivery.origin
        return origin is Origin.CHILD or origin is Origin.LOST_CHILD

    @property
    def child(self) -> str | None:
        """The child that it comes of."""
        lost = self.delivery.lost_child
        return self.delivery.child if lost is None else lost.id

    def fail(self, error: StatekeepError) -> None:
        """Nothing came of it."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)
        self.handled(error)
        self.end_trace(error)

    def reply(self, view: InstanceView) -> None:
        """Answer whoever waits."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(view)

    def reached(self, stage: Stage) -> None:
        """Tell its trace."""
        if self.trace is not None:
            self.trace.reached(stage)

    def end_trace(self, error: StatekeepError | None = None) -> None:
        """Tell its trace how it ended. Where somebody waits for an answer they will say when it is over."""
        if self.trace is not None:
            if error is not None:
                self.trace.failed(error)
            if self.answer is None:
                self.trace.ended()

    def handled(self, error: StatekeepError | None = None) -> None:
        """Say that it is committed, or that it never will be."""
        if self.on_handled is not None:
            on_handled, self.on_handled = self.on_handled, None
            on_handled(error)


class FirstRequest(NamedTuple):
    """The first request with an idempotency key, while it is under way: what it asked for, and what it comes to."""

    body_hash: bytes
    answer: asyncio.Future[InstanceView]


class UpgradeOrder:
    """Somebody wants the instance in another version now, and hears whether it came to that.

    The answer is False where the instance was not ready: not settled, or moved meanwhile. It fails with what an upgrade fails with. Whoever does not want it any
    more cancels it: then nothing is decided any more, and what is decided is committed.
    """

    __slots__ = ("answer", "target")

    def __init__(self, target: MachineVersion, answer: asyncio.Future[bool]) -> None:
        self.target = target
        self.answer = answer

    def reply(self, is_upgraded: bool) -> None:
        """Answer whoever waits."""
        if not self.answer.done():
            self.answer.set_result(is_upgraded)

    def fail(self, error: StatekeepError) -> None:
        """It cannot be."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Waiter:
    """A letter whose event is committed, and whose sender waits from `since` until `deadline` (loop time) for the instance to settle."""

    __slots__ = ("deadline", "letter", "since")

    def __init__(self, letter: Letter, deadline: float, *, since: float) -> None:
        self.letter = letter
        self.deadline = deadline
        self.since = since


class Resident:
    """An instance in memory."""

    __slots__ = (
        "committed_due",
        "committing",
        "created_at",
        "current_selectors",
        "desired_version",
        "due",
        "has_to_recover",
        "head_revision",
        "head_snapshot",
        "head_ts",
        "head_version",
        "held",
        "hops",
        "id",
        "index_entries",
        "key",
        "keys_under_way",
        "live",
        "mailbox",
        "next_timer_seq",
        "order",
        "owed",
        "reindexing",
        "settle_deadline",
        "snapshot",
        "status",
        "timers",
        "turn",
        "upgrade_failures",
        "upgrade_not_before",
        "version",
        "view",
        "void_because",
        "waiters",
        "wake",
        "weighed_bytes",
    )

    def __init__(
        self,
        instance_id: InstanceId,
        key: InstanceKey,
        version: MachineVersion,
        created_at: datetime,
    ) -> None:
        self.id = instance_id
        self.key = key
        self.version = version
        self.desired_version: VersionInfo | None = None
        self.status = InstanceStatus.RUNNING
        self.created_at = created_at
        self.head_revision = 0
        self.head_snapshot = b""
        self.head_ts = 0.0
        self.head_version = version
        """That made the head: another one than `version` while the commit of an upgrade is under way."""
        self.snapshot = b""
        self.view = InstanceView(0, 0.0, b"")
        """Committed. Its `view` is empty until somebody had to compute it."""
        self.timers: dict[int, Timer] = {}
        """Of the head, once whatever other instances have taken is gone."""
        self.next_timer_seq = 0
        self.hops = 0
        """Messages that led to the newest event, since somebody outside did something."""
        self.due: tuple[str, ...] = ()
        """Children that settling waits for and that are alive."""
        self.committed_due: tuple[str, ...] = ()
        self.owed: tuple[str, ...] = ()
        """Children that were due and are gone: their error events come before the next event."""
        self.live = 0
        self.mailbox: deque[Letter] = deque()
        self.held: list[Letter] = []
        """What children sent while the instance was paused, or no host could be had."""
        self.waiters: list[Waiter] = []
        self.settle_deadline = math.inf
        """Loop time; infinite while nothing has to settle."""
        self.turn: asyncio.Future[None] | None = None
        """Done when the turn has ended, or has become a longer one."""
        self.wake: asyncio.Event | None = None
        self.committing: deque[asyncio.Future[None]] = deque()
        self.has_to_recover = False
        """Deliver what is owed now, though nothing else waits."""
        self.void_because: StatekeepError | None = None
        """Why what is in memory is not what is in the store: the instance must be claimed again."""
        self.upgrade_failures = 0
        """In a row."""
        self.upgrade_not_before = -math.inf
        """Loop time before which no upgrade is tried."""
        self.order: UpgradeOrder | None = None
        """To be carried out as soon as the instance is settled, or else put off."""
        self.keys_under_way: dict[str, FirstRequest] = {}
        self.index_entries: IndexEntries = NO_INDEX_ENTRIES
        """Of the head."""
        self.reindexing = 0
        """Writes under way of entries alone."""
        self.current_selectors: Mapping[str, str] = NO_SELECTORS
        """Of the version that was the machine's current one when this was claimed or created."""
        self.weighed_bytes = 0
        """The size of the snapshot when it was last weighed."""

    @classmethod
    def of(cls, claimed: ClaimedInstance) -> Resident:
        """The instance as it was claimed. Whatever children it had are gone."""
        self = cls(claimed.id, claimed.key, claimed.version, claimed.created_at)
        self.desired_version = claimed.desired_version
        self.status = claimed.status
        self.head_revision = claimed.revision
        self.head_snapshot = self.snapshot = claimed.snapshot
        self.head_ts = claimed.ts
        self.view = InstanceView(claimed.revision, claimed.ts, b"")
        self.timers = {timer.seq: timer for timer in claimed.timers}
        self.next_timer_seq = claimed.next_timer_seq
        self.committed_due = self.owed = claimed.due
        self.index_entries = claimed.index_entries
        self.current_selectors = claimed.current_selectors
        return self

    @property
    def is_void(self) -> bool:
        """Must it not be used any more?"""
        return self.void_because is not None

    @property
    def is_idle(self) -> bool:
        """Could it leave memory without anything being lost?"""
        is_writing = self.committing or self.reindexing
        return self.turn is None and not self.live and not is_writing and not self.held

    @property
    def is_settled(self) -> bool:
        """Does nobody wait for children, and no word of theirs for being handled?"""
        return not (self.due or self.owed or self.held or self.waiters) and not any(
            letter.is_last_word for letter in self.mailbox
        )

    def unanswered(self, due: tuple[str, ...]) -> tuple[str, ...]:
        """Children that are due by what is durable, not among `due` any more, and whose answer or error event still waits."""
        if not self.committed_due:
            return ()
        letters = [*self.mailbox, *self.held]
        waiting = {letter.child for letter in letters} | set(self.owed)
        return tuple(
            [child for child in self.committed_due if child in waiting and child not in due]
        )

    def put_order_off(self) -> None:
        """Whoever wants an upgrade does not wait for children."""
        order, self.order = self.order, None
        if order is not None:
            order.reply(False)

    def put_upgrade_off(self, until: float) -> None:
        """Try no upgrade before `until` (loop time)."""
        self.upgrade_not_before = until

    def retry_upgrade(self) -> None:
        """Something changed: try with the next event."""
        self.upgrade_failures = 0
        self.upgrade_not_before = -math.inf

    @property
    def size_bytes(self) -> int:
        """Roughly what it takes in memory."""
        return 1500 + len(self.snapshot) + len(self.view.view) + 250 * len(self.timers)

    @property
    def is_plain(self) -> bool:
        """Is nothing to be done for it, or to be waited for, but what is in its mailbox?"""
        return (
            self.status is _RUNNING
            and self.void_because is None
            and self.desired_version is None
            and self.order is None
            and not (self.due or self.live or self.owed or self.committed_due or self.waiters)
        )

    def head(self) -> Standing:
        """The newest revision, for stepping on."""
        return Standing(self.id, self.key.name, self.head_revision, self.head_snapshot)

    def committed(self) -> Standing:
        """The newest durable revision, for reading."""
        return Standing(self.id, self.key.name, self.view.revision, self.snapshot)

    async def all_committed(self) -> None:
        """Wait until every commit that is under way by now is durable or has failed, and what follows from it was done."""
        if self.committing:
            await asyncio.wait([self.committing[-1]])

    def take_burst(self) -> list[Letter]:
        """The letters that may go to the host in one frame.

        A timer may have been cancelled by whatever came before it, so it only ever comes first.
        """
        burst = [self.mailbox.popleft()]
        while self.mailbox and len(burst) < BURST_EVENTS_MAX:
            if self.mailbox[0].delivery.timer_seq is not None:
                break
            burst.append(self.mailbox.popleft())
        return burst

    def wake_up(self) -> None:
        """Let the turn look again, if it waits."""
        if self.wake is not None:
            self.wake.set()

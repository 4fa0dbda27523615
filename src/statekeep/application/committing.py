"""From what was decided to a commit on its way to the disk.

What must stay true here:

- commits of an instance are made in the order of their revisions, each on top of the one before;
- the head moves when a commit is submitted; what follows from it waits until it is durable;
- what is durable names every child whose last word is not: after a crash that child is owed its error event.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from statekeep.application.after_commit import AfterCommit, Batch
from statekeep.application.indexing import Indexing
from statekeep.application.resident import Letter, Resident
from statekeep.application.upgrades import DecidedUpgrade
from statekeep.domain.commit import Commit, JournalEntry, KeyUse, NewInstance
from statekeep.domain.errors import Overloaded, StatekeepError
from statekeep.domain.event import Origin
from statekeep.domain.index import index_changes
from statekeep.domain.instance import InstanceView
from statekeep.domain.limits import IDEMPOTENCY_KEYS_KEPT_FOR
from statekeep.domain.step import CHILDREN, NO_EFFECTS
from statekeep.domain.timer import NO_TIMER_CHANGES
from statekeep.domain.turn import TS_STEP_MS, CommitDraft
from statekeep.ports.clock import Clock
from statekeep.ports.store import Store

_KEYS_KEPT_MS: Final = IDEMPOTENCY_KEYS_KEPT_FOR.total_seconds() * 1000


class Committing:
    """Submits commits. `void` hears of residents whose index entries could not be stored, and why. Made on a running loop."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        indexing: Indexing,
        after_commit: AfterCommit,
        *,
        settle_timeout_seconds: float,
        void: Callable[[Resident, StatekeepError], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._indexing = indexing
        self._after_commit = after_commit
        self._settle_timeout = settle_timeout_seconds
        self._void = void
        self._loop = asyncio.get_running_loop()

    def draft(self, resident: Resident) -> CommitDraft:
        """A commit on top of the head, with nothing in it yet."""
        return CommitDraft(
            resident.id,
            revision=resident.head_revision,
            ts=resident.head_ts,
            timers=resident.timers,
            next_timer_seq=resident.next_timer_seq,
            hops=resident.hops,
            index_entries=resident.index_entries,
            entries_of=self._indexing.entries_of(resident.head_version, resident.current_selectors),
        )

    def submit_draft(
        self,
        resident: Resident,
        draft: CommitDraft,
        accepted: Sequence[tuple[Letter, InstanceView]],
        followers: Sequence[Letter],
        new: NewInstance | None,
    ) -> asyncio.Future[None]:
        """Make the draft the head, and have it written.

        Whoever waits for the future goes on after what follows from the commit, or from its failure.
        """
        is_settled = not draft.due and draft.effects is not CHILDREN
        keys = self._keys(accepted, is_settled)
        unanswered = resident.unanswered(draft.due)
        commit = draft.commit(unanswered=unanswered, keys=keys, new=new)
        self._move_head(resident, draft)
        if not is_settled and (
            resident.settle_deadline == math.inf
            or any(letter.restarts_settling for letter, _ in accepted)
        ):
            resident.settle_deadline = self._loop.time() + self._settle_timeout
        batch = Batch(
            accepted,
            followers,
            draft.view,
            draft.is_silent,
            draft.snapshot,
            commit.due,
            draft.effects,
            commit.timers,
            is_settled,
        )
        return self._submit(resident, commit, batch)

    def submit_upgrade(self, resident: Resident, decided: DecidedUpgrade) -> asyncio.Future[None]:
        """The same for an upgrade, while nothing else is under way."""
        draft = self.draft(resident)
        draft.upgrade(
            decided.upgraded,
            decided.event,
            decided.index_entries,
            now_ms=self._clock.now_ms(),
        )
        commit = draft.commit()._replace(upgraded_to=decided.target.id)
        self._move_head(resident, draft)
        resident.head_version = decided.target
        timers, target = commit.timers, decided.target
        batch = Batch(
            (), (), draft.view, False, draft.snapshot, (), NO_EFFECTS, timers, True, target
        )
        return self._submit(resident, commit, batch)

    def submit_housekeeping(
        self, resident: Resident, snapshot: bytes, view: bytes, due: tuple[str, ...]
    ) -> asyncio.Future[None]:
        """The same for what children came to without an event, while nothing else is under way."""
        revision = resident.head_revision + 1
        ts = max(self._clock.now_ms(), round(resident.head_ts + TS_STEP_MS, 3))
        entry = JournalEntry(revision, ts, Origin.HOUSEKEEPING, b"null", snapshot)
        commit = Commit(
            resident.id,
            resident.head_revision,
            (entry,),
            due,
            NO_TIMER_CHANGES,
            resident.next_timer_seq,
        )
        resident.head_revision, resident.head_ts, resident.head_snapshot = revision, ts, snapshot
        seen = InstanceView(revision, ts, view)
        batch = Batch((), (), seen, True, snapshot, due, NO_EFFECTS, NO_TIMER_CHANGES, True)
        return self._submit(resident, commit, batch)

    def _submit(self, resident: Resident, commit: Commit, batch: Batch) -> asyncio.Future[None]:
        committing = self._store.commit(
            commit, partial(self._after_commit.on_committed, resident, batch)
        )
        resident.committing.append(committing)
        return committing

    def _move_head(self, resident: Resident, draft: CommitDraft) -> None:
        resident.head_revision = draft.revision
        resident.head_snapshot = draft.snapshot
        resident.head_ts = draft.ts
        resident.timers = draft.timers
        resident.next_timer_seq = draft.next_timer_seq
        resident.hops = draft.hops
        resident.index_entries = draft.index_entries
        resident.due = draft.due
        resident.live = draft.live

    def _keys(
        self, accepted: Sequence[tuple[Letter, InstanceView]], is_settled: bool
    ) -> tuple[KeyUse, ...]:
        for letter, _ in accepted:
            if letter.key is not None:
                break
        else:
            return ()
        expires_at = self._clock.now_ms() + _KEYS_KEPT_MS
        return tuple(
            [
                KeyUse(
                    letter.key,
                    letter.body_hash,
                    view.to_json() if is_settled else None,
                    expires_at,
                )
                for letter, view in accepted
                if letter.key is not None
            ]
        )

    def reindex(self, resident: Resident) -> asyncio.Future[None] | None:
        """Bring the index entries up to what applies to the newest computed revision; None where they are.

        The write takes its place behind the commits under way. Raises TooLarge where the version's own selectors find too much; the entries then stay.
        """
        entries = self._indexing.find(
            resident.head_version, resident.current_selectors, resident.head_snapshot
        )
        changes = index_changes(resident.index_entries, entries)
        if changes is None:
            return None
        resident.index_entries = entries
        resident.reindexing += 1
        writing = self._store.reindex(resident.id, resident.head_revision, changes)
        writing.add_done_callback(lambda done: self._on_reindexed(resident, done))
        return writing

    def _on_reindexed(self, resident: Resident, writing: asyncio.Future[None]) -> None:
        """What is committed from now on is a difference to what should have been written."""
        resident.reindexing -= 1
        if writing.exception() is not None:
            self._void(resident, Overloaded("the instance's index entries could not be stored"))

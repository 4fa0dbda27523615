"""Group commit: whatever arrives in one turn of the event loop is written in one transaction.

Writes are done in the order of the calls, and so are their results. There is at most one transaction at a time, on the loop or on the
writer's thread (see `pace.py`); while the thread has one, what arrives waits for the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import apsw

from statekeep.domain.commit import Commit
from statekeep.ports.metrics import Metrics
from statekeep.storage.sqlite.pace import Pace
from statekeep.storage.sqlite.transaction import CommitUncertain, Failed, Transactions, Write

Result = TypeVar("Result")
Chore = Callable[[], None]
OnDone = Callable[[asyncio.Future[Any]], None]
_End = tuple[asyncio.Future[Any], OnDone | None]
"""How a write ends: who waits for it, and who is called at once."""


class _Written(NamedTuple):
    results: Sequence[Any]
    seconds: float


class Writer:
    """The queue in front of the one connection that writes. Used from one event loop."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        on_fatal: Callable[[Exception], None],
        metrics: Metrics | None = None,
    ) -> None:
        self.after_batch: Callable[[], None] = _nothing
        """Called on the loop when a batch is durable."""
        self._transactions = transactions
        self._on_fatal = on_fatal
        self._metrics = metrics or Metrics()
        self._pace = Pace()
        self._loop = asyncio.get_running_loop()
        self._thread: Final = ThreadPoolExecutor(1, "statekeep-writer")
        self._writes: list[Write] = []
        self._ends: list[_End] = []
        self._chores: list[Chore] = []
        self._has_long_work = False
        self._has_other_work = False
        self._is_scheduled = False
        self._is_thread_busy = False
        self._is_closed = False
        self._broken: CommitUncertain | None = None
        self.changes = 0
        """Batches that were written with anything but commits in them."""

    @property
    def waiting(self) -> int:
        """Writes that no transaction has begun with."""
        return len(self._writes)

    def enqueue(self, write: Write, on_done: OnDone | None = None) -> asyncio.Future[Any]:
        """Put a write into the next batch. The future has its result once that is durable; `on_done` is called with it at once then."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._writes.append(write)
        if type(write) is not Commit:
            self._has_other_work = True
        self._ends.append((future, on_done))
        if not self._is_scheduled:
            self._schedule()
        return future

    def write(
        self, work: Callable[[apsw.Connection], Result], *, is_long: bool = False
    ) -> asyncio.Future[Result]:
        """The same, typed, for what is no commit. A long write never runs on the event loop."""
        self._has_long_work |= is_long
        return self.enqueue(work)

    def run_between(self, chore: Chore) -> None:
        """Run something on the thread when no transaction is open; never, once the writer is closed."""
        if not self._is_closed:
            self._chores.append(chore)
            self._schedule()

    async def close(self) -> None:
        """Write what waits, and whatever arrives while it is written."""
        while self._writes or self._is_thread_busy:
            await asyncio.wait([self.write(_nothing)])
        self._is_closed = True
        self._chores.clear()
        self._thread.shutdown()

    def _schedule(self) -> None:
        self._is_scheduled = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_scheduled = False
        if self._is_thread_busy:
            return
        if self._writes:
            self._flush_writes()
        if self._chores and not self._is_thread_busy:
            self._hand_over(self._chores.pop(0), _nothing)

    def _flush_writes(self) -> None:
        batch, self._writes = self._writes, []
        ends, self._ends = self._ends, []
        is_long, self._has_long_work = self._has_long_work, False
        complete = partial(self._complete, ends, self._has_other_work)
        self._has_other_work = False
        if self._pace.is_inline and not is_long:
            complete(self._write(batch))
        else:
            self._hand_over(partial(self._write, batch), complete)

    def _write(self, batch: Sequence[Write]) -> _Written:
        """Runs on the loop or on the thread."""
        if self._broken is not None:
            return _Written([Failed(self._broken)] * len(batch), 0.0)
        begun = time.perf_counter()
        try:
            results = self._transactions.write(batch)
        except CommitUncertain as error:
            self._broken = error
            self._on_fatal(error)
            results = [Failed(error)] * len(batch)
        return _Written(results, time.perf_counter() - begun)

    def _complete(self, ends: Sequence[_End], is_change: bool, written: _Written) -> None:
        self.changes += is_change
        self._pace.observe(written.seconds)
        self._metrics.batch_writes.observe(len(ends))
        self._metrics.commit_seconds.observe(written.seconds)
        for (future, on_done), result in zip(ends, written.results, strict=True):
            if type(result) is Failed:
                self._metrics.writes_failed += 1
            if future.done():
                continue  # Its caller has been cancelled. It was written all the same.
            if type(result) is Failed:
                future.set_exception(result.error)
            else:
                future.set_result(result)
            if on_done is not None:
                self._call(on_done, future)
        self.after_batch()

    def _call(self, on_done: OnDone, future: asyncio.Future[Any]) -> None:
        """What one of a batch does with its result is nothing to the others."""
        try:
            on_done(future)
        except Exception as error:
            context = {"message": "what follows a write failed", "exception": error}
            self._loop.call_exception_handler(context)

    def _hand_over(self, job: Callable[[], Result], done: Callable[[Result], None]) -> None:
        self._is_thread_busy = True
        future = self._loop.run_in_executor(self._thread, job)
        future.add_done_callback(partial(self._take_back, done))

    def _take_back(self, done: Callable[[Any], None], future: asyncio.Future[Any]) -> None:
        self._is_thread_busy = False
        try:
            done(future.result())
        finally:
            self._flush()


def _nothing(*_: object) -> None:
    """As a write: to wait for what was written before."""

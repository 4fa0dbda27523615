"""What workers have in common: each has one thing to look after, at the start, when it is asked to, and after a while at the latest."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import ClassVar, Final

_log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0


class Worker(ABC):
    """Does its work again and again, in a task of its own. `first_after_seconds` puts the first time off."""

    task: ClassVar[str]
    """What could not be done, for the log."""
    retry_seconds: ClassVar[float] = RETRY_SECONDS
    """How long after a failure the same is tried again."""

    def __init__(self, *, first_after_seconds: float | None = None) -> None:
        self._is_wanted = asyncio.Event()
        self._pause = first_after_seconds
        if first_after_seconds is None:
            self._is_wanted.set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin. Returns before anything is done."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leave the rest for the next start. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """There may be something to do."""
        self._is_wanted.set()

    @abstractmethod
    async def work(self) -> float | None:
        """Do what there is to do; returns after how many seconds to look again, None for when somebody asks."""

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._is_wanted.wait()
            self._is_wanted.clear()
            try:
                self._pause = await self.work()
            except Exception:
                _log.exception("%s; trying again", self.task)
                self._pause = self.retry_seconds

"""Takes up what the last server left: instances whose children were due when it ended."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from statekeep.application.instances import Instances
from statekeep.domain.names import InstanceId
from statekeep.ports.store import InstanceStore

_log = logging.getLogger(__name__)

PAGE_INSTANCES: Final = 100
RETRY_SECONDS: Final = 1.0
"""Before the store is asked again after it has failed."""


class Recovery:
    """Delivers the error events of lost children, page by page, beside everything else."""

    def __init__(self, store: InstanceStore, instances: Instances) -> None:
        self._store = store
        self._instances = instances
        self._is_wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin. Returns before it is finished."""
        self._is_wanted.set()
        self._task = asyncio.create_task(self._run())

    def look_again(self) -> None:
        """Instances came from elsewhere, and may be owed the answers of children that they had there."""
        self._is_wanted.set()

    async def stop(self) -> None:
        """Leave the rest for the next start. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            await self._recover_all()

    async def _recover_all(self) -> None:
        last: InstanceId | None = None
        while True:
            try:
                page = await self._store.unsettled_instances(after=last, limit=PAGE_INSTANCES)
            except Exception:
                _log.exception("unsettled instances could not be read; trying again")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for instance_id in page:
                try:
                    await self._instances.recover(instance_id)
                except Exception:
                    _log.exception("instance %d could not be taken up", instance_id)
            if len(page) < PAGE_INSTANCES:
                return
            last = page[-1]

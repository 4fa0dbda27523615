"""Reading logs: who waits for whom."""

from __future__ import annotations

import asyncio

from statekeep.application.logs import Logs
from statekeep.domain.access import AuthContext
from statekeep.domain.log import LogSelection
from statekeep.storage.memory.logs import MemoryLogs
from tests.support.builders import an_organization
from tests.support.world import until


class SlowLogs(MemoryLogs):
    """Reads nothing until it may."""

    def __init__(self):
        super().__init__()
        self.may_go_on = asyncio.Event()
        self.reading = []

    async def read_logs(self, organization_id, wanted, *, limit):
        self.reading.append(organization_id)
        await self.may_go_on.wait()
        return await super().read_logs(organization_id, wanted, limit=limit)


async def test_an_organization_that_asks_for_much_keeps_no_other_waiting():
    """Of one there is one reading at a time; all are answered."""
    store = SlowLogs()
    logs = Logs(store)
    acme, rival = an_organization("acme").id, an_organization("rival").id

    def page(organization_id):
        caller = AuthContext(organization_id, None, frozenset({"logs.read"}), b"{}")
        return asyncio.create_task(logs.page(caller, LogSelection(7)))

    asked = [page(acme) for _ in range(3)] + [page(rival)]
    await until(lambda: rival in store.reading)
    assert store.reading == [acme, rival]
    store.may_go_on.set()
    pages = await asyncio.gather(*asked)
    assert [page.newest_ms for page in pages] == [7] * 4
    assert store.reading == [acme, rival, acme, acme]

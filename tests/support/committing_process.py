"""A process that commits as fast as it can, so that a test can kill it.

    python -m tests.support.committing_process DIRECTORY INSTANCES [CRASH_POINT HITS]

Every commit takes an instance three revisions on, sets a timer, removes the one before and uses a key. Once it is durable a line with the instance's number
and revision is printed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from statekeep import crash_points
from statekeep.domain.names import InstanceId
from statekeep.domain.timer import TimerChanges
from statekeep.storage.sqlite.store import SqliteStore
from tests.support.builders import a_commit, a_key_use, a_timer, create_instances, lay_ground

ENTRIES = 3


async def main(directory: str, instances: str, *crash: str) -> None:
    """Until the process is killed."""
    store = SqliteStore(Path(directory))
    await store.open()
    ground = await lay_ground(store)
    names = [f"i{number}" for number in range(int(instances))]
    ids = await create_instances(store, ground, names)
    if crash:
        point, hits = crash
        crash_points.arm(point, hits=int(hits))
    await asyncio.gather(*(commit_forever(store, instance_id) for instance_id in ids))


async def commit_forever(store: SqliteStore, instance_id: InstanceId) -> None:
    """And tell after each."""
    revision = 1
    while True:
        timers = TimerChanges((a_timer(revision),), (revision - ENTRIES,))
        commit = a_commit(instance_id, revision, entries=ENTRIES)._replace(
            timers=timers, next_timer_seq=revision + 1, keys=(a_key_use(f"k{revision}"),)
        )
        await store.commit(commit)
        revision += ENTRIES
        # Past every buffer of this process: what was told was told.
        os.write(sys.stdout.fileno(), f"{instance_id} {revision}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

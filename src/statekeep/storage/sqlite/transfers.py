"""Exports and imports in SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import Final

import apsw

from statekeep.domain.errors import Overloaded
from statekeep.domain.limits import EXPORT_LOG_BYTES_MAX, EXPORTS_MAX, MIB
from statekeep.domain.names import InstanceId, MachineName, OrganizationId
from statekeep.domain.timer import Timer
from statekeep.domain.transfer import ExportSelection, ImportId, Record
from statekeep.ports.transfers import TransferStore
from statekeep.storage.portions import next_portion
from statekeep.storage.sqlite.database import Row
from statekeep.storage.sqlite.export import read_records
from statekeep.storage.sqlite.instances import remove_some_orphans
from statekeep.storage.sqlite.named import QUERIES, NamedQueries, run
from statekeep.storage.sqlite.rows import json_of, microseconds_of, timer_row

_SET_TIMER: Final = QUERIES["set_timer"]

INSTANCES_DISCARDED_AT_ONCE: Final = 100


class SqliteTransfers(NamedQueries, TransferStore):
    """Out, and in again."""

    export_log_bytes_max = EXPORT_LOG_BYTES_MAX
    _exports = 0

    async def export(self, wanted: ExportSelection) -> AsyncGenerator[Sequence[Record], None]:
        if self._exports >= EXPORTS_MAX:
            raise Overloaded(f"{EXPORTS_MAX} exports are under way already", retry_after_seconds=60)
        self._exports += 1
        with ExitStack() as resources:
            resources.callback(self._end_export)
            thread = ThreadPoolExecutor(1, "statekeep-export")
            resources.callback(thread.shutdown, wait=False)
            reading = self._database.new_reader()
            # On its thread, and without waiting: it may be in the middle of a portion that nobody wants any more.
            resources.callback(thread.submit, reading.close)
            on_thread = partial(asyncio.get_running_loop().run_in_executor, thread)
            await on_thread(reading.execute, "BEGIN")
            records = read_records(reading, wanted)
            # The file keeps its size for a while once it is written from its beginning again.
            bytes_max = max(self.export_log_bytes_max, self._database.log_bytes)
            while portion := await on_thread(next_portion, records):
                yield portion
                self._require_short_log(bytes_max)

    def _end_export(self) -> None:
        self._exports -= 1

    def _require_short_log(self, bytes_max: int) -> None:
        if self._database.log_bytes > bytes_max:
            raise Overloaded(
                f"more than {bytes_max // MIB} MiB were written while this export was read:"
                " read it faster, export machine by machine, or when less is going on",
                retry_after_seconds=600,
            )

    async def stage_machine(
        self,
        import_id: ImportId,
        organization_id: OrganizationId,
        name: MachineName,
        indexes: tuple[str, ...],
        created_at: datetime,
    ) -> int:
        def stage(connection: apsw.Connection) -> int:
            run(
                connection,
                "create_machine",
                organization_id=organization_id,
                # No name of a machine has a slash.
                name=f"{import_id}/{name}",
                indexes=json_of(indexes),
                created_at=microseconds_of(created_at),
            )
            machine_id = connection.last_insert_rowid()
            named = {"machine_id": machine_id, "import_id": import_id, "name": name}
            run(connection, "stage_machine", **named)
            return machine_id

        return await self._database.write(stage)

    async def stage_timers(self, instance_id: InstanceId, timers: Sequence[Timer]) -> None:
        rows = [timer_row(instance_id, timer) for timer in timers]

        def add(connection: apsw.Connection) -> None:
            connection.executemany(_SET_TIMER, rows)

        await self._database.write(add, is_long=True)

    async def publish_import(self, import_id: ImportId) -> None:
        def publish(connection: apsw.Connection) -> None:
            run(connection, "publish_machines", import_id=import_id)
            run(connection, "forget_staged_machines", import_id=import_id)

        await self._database.write(publish)

    async def discard_import(self, import_id: ImportId) -> None:
        while await self._database.write(partial(_discard_some, import_id), is_long=True):
            while await self._database.write(remove_some_orphans, is_long=True):
                pass

    async def staged_imports(self) -> Sequence[ImportId]:
        rows: list[Row] = await self._database.scan_rows(QUERIES["staged_imports"], ())
        return [import_id for (import_id,) in rows]


def _discard_some(import_id: ImportId, connection: apsw.Connection) -> bool:
    """Some instances of an import, or a machine that has none left; False where nothing was left."""
    machine_id = run(connection, "staged_machine", import_id=import_id).get
    if machine_id is None:
        return False
    named = {"machine_id": machine_id, "limit": INSTANCES_DISCARDED_AT_ONCE}
    instances: list[Row] = run(connection, "some_instances", **named).fetchall()
    for (instance_id,) in instances:
        run(connection, "orphan_journal", instance_id=instance_id)
        run(connection, "delete_instance", instance_id=instance_id)
    if not instances:
        run(connection, "delete_machine", machine_id=machine_id)
    return True

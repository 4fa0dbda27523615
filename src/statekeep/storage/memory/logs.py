"""Log entries in lists, one for each organization."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from statekeep.domain.log import LogEntry, LogSelection, excess, timestamps
from statekeep.domain.names import MachineName, OrganizationId
from statekeep.ports.store import LogStore


@dataclass(slots=True)
class _Kept:
    """The entries of an organization, oldest first."""

    entries: list[LogEntry] = field(default_factory=list)
    newest_ms: int | None = None


class MemoryLogs(LogStore):
    """Nothing here outlives the process."""

    def __init__(self) -> None:
        self._logs: defaultdict[OrganizationId, _Kept] = defaultdict(_Kept)

    async def append_logs(self, entries: Sequence[LogEntry]) -> None:
        for organization_id in dict.fromkeys(entry.organization_id for entry in entries):
            kept = self._logs[organization_id]
            ours = [entry for entry in entries if entry.organization_id == organization_id]
            given = timestamps([entry.ts_ms for entry in ours], kept.newest_ms)
            kept.newest_ms = given[-1]
            kept.entries += [
                entry._replace(ts_ms=ts) for entry, ts in zip(ours, given, strict=True)
            ]

    async def read_logs(
        self, organization_id: OrganizationId, wanted: LogSelection, *, limit: int
    ) -> Sequence[LogEntry]:
        kept = self._logs[organization_id].entries
        return [entry for entry in kept if _is_wanted(entry, wanted)][:limit]

    async def forget_old_logs(self, *, before_ms: int, organization_bytes_max: int) -> int:
        count = 0
        for kept in self._logs.values():
            sizes = [(entry.ts_ms, entry.size_bytes) for entry in kept.entries]
            total = sum(size for _, size in sizes)
            gone = excess(sizes, total, before_ms=before_ms, total_max=organization_bytes_max)
            del kept.entries[:gone]
            count += gone
        return count

    async def forget_machine_logs(
        self, organization_id: OrganizationId, machine_name: MachineName, *, before_ms: int
    ) -> int:
        kept = self._logs[organization_id]
        before = len(kept.entries)
        kept.entries = [
            entry
            for entry in kept.entries
            if entry.machine_name != machine_name or entry.ts_ms >= before_ms
        ]
        return before - len(kept.entries)


def _is_wanted(entry: LogEntry, wanted: LogSelection) -> bool:
    return (
        wanted.after_ms < entry.ts_ms
        and (wanted.until_ms is None or entry.ts_ms <= wanted.until_ms)
        and wanted.machine_name in (None, entry.machine_name)
        and wanted.instance_name in (None, entry.instance_name)
        and wanted.version_id in (None, entry.version_id)
    )

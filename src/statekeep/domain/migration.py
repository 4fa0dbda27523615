"""Migrations: how an instance gets from one version of its machine to another."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from statekeep.domain.errors import UpgradeFailed
from statekeep.domain.limits import MIGRATION_PATH_LENGTH_MAX, TIMERS_PER_INSTANCE_MAX
from statekeep.domain.names import MigrationId, VersionId
from statekeep.domain.timer import SetTimer, Timer, TimerChanges


@dataclass(frozen=True, slots=True)
class Migration:
    """Code that carries an instance from one version to another of the same machine."""

    id: MigrationId
    machine_id: int
    from_version: VersionId
    to_version: VersionId
    created_at: datetime
    code_hash: bytes


def shortest_path(
    migrations: Sequence[Migration], start: VersionId, target: VersionId
) -> tuple[Migration, ...] | None:
    """The fewest migrations that lead from `start` to `target`, None where none do.

    `migrations` come newest first: where several paths are equally short, each step takes the newest migration that is on one of them.
    """
    steps_left = _steps_left(migrations, target)
    if steps_left.get(start, MIGRATION_PATH_LENGTH_MAX + 1) > MIGRATION_PATH_LENGTH_MAX:
        return None
    path: list[Migration] = []
    while start != target:
        step = next(
            migration
            for migration in migrations
            if migration.from_version == start
            and steps_left.get(migration.to_version) == steps_left[start] - 1
        )
        path.append(step)
        start = step.to_version
    return tuple(path)


def _steps_left(migrations: Sequence[Migration], target: VersionId) -> dict[VersionId, int]:
    """From each version that leads to the target, how many migrations it takes."""
    leading_to: dict[VersionId, list[VersionId]] = {}
    for migration in migrations:
        leading_to.setdefault(migration.to_version, []).append(migration.from_version)
    steps_left = {target: 0}
    reached = deque([target])
    while reached:
        version = reached.popleft()
        for before in leading_to.get(version, ()):
            if before not in steps_left:
                steps_left[before] = steps_left[version] + 1
                reached.append(before)
    return steps_left


def upgrade_event(start: VersionId, target: VersionId, path: Sequence[Migration]) -> bytes:
    """The JSON of the event by which the history of an instance shows an upgrade (SPEC 8)."""
    # No id has a character that JSON escapes.
    ids = ",".join(f'"{migration.id}"' for migration in path)
    return (
        f'{{"type":"statebacked.upgrade","fromMachineVersionId":"{start}",'
        f'"toMachineVersionId":"{target}","machineVersionMigrationIds":[{ids}]}}'
    ).encode()


class RenamedTimer(NamedTuple):
    """A pending timer of a state that survives: it keeps its due time and gets the name that the new version knows."""

    seq: int
    send_id: str
    event: bytes
    after: bytes


class Losses(NamedTuple):
    """What an upgrade leaves behind: ids of children that cannot go on, and the states whose remembered past nobody asks for any more."""

    children: tuple[str, ...] = ()
    history: tuple[tuple[str, ...], ...] = ()


class Upgraded(NamedTuple):
    """An instance as it is in another version. Nothing is written yet. Timers that are not named stay as they are."""

    snapshot: bytes
    view: bytes
    is_done: bool = False
    renamed: tuple[RenamedTimer, ...] = ()
    cancelled: tuple[int, ...] = ()
    started: tuple[SetTimer, ...] = ()
    lost: Losses = Losses()


class TimerMoves(NamedTuple):
    """What an upgrade does to the timers of an instance: each is named once, by its number, and there is one with that number."""

    renamed: tuple[RenamedTimer, ...]
    cancelled: tuple[int, ...]
    started: tuple[SetTimer, ...]


def timer_moves(upgraded: Upgraded, pending: Mapping[int, Timer], *, now_ms: float) -> TimerMoves:
    """What really becomes of the timers, whatever a host names.

    A finished instance keeps none but messages that are on their way, and the news of its end.
    """
    if upgraded.is_done:
        dropped = [seq for seq, timer in pending.items() if not timer.is_out(now_ms)]
        words = [op for op in upgraded.started if op.message is not None]
        return TimerMoves((), tuple(dropped), tuple(words))
    renamed = {timer.seq: timer for timer in upgraded.renamed if timer.seq in pending}
    cancelled = dict.fromkeys(
        seq for seq in upgraded.cancelled if seq in pending and seq not in renamed
    )
    return TimerMoves(tuple(renamed.values()), tuple(cancelled), upgraded.started)


def require_room(moves: TimerMoves, pending: Mapping[int, Timer]) -> None:
    """Raises UpgradeFailed where the instance would have too many timers."""
    living = sum(not timer.is_dead for timer in pending.values())
    ended = sum(not pending[seq].is_dead for seq in moves.cancelled)
    if living - ended + len(moves.started) > TIMERS_PER_INSTANCE_MAX:
        raise UpgradeFailed(f"an instance has at most {TIMERS_PER_INSTANCE_MAX} pending timers")


def timer_changes(
    moves: TimerMoves, pending: Mapping[int, Timer], *, next_seq: int, now_ms: float
) -> TimerChanges:
    """The moves as they are written. A timer that gets another name gets another number; its due time and its tries stay."""
    added: list[Timer] = []
    for seq, send_id, event, after in moves.renamed:
        moved = pending[seq]._replace(
            seq=next_seq + len(added), send_id=send_id, event=event, after=after
        )
        added.append(moved)
    added += _begun(moves.started, next_seq + len(added), now_ms)
    removed = (*(timer.seq for timer in moves.renamed), *moves.cancelled)
    return TimerChanges(tuple(added), removed)


def _begun(ops: Sequence[SetTimer], next_seq: int, now_ms: float) -> list[Timer]:
    return [
        Timer(
            seq,
            op.send_id,
            now_ms + op.delay_ms,
            op.event,
            op.after,
            message=op.message,
            hops=0 if op.message is None else 1,
        )
        for seq, op in enumerate(ops, next_seq)
    ]

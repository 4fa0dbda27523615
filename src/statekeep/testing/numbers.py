"""Which world an instance belongs to, by its number. The first half of a world's range is for its instances, the second for those that are only tried out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from statekeep.domain.names import InstanceId

INSTANCES_PER_WORLD_MAX: Final = 10_000_000
"""Numbers that one world may give out, instances that were only tried out among them."""


def strangers_from(first_number: int) -> Iterator[InstanceId]:
    """Numbers for instances that are only tried out, of those that a world has."""
    return map(InstanceId, itertools.count(first_number + INSTANCES_PER_WORLD_MAX // 2))


def is_stranger(instance_id: InstanceId) -> bool:
    """Is an instance of that number only tried out?"""
    return instance_id % INSTANCES_PER_WORLD_MAX >= INSTANCES_PER_WORLD_MAX // 2


def world_of(instance_id: InstanceId) -> int:
    """The number of its world."""
    return instance_id // INSTANCES_PER_WORLD_MAX

"""Which instances a dry run or a bulk upgrade is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class InstanceQuery:
    """Instances with a value in an index: any, or one that compares so with `value`."""

    index: str
    op: Literal["eq", "ne", "gt", "gte", "lt", "lte"] | None = None
    value: str | None = None


def selection(
    to_machine_version_id: str,
    from_machine_version_id: str | None,
    query: InstanceQuery | None,
    instances: Sequence[str] | None,
) -> Mapping[str, Any]:
    """Fields of a request."""
    asked = None if query is None else {"index": query.index, "op": query.op, "value": query.value}
    return {
        "toMachineVersionId": to_machine_version_id,
        "fromMachineVersionId": from_machine_version_id,
        "query": asked,
        "instances": None if instances is None else [*instances],
    }

"""Which instances of a machine somebody means, as it is said in a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from statekeep.domain.bulk_upgrade import IndexCondition, InstanceSelection
from statekeep.domain.errors import InvalidParameter, InvalidState
from statekeep.domain.index import Comparison, IndexFilter
from statekeep.domain.limits import INDEX_VALUE_BYTES_MAX, SELECTION_NAMES_MAX
from statekeep.domain.machine import Machine, MachineVersion
from statekeep.domain.names import InstanceName, VersionId, parse_instance_name
from statekeep.ports.store import Store


class IndexQuestion(NamedTuple):
    """An entry in an index, as docs/indexes.md has it: `op` and `value` or neither."""

    index_name: str
    op: str | None = None
    value: str | None = None


class SelectionText(NamedTuple):
    """What may be said of the instances; None where nothing is."""

    version: VersionId | None = None
    query: IndexQuestion | None = None
    names: Sequence[str] | None = None


async def find_version(
    store: Store, machine: Machine, version_id: VersionId, parameter: str
) -> MachineVersion:
    """A version of the machine. Raises InvalidParameter where it has none with that id."""
    version = await store.version(version_id)
    if version is None or version.machine_id != machine.id:
        raise InvalidParameter(
            f"machine {machine.name} has no version {version_id}", parameter=parameter
        )
    return version


async def read_selection(store: Store, machine: Machine, text: SelectionText) -> InstanceSelection:
    """The selection that is meant.

    Raises InvalidParameter that names what cannot be understood, and InvalidState where the index does not know all instances yet.
    """
    if text.version is not None:
        await find_version(store, machine, text.version, "fromMachineVersionId")
    condition = None if text.query is None else await _condition(store, machine, text.query)
    names = None if text.names is None else await _names(store, machine, text.names)
    return InstanceSelection(machine.id, text.version, condition, names)


async def _names(store: Store, machine: Machine, names: Sequence[str]) -> tuple[InstanceName, ...]:
    if not 0 < len(names) <= SELECTION_NAMES_MAX:
        raise InvalidParameter(
            f"instances names 1 to {SELECTION_NAMES_MAX} of them; leave it out for all",
            parameter="instances",
        )
    parsed = tuple(parse_instance_name(name, parameter="instances") for name in names)
    # A misspelled name would mean nobody, and look as if all were well.
    if missing := await store.missing_instances(machine.id, parsed):
        others = f", nor {len(missing) - 1} others that are named" if missing[1:] else ""
        raise InvalidParameter(
            f"there is no instance {missing[0]} of machine {machine.name}{others}",
            parameter="instances",
        )
    return parsed


async def _condition(store: Store, machine: Machine, asked: IndexQuestion) -> IndexCondition:
    if asked.index_name not in machine.indexes:
        raise InvalidParameter(
            f"machine {machine.name} has no index {asked.index_name}", parameter="query"
        )
    fill = await store.index_fill(machine.id)
    if fill is not None and (fill.indexes is None or asked.index_name in fill.indexes):
        raise InvalidState(
            f"index {asked.index_name} is being filled and does not know every instance yet: see how far it is in"
            f" GET /machines/{machine.name}/indexes, and come back"
        )
    return IndexCondition(asked.index_name, _filter(asked))


def _filter(asked: IndexQuestion) -> IndexFilter | None:
    if asked.op is None and asked.value is None:
        return None
    if asked.op is None or asked.value is None:
        raise InvalidParameter("op and value come together or not at all", parameter="query")
    comparisons = {comparison.value: comparison for comparison in Comparison}
    if asked.op not in comparisons:
        raise InvalidParameter(f"op is one of {', '.join(comparisons)}", parameter="query")
    if len(asked.value.encode(errors="replace")) > INDEX_VALUE_BYTES_MAX:
        raise InvalidParameter(
            f"a value has at most {INDEX_VALUE_BYTES_MAX} bytes", parameter="query"
        )
    return IndexFilter(comparisons[asked.op], asked.value)

"""What callers may ask of the indexes of a machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from statekeep.application.machines import find_machine
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import InvalidParameter, NotFound
from statekeep.domain.index import (
    Comparison,
    IndexFill,
    IndexFilter,
    IndexMatch,
    IndexQuery,
)
from statekeep.domain.limits import (
    INDEX_QUERY_LIMIT,
    INDEX_QUERY_LIMIT_MAX,
    INDEX_VALUE_BYTES_MAX,
)
from statekeep.domain.names import MachineName
from statekeep.ports.pages import Page
from statekeep.ports.store import Store

_COMPARISONS = {comparison.value: comparison for comparison in Comparison}


class IndexDetails(NamedTuple):
    """An index of a machine: what fills it by default, and how far that has come where it is under way."""

    name: str
    selector: str | None
    fill: IndexFill | None


class QueryText(NamedTuple):
    """A query as it is asked. None, and nothing but for a value, stands for what is left out."""

    op: str | None = None
    value: str | None = None
    dir: str | None = None
    limit: str | None = None
    cursor: str | None = None


class Indexes:
    """Use cases around indexes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, caller: AuthContext, machine: MachineName) -> Sequence[IndexDetails]:
        """All indexes of a machine, in its order. Raises NotFound for the machine."""
        organization_id = require_scope(caller, "machines.read")
        found = await find_machine(self._store, organization_id, machine)
        selectors = await self._store.current_selectors(found.id)
        fill = await self._store.index_fill(found.id)
        return [
            IndexDetails(name, selectors.get(name), fill if _fills(fill, name) else None)
            for name in found.indexes
        ]

    async def query(
        self, caller: AuthContext, machine: MachineName, index: str, text: QueryText
    ) -> Page[IndexMatch]:
        """Instances by what stands in an index, without a question to the machine's `allowRead`.

        Raises NotFound for the machine and the index, and InvalidParameter that names what cannot be understood.
        """
        organization_id = require_scope(caller, "indexes.read")
        found = await find_machine(self._store, organization_id, machine)
        if index not in found.indexes:
            raise NotFound(f"machine {machine} has no index {index}")
        query = IndexQuery(
            found.id, index, _filter(text), _is_descending(text.dir), _limit(text.limit)
        )
        return await self._store.query_index(query, cursor=text.cursor or None)


def _fills(fill: IndexFill | None, index: str) -> bool:
    return fill is not None and (fill.indexes is None or index in fill.indexes)


def _filter(text: QueryText) -> IndexFilter | None:
    if not text.op:
        if text.value:
            raise InvalidParameter(f"a value needs an op: one of {_names()}", parameter="op")
        return None
    if text.op not in _COMPARISONS:
        raise InvalidParameter(f"op is one of {_names()}", parameter="op")
    if text.value is None:
        raise InvalidParameter("an op needs a value", parameter="value")
    if len(text.value.encode()) > INDEX_VALUE_BYTES_MAX:
        raise InvalidParameter(
            f"a value has at most {INDEX_VALUE_BYTES_MAX} bytes of UTF-8", parameter="value"
        )
    return IndexFilter(_COMPARISONS[text.op], text.value)


def _names() -> str:
    return ", ".join(_COMPARISONS)


def _is_descending(direction: str | None) -> bool:
    if direction and direction not in ("asc", "desc"):
        raise InvalidParameter("dir is asc or desc", parameter="dir")
    return direction == "desc"


def _limit(limit: str | None) -> int:
    if not limit:
        return INDEX_QUERY_LIMIT
    # More digits than any sensible number has would take long to read.
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= 10) or int(limit) == 0:
        raise InvalidParameter("limit is a whole number from 1 on", parameter="limit")
    return min(int(limit), INDEX_QUERY_LIMIT_MAX)

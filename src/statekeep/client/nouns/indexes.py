"""Indexes: instances found by values of their context."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from statekeep.client.models import Index, IndexMatch
from statekeep.client.noun import Noun, Shell, listing, operation
from statekeep.client.nouns.machines import MACHINE
from statekeep.client.pages import Listing
from statekeep.client.steps import Request, Steps, ask

_INDEXES: Final = f"{MACHINE}/indexes"


class _IndexList(msgspec.Struct):
    indexes: list[Index]


class Indexes(Noun[Shell]):
    """Indexes of machines. Versions say what fills them: `machine_versions.create(index_selectors=...)`."""

    @operation
    def list(self, machine_name: str) -> Steps[list[Index]]:
        """All indexes of a machine, with how far existing instances are indexed where that is under way."""
        answer = yield from ask(Request("GET", _INDEXES, {"machine": machine_name}), _IndexList)
        return answer.indexes

    @listing
    def query(
        self,
        machine_name: str,
        index: str,
        *,
        op: Literal["eq", "ne", "gt", "gte", "lt", "lte"] | None = None,
        value: str | None = None,
        dir: Literal["asc", "desc"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[IndexMatch]:
        """Instances by their values in an index, and then by age: all, or those whose value compares so (`op`) with `value`.

        `op` is "eq", "ne", "gt", "gte", "lt" or "lte"; `dir` is "asc" or "desc". `limit` is the size of a page. The machine's `allowRead` is not asked.
        """
        query = {
            "op": op,
            "value": value,
            "dir": dir,
            "limit": None if limit is None else str(limit),
        }
        names = {"machine": machine_name, "index": index}
        request = Request("GET", f"{_INDEXES}/{{index}}/query", names, query)
        return Listing(request, "instances", IndexMatch, cursor)

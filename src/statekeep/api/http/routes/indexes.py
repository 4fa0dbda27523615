"""Indexes of machines: finding instances by what is in their context."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from statekeep.api.http import views
from statekeep.api.http.route import CURSOR, Call, QueryParameter, Route
from statekeep.application.indexes import IndexDetails, QueryText
from statekeep.domain.errors import InvalidParameter, NotFound
from statekeep.domain.index import IndexMatch
from statekeep.domain.limits import INDEX_QUERY_LIMIT, INDEX_QUERY_LIMIT_MAX
from statekeep.wire import answers


async def list_indexes(call: Call[None]) -> answers.IndexList:
    found = await call.services.indexes.list(call.caller, call.machine)
    return answers.IndexList([_details(index) for index in found])


async def query_index(call: Call[None]) -> answers.IndexPage:
    asked = QueryText(*[call.query.get(name) for name in QueryText._fields])
    page = await call.services.indexes.query(call.caller, call.machine, call.path["index"], asked)
    return answers.IndexPage(views.shown(page, _match), views.next_cursor(page))


def _match(match: IndexMatch) -> answers.IndexMatch:
    return answers.IndexMatch(match.name, match.value)


def _details(index: IndexDetails) -> answers.IndexDetails:
    return answers.IndexDetails(
        index.name,
        "ready" if index.fill is None else "filling",
        index.selector or UNSET,
        UNSET if index.fill is None else index.fill.done,
        UNSET if index.fill is None else index.fill.total,
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/machines/{machine}/indexes",
        summary="List indexes",
        tag="Indexes",
        handler=list_indexes,
        description="With the selector of the current version, and how far existing instances are indexed where that is under way.",
        scope="machines.read",
        answer=answers.IndexList,
        errors=(NotFound,),
    ),
    Route(
        method="GET",
        path="/machines/{machine}/indexes/{index}/query",
        summary="Query an index",
        tag="Indexes",
        handler=query_index,
        description=(
            "Finds instances by the values that their context has for an index. The machine's `allowRead` is not asked: whoever has the scope sees every"
            " instance's name and indexed value. Values are ordered by Unicode code points, and instances of one value by age. An instance with several"
            " values stands in the list once for each."
        ),
        scope="indexes.read",
        answer=answers.IndexPage,
        query=(
            QueryParameter(
                "op",
                "How values compare with `value`: eq, ne, gt, gte, lt or lte. With `value` or not at all.",
            ),
            QueryParameter("value", "What to compare with."),
            QueryParameter("dir", "asc, the default, or desc."),
            QueryParameter(
                "limit",
                f"Entries of a page: {INDEX_QUERY_LIMIT} unless said otherwise, {INDEX_QUERY_LIMIT_MAX} at most.",
            ),
            CURSOR,
        ),
        errors=(InvalidParameter, NotFound),
    ),
)

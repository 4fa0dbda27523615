"""What an organization uses."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import people_views
from statekeep.api.http.route import Call, Route
from statekeep.application.links import usage_path
from statekeep.application.usage import USAGE_SCOPE
from statekeep.domain.access import require_scope
from statekeep.wire import people

_TAG: Final = "Organizations"


async def read_usage(call: Call[None]) -> people.Usage:
    return people_views.usage(await call.services.usages.of(call.caller))


async def find_usage_page(call: Call[None]) -> people.UsagePage:
    organization_id = require_scope(call.caller, USAGE_SCOPE)
    return people.UsagePage(call.base_url + usage_path(organization_id))


ROUTES: Final = (
    Route(
        method="GET",
        path="/usage",
        summary="Read the usage of the organization",
        tag=_TAG,
        handler=read_usage,
        scope=USAGE_SCOPE,
        answer=people.Usage,
    ),
    Route(
        method="GET",
        path="/billing",
        summary="Find the page of the organization's usage",
        tag=_TAG,
        handler=find_usage_page,
        description="There is nothing to pay: the page has what `/usage` has, for members who sign in in a browser.",
        scope=USAGE_SCOPE,
        answer=people.UsagePage,
    ),
)

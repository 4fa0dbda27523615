"""Organizations of a member. Keys have none: these routes want a member's session."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import views
from statekeep.api.http.route import Call, Route
from statekeep.domain.errors import InvalidParameter, MissingUser
from statekeep.wire import answers, requests


async def list_organizations(call: Call[None]) -> answers.OrganizationPage:
    memberships = await call.services.organizations.list(call.caller)
    return answers.OrganizationPage(views.organization_items(memberships))


async def create_organization(
    call: Call[requests.CreateOrganization],
) -> answers.NewOrganization:
    allows = call.body.allow_anonymous_access
    organization_id = await call.services.organizations.create(
        call.caller, call.body.name, allow_anonymous_access=allows is not False
    )
    return answers.NewOrganization(organization_id)


ROUTES: Final = (
    Route(
        method="GET",
        path="/orgs",
        summary="List organizations",
        tag="Organizations",
        handler=list_organizations,
        description="Those the caller is a member of.",
        answer=answers.OrganizationPage,
        errors=(MissingUser,),
    ),
    Route(
        method="POST",
        path="/orgs",
        summary="Create an organization",
        tag="Organizations",
        handler=create_organization,
        request=requests.CreateOrganization,
        answer=answers.NewOrganization,
        errors=(InvalidParameter, MissingUser),
    ),
)

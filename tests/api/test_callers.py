"""Who is let in, and who is not: the same for every route."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from statekeep.api.http import routes
from statekeep.api.http.route import Route
from statekeep.domain.access import SCOPES
from tests.support.api import Api

EXAMPLES: dict[str, Any] = {
    "CreateMachine": {"slug": "gate"},
    "CreateInstance": {"slug": "back"},
    "SendEvent": {"event": "open"},
    "DryRunMigration": {"toMachineVersionId": "ver_x"},
    "BeginBulkUpgrade": {"toMachineVersionId": "ver_x"},
    "SetBulkUpgradeStatus": {"status": "paused"},
    "SetInstanceStatus": {"status": "paused"},
    "CreateKey": {"name": "key", "use": "ci"},
    "CreateOrganization": {"name": "org"},
    "PutIdentityProvider": {"iss": "x", "algs": ["HS256"], "key": "A" * 40, "mapping": {}},
    "DeleteIdentityProvider": {"iss": "x"},
    "SendInvitation": {"email": "bob@example.com", "role": "read"},
    "SetRole": {"role": "read"},
    "PutTokenProvider": {"keyId": "sbk_x", "service": "x", "mapping": {}},
}
WITH_CALLER = [route for route in routes.ALL if not route.is_public]
WITH_SCOPE = [route for route in WITH_CALLER if route.scope is not None]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


async def ask(api: Api, route: Route, headers: dict[str, str]) -> Any:
    path = re.sub(r"{(\w+)}", "door", route.path.replace("{invitation}", "sbinv_x"))
    body = None if route.request is None else EXAMPLES.get(route.request.__name__, {})
    return await api.request(route.method, path, body, headers)


@pytest.mark.parametrize("route", WITH_CALLER, ids=name_of)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer nonsense"},
        {"authorization": "Bearer"},
        {"authorization": "Basic YTpi"},
    ],
    ids=["none", "nonsense", "empty", "basic"],
)
async def test_strangers_are_not_let_in(api: Api, route: Route, headers: dict[str, str]) -> None:
    """401 that says how to come in, on every route."""
    answer = await ask(api, route, headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("route", WITH_SCOPE, ids=name_of)
async def test_the_scope_in_the_table_is_the_one_that_is_needed(api: Api, route: Route) -> None:
    """All other scopes together are not enough; that one alone is, or with those that stand beside it."""
    assert route.scope is not None
    others = await api.new_key(*sorted(SCOPES - {route.scope}))
    answer = await ask(api, route, others)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
    assert route.scope in answer.json()["error"]
    alone = await api.new_key(route.scope, *route.more_scopes)
    answer = await ask(api, route, alone)
    assert answer.status_code not in (401, 403, 500)


async def test_a_member_of_several_has_to_say_which(api: Api) -> None:
    """400 specify-org, and then the one named."""
    both = await api.new_member("bob", organizations=2)
    error = await api.expect(400, "GET", "/machines", headers=both)
    assert error["code"] == "specify-org"
    organizations = (await api.expect(200, "GET", "/orgs", headers=both))["orgs"]
    for organization in organizations:
        headers = {**both, "x-statebacked-org-id": organization["id"]}
        await api.expect(201, "POST", "/machines", {"slug": "door"}, headers=headers)


async def test_a_member_of_none_has_no_organization(api: Api) -> None:
    """403 missing-org, as for one who names somebody else's; making one is allowed."""
    loner = await api.new_member("loner", organizations=0)
    error = await api.expect(403, "GET", "/machines", headers=loner)
    assert error["code"] == "missing-org"
    eves = (await api.expect(200, "GET", "/orgs"))["orgs"][0]["id"]
    headers = {**loner, "x-statebacked-org-id": eves}
    error = await api.expect(403, "GET", "/machines", headers=headers)
    assert error["code"] == "missing-org"
    await api.expect(200, "POST", "/orgs", {"name": "own"}, headers=loner)


async def test_claims_reach_the_machine(api: Api) -> None:
    """An admin may act as somebody; the claims may hold any text, which arrives as Latin-1."""
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})
    act = msgspec.json.encode({"sub": "stranger", "name": "Zoë"})
    answer = await api.client.get(
        "/machines/door/i/front",
        headers={
            b"authorization": api.admin["authorization"].encode(),
            b"x-statebacked-act": act,
        },
    )
    assert answer.status_code == 403
    assert answer.json()["code"] == "rejected-by-machine-authorizer"
    headers = {**api.admin, "x-statebacked-act": "nonsense"}
    error = await api.expect(400, "GET", "/machines", headers=headers)
    assert error["code"] == "invalid-parameter"
    await api.expect(200, "GET", "/machines/door/i/front")

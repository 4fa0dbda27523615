"""API keys and organizations over HTTP."""

from __future__ import annotations

import pytest

from tests.support.api import Api
from tests.support.forgery import key_token

PRODUCTION = ["events.write", "indexes.read", "instances.write", "state.read"]


async def test_a_key_is_shown_once_and_works(api: Api) -> None:
    """200 with id and secret; tokens signed with it are let in, with its scopes."""
    await api.new_machine()
    key = await api.expect(200, "POST", "/keys", {"name": "backend", "use": "production"})
    assert key["id"].startswith("sbk_")
    assert key["key"].startswith("sbsec_")
    headers = {"authorization": f"Bearer {key_token(key['id'], key['key'])}"}
    await api.expect(200, "POST", "/machines/door", {"slug": "front"}, headers=headers)
    assert await api.expect(200, "GET", "/keys") == {
        "keys": [
            {
                "id": key["id"],
                "name": "backend",
                "scopes": PRODUCTION,
                "createdAt": "2026-01-01T00:00:00.000Z",
            }
        ]
    }


async def test_scopes_win_over_use(api: Api) -> None:
    """The official command line sends both."""
    body = {"name": "reader", "use": "production", "scopes": ["machines.read"]}
    await api.expect(200, "POST", "/keys", body)
    listed = await api.expect(200, "GET", "/keys")
    assert listed["keys"][0]["scopes"] == ["machines.read"]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"use": "production"}, "name"),
        ({"name": "", "use": "production"}, "name"),
        ({"name": "x"}, "use"),
        ({"name": "x", "use": "play"}, "use"),
        ({"name": "x", "scopes": ["all"]}, "scopes"),
    ],
)
async def test_bad_keys_are_refused(api: Api, body: dict[str, object], parameter: str) -> None:
    """400 that names the parameter."""
    error = await api.expect(400, "POST", "/keys", body)
    assert error["parameter"] == parameter


async def test_a_deleted_key_opens_nothing(api: Api) -> None:
    """Its tokens are worth nothing at once, those that were used before included."""
    headers = await api.new_key("machines.read")
    await api.expect(200, "GET", "/machines", headers=headers)
    key_id = (await api.expect(200, "GET", "/keys"))["keys"][0]["id"]
    deleted = await api.request("DELETE", f"/keys/{key_id}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    await api.expect(401, "GET", "/machines", headers=headers)
    await api.expect(404, "DELETE", f"/keys/{key_id}")


async def test_keys_of_others_do_not_exist(api: Api) -> None:
    """404, and the key goes on working."""
    headers = await api.new_key("machines.read")
    key_id = (await api.expect(200, "GET", "/keys"))["keys"][0]["id"]
    eve = await api.new_member("eve")
    await api.expect(404, "DELETE", f"/keys/{key_id}", headers=eve)
    assert await api.expect(200, "GET", "/keys", headers=eve) == {"keys": []}
    await api.expect(200, "GET", "/machines", headers=headers)


async def test_an_organization_can_be_made_and_is_listed(api: Api) -> None:
    """With the caller as admin; from then on the caller has to say which one is meant."""
    made = await api.expect(200, "POST", "/orgs", {"name": "second"})
    listed = (await api.expect(200, "GET", "/orgs"))["orgs"]
    assert [organization["name"] for organization in listed] == ["ada 0", "second"]
    assert listed[1] == {
        "id": made["id"],
        "name": "second",
        "role": "admin",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "limits": {
            "monthlyEventsLimit": 9007199254740991,
            "monthlyReadsLimit": 9007199254740991,
        },
    }
    error = await api.expect(400, "GET", "/machines")
    assert error["code"] == "specify-org"
    headers = {**api.admin, "x-statebacked-org-id": made["id"]}
    assert await api.expect(200, "GET", "/machines", headers=headers) == {"machines": []}


async def test_anonymous_access_is_on_unless_refused(api: Api) -> None:
    """As the published types say."""
    kept = {}
    for name, more in (("a", {}), ("b", {"allowAnonymousAccess": False})):
        made = await api.expect(200, "POST", "/orgs", {"name": name, **more})
        organization = await api.store.organization(made["id"])
        assert organization is not None
        kept[name] = organization.allow_anonymous_access
    assert kept == {"a": True, "b": False}


async def test_a_key_is_nobody(api: Api) -> None:
    """Organizations are for members."""
    headers = await api.new_key("org.read", "org.write")
    for method, body in (("GET", None), ("POST", {"name": "mine"})):
        error = await api.expect(403, method, "/orgs", body, headers=headers)
        assert error["code"] == "missing-user"

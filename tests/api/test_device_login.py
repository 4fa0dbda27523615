"""Device login over HTTP, as RFC 8628 has it."""

from __future__ import annotations

import pytest

from tests.support.api import URL, running_api

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def begin(api, **more):
    answer = await api.client.post(
        "/device_authorization", data={"client_id": "statekeep-cli", **more}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def poll(api, begun, *, after=5):
    api.clock.advance(seconds=after)
    form = {"grant_type": GRANT, "device_code": begun["device_code"], "client_id": "statekeep-cli"}
    return await api.client.post("/tokens", data=form)


async def decide(api, begun, *, is_allowed):
    user = await api.store.user_by_email("ada@example.com")
    code = begun["user_code"]
    api.services.people.device_logins.decide(user, code, is_allowed=is_allowed)


async def test_a_device_gets_a_token(api):
    """With which it is the member who let it in, in all their organizations."""
    begun = await begin(api, device_name="laptop")
    assert begun.keys() == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert (begun["expires_in"], begun["interval"]) == (900, 5)
    assert begun["verification_uri"] == f"{URL}/device"
    code = begun["user_code"]
    assert begun["verification_uri_complete"] == f"{URL}/device?user_code={code}"
    pending = await poll(api, begun)
    assert (pending.status_code, pending.json()["error"]) == (400, "authorization_pending")
    await decide(api, begun, is_allowed=True)
    answer = await poll(api, begun)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 90 * 86_400)
    headers = {"authorization": f"Bearer {token['access_token']}"}
    me = await api.expect(200, "GET", "/me", headers=headers)
    assert token["user"] == {"id": me["id"], "email": "ada@example.com"}
    assert me["session"]["label"] == "statekeep-cli on laptop"
    await api.expect(201, "POST", "/machines", {"slug": "door"}, headers=headers)
    again = await poll(api, begun)
    assert (again.status_code, again.json()["error"]) == (400, "expired_token")


async def test_a_device_that_does_not_wait_is_told(api):
    """By the code that clients know."""
    begun = await begin(api)
    answer = await poll(api, begun, after=1)
    assert (answer.status_code, answer.json()["error"]) == (400, "slow_down")


async def test_a_device_that_is_turned_down_is_told(api):
    """So it does not go on asking."""
    begun = await begin(api)
    await decide(api, begun, is_allowed=False)
    assert (await poll(api, begun)).json()["error"] == "access_denied"


@pytest.mark.parametrize(
    ("path", "form", "error"),
    [
        ("/device_authorization", {}, "invalid_request"),
        ("/device_authorization", {"client_id": "x" * 101}, "invalid_request"),
        ("/device_authorization", {"client_id": "x", "device_name": "a\tb"}, "invalid_request"),
        ("/tokens", {"grant_type": GRANT}, "invalid_request"),
        ("/tokens", {"grant_type": GRANT, "device_code": "dev_none"}, "expired_token"),
        ("/tokens", {"grant_type": "password"}, "unsupported_grant_type"),
        ("/tokens", {}, "invalid_request"),
    ],
)
async def test_bad_requests_are_told_as_oauth_does(api, path, form, error):
    """With something for people beside the code."""
    answer = await api.client.post(path, data=form)
    assert answer.status_code == 400
    body = answer.json()
    assert (body["error"], body["code"]) == (error, error)
    assert body["error_description"]


async def test_a_login_is_a_form(api):
    """JSON is not looked into."""
    answer = await api.client.post("/device_authorization", json={"client_id": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_the_page_is_where_the_world_reaches_the_server():
    """Behind a proxy, too."""
    async with running_api(public_url="https://keep.example.com/") as api:
        begun = await begin(api)
    assert begun["verification_uri"] == "https://keep.example.com/device"

"""Who is asking, and where they are signed in."""

from __future__ import annotations

import pytest

from statekeep.domain.people import SessionKind


async def begin(api, kind=SessionKind.DEVICE, label="a phone"):
    """Another session of ada's; its id and headers."""
    ada = (await api.expect(200, "GET", "/me"))["id"]
    begun = await api.services.people.sessions.begin(ada, kind, label)
    return begun.session.id, {"authorization": f"Bearer {begun.token}"}


async def test_a_member_learns_who_they_are(api):
    """With address and session, in an organization or without one."""
    me = await api.expect(200, "GET", "/me")
    session = me.pop("session")
    assert me.keys() == {"id", "email", "createdAt"}
    assert me["email"] == "ada@example.com"
    assert (session["kind"], session["label"]) == ("device", "a laptop")
    nobody = await api.new_member("bob", organizations=0)
    assert (await api.expect(200, "GET", "/me", headers=nobody))["email"] == "bob@example.com"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/me"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions/current"),
        ("DELETE", "/sessions/x"),
    ],
)
async def test_a_key_is_nobody(api, method, path):
    """Whatever its scopes."""
    key = await api.new_key("org.read", sub="ada")
    answer = await api.expect(403, method, path, headers=key)
    assert answer["code"] == "missing-user"


async def test_sessions_are_listed_for_their_user(api):
    """Newest first, the one that asks is marked, and nobody else's is there."""
    await api.new_member("bob")
    session_id, phone = await begin(api)
    listed = (await api.expect(200, "GET", "/sessions", headers=phone))["sessions"]
    assert [(one["label"], one["isCurrent"]) for one in listed] == [
        ("a phone", True),
        ("a laptop", False),
    ]
    assert listed[0]["id"] == session_id


async def test_an_ended_session_lets_nobody_in(api):
    """From the next request on; the one that ended it goes on."""
    session_id, phone = await begin(api)
    await api.expect(200, "GET", "/machines", headers=phone)
    await api.expect(204, "DELETE", f"/sessions/{session_id}")
    answer = await api.get("/machines", phone)
    assert answer.status_code == 401
    assert "sign in again" in answer.json()["error"]
    await api.expect(200, "GET", "/machines")
    await api.expect(404, "DELETE", f"/sessions/{session_id}")


async def test_signing_out_ends_this_session(api):
    """And no other."""
    _, phone = await begin(api)
    await api.expect(204, "DELETE", "/sessions/current", headers=phone)
    assert (await api.get("/me", phone)).status_code == 401
    await api.expect(200, "GET", "/me")


async def test_others_sessions_cannot_be_ended(api):
    """They are not there."""
    session_id, phone = await begin(api)
    bob = await api.new_member("bob")
    await api.expect(404, "DELETE", f"/sessions/{session_id}", headers=bob)
    await api.expect(200, "GET", "/me", headers=phone)


async def test_the_session_of_a_browser_opens_no_api(api):
    """Browsers send it on their own."""
    _, browser = await begin(api, SessionKind.BROWSER)
    assert (await api.get("/me", browser)).status_code == 401

"""Instances over HTTP, events among them."""

from __future__ import annotations

from typing import Any

import pytest

from statekeep.domain import limits
from tests.api.test_machines import proof
from tests.support.api import Api

EVENTS = "/machines/door/i/front/events"


def deletion(**changes: Any) -> dict[str, Any]:
    return {
        "dangerDataWillBeDeletedForever": True,
        "hmacSha256OfMachineInstanceNameWithMachineNameKey": proof("door", "front"),
        **changes,
    }


@pytest.fixture
async def front(api: Api) -> Api:
    """The API with one instance."""
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})
    return api


async def test_a_new_instance_answers_with_its_state(api: Api) -> None:
    """`ts`, state, public context, tags and done; context is merged over the machine's own."""
    await api.new_machine()
    body = {"slug": "front", "context": {"color": "red"}}
    state = await api.expect(200, "POST", "/machines/door", body)
    assert state.pop("ts") == pytest.approx(api.clock.now_ms(), abs=1)
    assert state == {
        "state": "on",
        "publicContext": {"log": [], "color": "red"},
        "tags": [],
        "done": False,
    }


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/machines/{}/i/back", None),
        ("POST", "/machines/{}/i/back/events", {"event": "open"}),
        ("GET", "/machines/{}/i/back/events", None),
        ("GET", "/machines/{}/i/back/stream", None),
        ("GET", "/machines/{}/i/back/admin", None),
    ],
)
async def test_what_is_missing_is_told(front: Api, method: str, path: str, body: Any) -> None:
    """The machine, or its instance: whoever mistyped one should not look for the other."""
    answer = await front.expect(404, method, path.format("dor"), body)
    assert answer["error"] == "there is no machine dor"
    answer = await front.expect(404, method, path.format("door"), body)
    assert answer["error"] == "there is no instance back of machine door"


async def test_a_version_can_be_named(api: Api) -> None:
    """Without a current version one has to be."""
    await api.expect(201, "POST", "/machines", {"slug": "door"})
    version_id = await api.new_version()
    await api.expect(400, "POST", "/machines/door", {"slug": "front"})
    body = {"slug": "front", "machineVersionId": version_id}
    await api.expect(200, "POST", "/machines/door", body)
    listed = await api.expect(200, "GET", "/machines/door/i")
    assert listed["instances"][0]["machineVersion"]["id"] == version_id
    body = {"slug": "back", "machineVersionId": "ver_nonsense"}
    await api.expect(400, "POST", "/machines/door", body)


async def test_a_taken_name_is_a_conflict(front: Api) -> None:
    """409."""
    error = await front.expect(409, "POST", "/machines/door", {"slug": "front"})
    assert error["code"] == "already-exists"


@pytest.mark.parametrize(
    ("context", "status", "code"),
    [
        ({"deny": True}, 403, "rejected-by-machine-authorizer"),
        ({"fail": True}, 422, "machine-error"),
        ("text", 400, "invalid-parameter"),
        ([1], 400, "invalid-parameter"),
    ],
)
async def test_a_refused_creation_leaves_nothing(
    api: Api, context: Any, status: int, code: str
) -> None:
    """The name stays free."""
    await api.new_machine()
    body = {"slug": "front", "context": context}
    error = await api.expect(status, "POST", "/machines/door", body)
    assert error["code"] == code
    await api.expect(404, "GET", "/machines/door/i/front")
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})


@pytest.mark.parametrize("slug", [".", "..", "a/b", "", "x" * 129, "é"])
async def test_a_bad_name_is_refused(api: Api, slug: str) -> None:
    """400 that names the parameter."""
    await api.new_machine()
    error = await api.expect(400, "POST", "/machines/door", {"slug": slug})
    assert error["parameter"] == "slug"


@pytest.mark.parametrize("event", ["open", {"type": "open", "by": "ada"}])
async def test_an_event_answers_with_the_state_after_it(front: Api, event: Any) -> None:
    """A bare name is an event of that type."""
    before = await front.expect(200, "GET", "/machines/door/i/front")
    after = await front.expect(200, "POST", EVENTS, {"event": event})
    assert after["publicContext"] == {"log": ["open"]}
    assert after["ts"] > before["ts"]
    assert await front.expect(200, "GET", "/machines/door/i/front") == after


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"event": ""},
        {"event": 1},
        {"event": None},
        {"event": ["open"]},
        {"event": {}},
        {"event": {"type": 1}},
        {"event": {"type": ""}},
    ],
)
async def test_what_is_no_event_is_refused(front: Api, body: Any) -> None:
    """400 that names the parameter; nothing happened."""
    error = await front.expect(400, "POST", EVENTS, body)
    assert (error["code"], error["parameter"]) == ("invalid-parameter", "event")
    state = await front.expect(200, "GET", "/machines/door/i/front")
    assert state["publicContext"] == {"log": []}


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [("DENY", 403, "rejected-by-machine-authorizer"), ("FAIL", 422, "machine-error")],
)
async def test_a_failed_event_changes_nothing(
    front: Api, event: str, status: int, code: str
) -> None:
    """The author's message reaches the caller, the author's stack does not."""
    answer = await front.post(EVENTS, {"event": event})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "author.js" not in answer.text
    state = await front.expect(200, "GET", "/machines/door/i/front")
    assert state["publicContext"] == {"log": []}


async def test_a_reader_may_be_refused(front: Api) -> None:
    """403 for who is known and may not; 404 only for what is not there."""
    stranger = await front.new_key("state.read", sub="stranger")
    error = await front.expect(403, "GET", "/machines/door/i/front", headers=stranger)
    assert error["code"] == "rejected-by-machine-authorizer"
    error = await front.expect(404, "GET", "/machines/door/i/back", headers=stranger)
    assert error["code"] == "not-found"


async def test_instances_of_others_do_not_exist(front: Api) -> None:
    """404 for everything about them."""
    eve = await front.new_member("eve")
    await front.expect(201, "POST", "/machines", {"slug": "door"}, headers=eve)
    for method, path, body in (
        ("GET", "/machines/door/i/front", None),
        ("GET", "/machines/door/i/front/admin", None),
        ("POST", EVENTS, {"event": "open"}),
        ("GET", EVENTS, None),
        ("PUT", "/machines/door/i/front/status", {"status": "paused"}),
        ("DELETE", "/machines/door/i/front", deletion()),
    ):
        await front.expect(404, method, path, body, headers=eve)
    assert await front.expect(200, "GET", "/machines/door/i", headers=eve) == {"instances": []}


async def test_an_idempotency_key_makes_a_retry_harmless(front: Api) -> None:
    """The same answer, and one event; another event under the same key is refused."""
    headers = {**front.admin, "idempotency-key": "order-1"}
    first = await front.expect(200, "POST", EVENTS, {"event": "open"}, headers=headers)
    await front.expect(200, "POST", EVENTS, {"event": "close"})
    assert await front.expect(200, "POST", EVENTS, {"event": "open"}, headers=headers) == first
    error = await front.expect(422, "POST", EVENTS, {"event": "close"}, headers=headers)
    assert error["code"] == "idempotency-key-reused"


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "caf\xe9"])
async def test_a_bad_idempotency_key_is_refused(front: Api, key: str) -> None:
    """400 that names the header."""
    answer = await front.client.post(
        EVENTS,
        json={"event": "open"},
        headers={
            b"authorization": front.admin["authorization"].encode(),
            b"idempotency-key": key.encode("latin-1"),
        },
    )
    assert answer.status_code == 400
    assert answer.json()["parameter"] == "idempotency-key"


async def test_instances_are_listed_in_pages_newest_first(api: Api) -> None:
    """Every instance once, with its status and version; no cursor on the last page."""
    version_id = await api.new_machine()
    names = [f"door-{number}" for number in range(101)]
    for name in names:
        api.clock.advance(seconds=1)
        await api.expect(200, "POST", "/machines/door", {"slug": name})
    first = await api.expect(200, "GET", "/machines/door/i")
    second = await api.expect(200, "GET", f"/machines/door/i?cursor={first['cursor']}")
    assert "cursor" not in second
    listed = first["instances"] + second["instances"]
    assert [instance["slug"] for instance in listed] == names[::-1]
    assert listed[-1] == {
        "slug": "door-0",
        "createdAt": "2026-01-01T00:00:01.000Z",
        "status": "running",
        "machineVersion": {
            "id": version_id,
            "createdAt": "2026-01-01T00:00:00.000Z",
            "clientInfo": "",
        },
    }


async def test_transitions_are_listed_newest_first(front: Api) -> None:
    """Time, event and resulting state of each, creation included."""
    front.clock.advance(seconds=1.5)
    await front.expect(200, "POST", EVENTS, {"event": {"type": "open", "by": "ada"}})
    listed = await front.expect(200, "GET", EVENTS)
    assert "cursor" not in listed
    newest, oldest = listed["transitions"]
    assert newest == {
        "createdAt": "2026-01-01T00:00:01.500Z",
        "state": "on",
        "event": {"type": "open", "by": "ada"},
    }
    assert oldest["createdAt"] == "2026-01-01T00:00:00.000Z"


async def test_the_whole_of_an_instance_is_for_admins(front: Api) -> None:
    """Without asking the machine's allowRead, and with the whole context."""
    headers = await front.new_key("instances.admin", sub="stranger")
    whole = await front.expect(200, "GET", "/machines/door/i/front/admin", headers=headers)
    version = whole.pop("machineVersion")
    assert version["id"].startswith("ver_")
    assert whole == {
        "state": "on",
        "context": {"log": []},
        "status": "running",
        "tags": [],
        "done": False,
        "createdAt": "2026-01-01T00:00:00.000Z",
    }


async def test_a_paused_instance_refuses_events(front: Api) -> None:
    """409 invalid-state until it is resumed."""
    path = "/machines/door/i/front/status"
    paused = await front.request("PUT", path, {"status": "paused"})
    assert (paused.status_code, paused.content) == (204, b"")
    error = await front.expect(409, "POST", EVENTS, {"event": "open"})
    assert error["code"] == "invalid-state"
    listed = await front.expect(200, "GET", "/machines/door/i")
    assert listed["instances"][0]["status"] == "paused"
    await front.expect(204, "PUT", path, {"status": "running"})
    await front.expect(200, "POST", EVENTS, {"event": "open"})
    error = await front.expect(400, "PUT", path, {"status": "asleep"})
    assert error["parameter"] == "status"


async def test_a_deleted_instance_is_gone(front: Api) -> None:
    """With its history: one of the same name begins anew."""
    await front.expect(200, "POST", EVENTS, {"event": "open"})
    deleted = await front.request("DELETE", "/machines/door/i/front", deletion())
    assert (deleted.status_code, deleted.content) == (204, b"")
    await front.expect(404, "GET", "/machines/door/i/front")
    await front.expect(404, "POST", EVENTS, {"event": "open"})
    await front.expect(200, "POST", "/machines/door", {"slug": "front"})
    assert len((await front.expect(200, "GET", EVENTS))["transitions"]) == 1


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"dangerDataWillBeDeletedForever": False}, "dangerDataWillBeDeletedForever"),
        (
            {"hmacSha256OfMachineInstanceNameWithMachineNameKey": proof("front", "door")},
            "hmacSha256OfMachineInstanceNameWithMachineNameKey",
        ),
    ],
)
async def test_deleting_needs_proof(front: Api, changes: dict[str, Any], parameter: str) -> None:
    """The key is the machine's name, the data the instance's; the other way round is wrong."""
    error = await front.expect(400, "DELETE", "/machines/door/i/front", deletion(**changes))
    assert error["parameter"] == parameter
    await front.expect(200, "GET", "/machines/door/i/front")


async def test_an_event_has_a_bound(front: Api) -> None:
    """413, and nothing happened."""
    event = {"type": "open", "text": "x" * limits.REQUEST_BYTES_MAX}
    error = await front.expect(413, "POST", EVENTS, {"event": event})
    assert error["code"] == "too-large"
    state = await front.expect(200, "GET", "/machines/door/i/front")
    assert state["publicContext"] == {"log": []}

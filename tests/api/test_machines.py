"""Machines over HTTP."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from tests.support.api import Api


def proof(key: str, data: str) -> str:
    digest = hmac.digest(key.encode(), data.encode(), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def deletion(**changes: Any) -> dict[str, Any]:
    return {
        "dangerDataWillBeDeletedForever": True,
        "hmacSha256OfMachineNameWithMachineNameKey": proof("door", "door"),
        **changes,
    }


async def test_a_created_machine_is_found_and_has_no_version(api: Api) -> None:
    """201 without a body; then the machine with its indexes, and no currentVersion."""
    created = await api.post("/machines", {"slug": "door", "indexes": ["color", "size"]})
    assert created.status_code == 201
    assert created.content == b""
    assert "content-type" not in created.headers
    assert await api.expect(200, "GET", "/machines/door") == {
        "machine": {
            "slug": "door",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "indexes": ["color", "size"],
        }
    }


async def test_the_current_version_is_shown(api: Api) -> None:
    """A machine says which version new instances get."""
    version_id = await api.new_machine()
    shown = (await api.expect(200, "GET", "/machines/door"))["machine"]["currentVersion"]
    assert shown == {"id": version_id, "createdAt": "2026-01-01T00:00:00.000Z", "clientInfo": ""}


async def test_a_taken_name_is_a_conflict(api: Api) -> None:
    """The second of two machines of one name is refused."""
    await api.expect(201, "POST", "/machines", {"slug": "door"})
    error = await api.expect(409, "POST", "/machines", {"slug": "door"})
    assert error["code"] == "already-exists"


@pytest.mark.parametrize("slug", ["", "a b", "a/b", "..", "é", "x" * 129, "a.b"])
async def test_a_bad_name_is_refused(api: Api, slug: str) -> None:
    """400 that names the parameter."""
    error = await api.expect(400, "POST", "/machines", {"slug": slug})
    assert (error["code"], error["parameter"]) == ("invalid-parameter", "slug")


@pytest.mark.parametrize("indexes", [["a b"], ["x", "x"], [str(n) for n in range(51)]])
async def test_bad_indexes_are_refused(api: Api, indexes: list[str]) -> None:
    """Names that fit in a path, each once, and not too many."""
    body = {"slug": "door", "indexes": indexes}
    error = await api.expect(400, "POST", "/machines", body)
    assert error["parameter"] == "indexes"


async def test_machines_are_listed_in_pages_newest_first(api: Api) -> None:
    """Every machine once; no cursor on the last page."""
    names = [f"door-{number}" for number in range(101)]
    for name in names:
        api.clock.advance(seconds=1)
        await api.expect(201, "POST", "/machines", {"slug": name})
    first = await api.expect(200, "GET", "/machines")
    second = await api.expect(200, "GET", f"/machines?cursor={first['cursor']}")
    assert "cursor" not in second
    listed = [machine["slug"] for machine in first["machines"] + second["machines"]]
    assert listed == names[::-1]


async def test_a_machine_without_instances_can_be_deleted(api: Api) -> None:
    """204 without a body, versions and all; then it is gone."""
    await api.new_machine()
    deleted = await api.request("DELETE", "/machines/door", deletion())
    assert deleted.status_code == 204
    assert deleted.content == b""
    assert "content-length" not in deleted.headers
    await api.expect(404, "GET", "/machines/door")


async def test_a_machine_with_instances_can_not_be_deleted(api: Api) -> None:
    """409 invalid-state, and nothing is gone."""
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})
    error = await api.expect(409, "DELETE", "/machines/door", deletion())
    assert error["code"] == "invalid-state"
    await api.expect(200, "GET", "/machines/door/i/front")


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"dangerDataWillBeDeletedForever": False}, "dangerDataWillBeDeletedForever"),
        (
            {"hmacSha256OfMachineNameWithMachineNameKey": proof("door", "gate")},
            "hmacSha256OfMachineNameWithMachineNameKey",
        ),
        (
            {"hmacSha256OfMachineNameWithMachineNameKey": "é"},
            "hmacSha256OfMachineNameWithMachineNameKey",
        ),
    ],
)
async def test_deleting_needs_proof(api: Api, changes: dict[str, Any], parameter: str) -> None:
    """A wrong proof is named, and nothing is gone."""
    await api.new_machine()
    error = await api.expect(400, "DELETE", "/machines/door", deletion(**changes))
    assert (error["code"], error["parameter"]) == ("invalid-parameter", parameter)
    await api.expect(200, "GET", "/machines/door")


async def test_deleting_without_a_body_says_what_is_missing(api: Api) -> None:
    """No body is no proof."""
    await api.new_machine()
    error = await api.expect(400, "DELETE", "/machines/door")
    assert error["parameter"] == "dangerDataWillBeDeletedForever"


async def test_machines_of_others_do_not_exist(api: Api) -> None:
    """404 for everything about them, and their names are free."""
    await api.new_machine()
    eve = await api.new_member("eve")
    for method, path, body in (
        ("GET", "/machines/door", None),
        ("DELETE", "/machines/door", deletion()),
        ("GET", "/machines/door/i", None),
        ("GET", "/machines/door/v", None),
        ("POST", "/machines/door/v", None),
        ("POST", "/machines/door", {"slug": "front"}),
    ):
        error = await api.expect(404, method, path, body, headers=eve)
        assert error["code"] == "not-found"
    assert await api.expect(200, "GET", "/machines", headers=eve) == {"machines": []}
    await api.expect(201, "POST", "/machines", {"slug": "door"}, headers=eve)

"""Dry runs, bulk upgrades, blast radii and stubs over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from statekeep.domain import limits
from statekeep.domain.errors import UpgradeFailed
from tests.support.api import Api

MIGRATIONS = "/machines/door/migrations"
DRY_RUN = f"{MIGRATIONS}/dry-run"
UPGRADES = "/machines/door/upgrades"


class Door:
    """A machine with two versions, a migration between them, and an instance `front` of the first."""

    def __init__(self, api: Api, first: str, second: str) -> None:
        self.api = api
        self.between = {"fromMachineVersionId": first, "toMachineVersionId": second}
        self.first = first
        self.second = second

    async def begin(self, status: int = 201, **more: Any) -> Any:
        return await self.api.expect(status, "POST", UPGRADES, {**self.between, **more})

    async def dry_run(self, status: int = 200, **more: Any) -> Any:
        return await self.api.expect(status, "POST", DRY_RUN, {**self.between, **more})

    async def over(self, job_id: str) -> Any:
        """The progress once it is over."""
        for _ in range(10_000):
            progress = await self.api.expect(200, "GET", f"{UPGRADES}/{job_id}")
            if progress["status"] != "running":
                return progress
            # Nothing in a request of the test's own process waits for anything.
            await asyncio.sleep(0)
        raise AssertionError("it never ended")


@pytest.fixture
async def door(api: Api) -> Door:
    first = await api.new_machine(indexes=("owner",))
    second = await api.new_version()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})
    door = Door(api, first, second)
    begun = await api.expect(200, "POST", MIGRATIONS, door.between)
    await api.upload(begun["codeUploadUrl"], b"export const upgradeState = 1;")
    await api.expect(200, "PUT", f"{MIGRATIONS}/{begun['machineVersionMigrationId']}")
    return door


async def test_a_dry_run_answers_with_its_report(door: Door) -> None:
    """Which is there under its id until it is ended."""
    report = await door.dry_run()
    assert report == {
        "id": report["id"],
        "state": "done",
        "total": 1,
        "done": 1,
        "fit": 1,
        "failed": 0,
        "unchanged": 0,
        "failures": [],
        "unmapped": [],
        "timers": {"cancelled": [], "moved": [], "started": []},
        "lostChildren": [],
        "lostHistory": [],
        "others": 0,
    }
    path = f"{DRY_RUN}/{report['id']}"
    assert await door.api.expect(200, "GET", path) == report
    await door.api.expect(204, "DELETE", path)
    await door.api.expect(404, "GET", path)
    await door.api.expect(404, "DELETE", path)


async def test_a_dry_run_tells_failures(door: Door) -> None:
    """With examples."""
    door.api.runtime.upgrade_error = UpgradeFailed("no x", reason="no-such-state", path=("x",))
    report = await door.dry_run()
    assert report["failures"] == [
        {"reason": "no-such-state", "message": "no x", "instances": 1, "samples": ["front"]}
    ]
    assert report["unmapped"] == [
        {
            "state": ["x"],
            "fromMachineVersionId": door.first,
            "instances": 1,
            "samples": ["front"],
        }
    ]


async def test_what_is_in_the_wrong_place_is_refused(door: Door) -> None:
    """It would be taken for no restriction."""
    body = {"toMachineVersionId": door.second}
    for path in (DRY_RUN, UPGRADES):
        refused = await door.api.expect(400, "POST", f"{path}?instances=front", body)
        assert refused["parameter"] == "instances"
        assert "its body" in refused["error"]


async def test_without_a_way_nothing_begins(door: Door) -> None:
    """And what to upload is said."""
    door.between = {"fromMachineVersionId": door.second, "toMachineVersionId": door.first}
    for refused in (await door.dry_run(400), await door.begin(400)):
        assert refused["code"] == "no-migration-path"
        assert f"from version {door.second} to version {door.first}: upload" in refused["error"]
    assert (await door.api.expect(200, "GET", UPGRADES))["upgrades"] == []


@pytest.mark.parametrize(
    ("more", "parameter"),
    [
        ({"code": "x", "codes": ["y"]}, "codes"),
        ({"code": "broken"}, "code"),
        ({"code": "x", "fromMachineVersionId": None}, "fromMachineVersionId"),
        ({"codes": ["x"] * (limits.DRY_RUN_CODES_MAX + 1)}, "codes"),
        ({"query": {"index": "nothing"}}, "query"),
        ({"query": {"index": "owner", "op": "eq"}}, "query"),
        ({"query": {"index": "owner", "op": "like", "value": "x"}}, "query"),
        ({"instances": []}, "instances"),
        ({"instances": ["fornt"]}, "instances"),
        ({"instances": ["a"] * (limits.SELECTION_NAMES_MAX + 1)}, "instances"),
        ({"toMachineVersionId": "ver_none"}, "toMachineVersionId"),
        ({"fromMachineVersionId": "ver_none"}, "fromMachineVersionId"),
        ({"instance": ["front"]}, "instance"),
        ({"query": {"index": "owner", "val": "ada"}}, "query"),
    ],
)
async def test_what_is_wrong_is_named(door: Door, more: dict[str, Any], parameter: str) -> None:
    """In dry runs and bulk upgrades alike."""
    assert (await door.dry_run(400, **more))["parameter"] == parameter
    if not {"code", "codes"} & more.keys():
        assert (await door.begin(400, **more))["parameter"] == parameter


async def test_a_dry_run_needs_two_scopes(door: Door) -> None:
    """It runs code, and tells of contexts."""
    for scopes in (["instances.admin"], ["machine-versions.write"]):
        key = await door.api.new_key(*scopes)
        answer = await door.api.expect(403, "POST", DRY_RUN, door.between, key)
        assert answer["code"] == "missing-scope"
    both = await door.api.new_key("instances.admin", "machine-versions.write")
    await door.api.expect(200, "POST", DRY_RUN, door.between, both)


async def test_a_bulk_upgrade_shows_its_progress(door: Door) -> None:
    """And the result of each instance."""
    job_id = (await door.begin())["id"]
    assert job_id.startswith("blk_")
    progress = await door.over(job_id)
    assert progress == {
        "id": job_id,
        "status": "done",
        "toMachineVersionId": door.second,
        "fromMachineVersionId": door.first,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "finishedAt": "2026-01-01T00:00:00.000Z",
        "total": 1,
        "isTotalKnown": True,
        "done": 1,
        "pending": 0,
        "waiting": 0,
        "upgraded": 1,
        "unchanged": 0,
        "failed": 0,
    }
    result = {"slug": "front", "fromMachineVersionId": door.first, "outcome": "upgraded"}
    results = f"{UPGRADES}/{job_id}/results"
    assert await door.api.expect(200, "GET", results) == {"results": [result]}
    assert await door.api.expect(200, "GET", f"{results}?outcome=failed") == {"results": []}
    wrong = await door.api.expect(400, "GET", f"{results}?outcome=lost")
    assert wrong["parameter"] == "outcome"
    (listed,) = (await door.api.expect(200, "GET", UPGRADES))["upgrades"]
    assert (listed["id"], listed["status"]) == (job_id, "done")
    admin = await door.api.expect(200, "GET", "/machines/door/i/front/admin")
    assert admin["machineVersion"]["id"] == door.second


async def test_failures_are_listed_with_their_reason(door: Door) -> None:
    """And a message."""
    door.api.runtime.upgrade_error = UpgradeFailed("it threw")
    job_id = (await door.begin())["id"]
    assert (await door.over(job_id))["failed"] == 1
    page = await door.api.expect(200, "GET", f"{UPGRADES}/{job_id}/results?outcome=failed")
    (result,) = page["results"]
    assert (result["reason"], result["message"]) == ("migration-error", "it threw")


async def test_a_job_is_paused_resumed_and_cancelled(door: Door) -> None:
    """One at a time for each machine; what is over is over."""
    door.api.runtime.upgrade_gate.clear()
    job_id = (await door.begin())["id"]
    path = f"{UPGRADES}/{job_id}"
    assert (await door.begin(409))["code"] == "invalid-state"
    for status in ("paused", "running", "cancelled", "cancelled"):
        await door.api.expect(200, "PUT", path, {"status": status})
        assert (await door.api.expect(200, "GET", path))["status"] == status
    assert (await door.api.expect(409, "PUT", path, {"status": "running"}))["code"]
    assert (await door.api.expect(400, "PUT", path, {"status": "done"}))["parameter"] == "status"
    door.api.runtime.upgrade_gate.set()


async def test_jobs_are_their_machines(door: Door) -> None:
    """Another machine, and another organization, has none of them."""
    job_id = (await door.begin())["id"]
    await door.api.new_machine("other")
    for path in (job_id, f"{job_id}/results"):
        await door.api.expect(404, "GET", f"/machines/other/upgrades/{path}")
        stranger = await door.api.new_member(f"eve of {path}")
        await door.api.expect(404, "GET", f"{UPGRADES}/{path}", None, stranger)
    report = await door.dry_run()
    await door.api.expect(404, "GET", f"/machines/other/migrations/dry-run/{report['id']}")


async def test_by_index(door: Door) -> None:
    """Only those with such an entry; none of them here."""
    query = {"index": "owner", "op": "eq", "value": "ada"}
    assert (await door.dry_run(query=query))["total"] == 0
    assert (await door.dry_run(instances=["front"]))["total"] == 1


async def test_publishing_answers_with_the_blast_radius(door: Door) -> None:
    """And the whole of it can be asked for."""
    begun = await door.api.expect(200, "POST", "/machines/door/v")
    await door.api.upload(begun["codeUploadUrl"], b"export default 1;")
    path = f"/machines/door/v/{begun['machineVersionId']}"
    published = await door.api.expect(200, "PUT", path, {})
    none = {"instances": 0, "checked": 1, "unmapped": [], "isComplete": True}
    assert published["blastRadius"] == none
    third = published["machineVersionId"]
    door.api.runtime.states[third] = ["lit"]
    radius = await door.api.expect(200, "GET", f"/machines/door/v/{third}/blast-radius")
    assert radius == {
        "instances": 1,
        "checked": 1,
        "unmapped": [{"state": ["on"], "fromMachineVersionId": door.first, "instances": 1}],
        "isComplete": True,
    }
    await door.api.expect(404, "GET", "/machines/door/v/ver_none/blast-radius")


async def test_a_stub_is_text(door: Door) -> None:
    """In TypeScript."""
    door.api.runtime.states[door.second] = ["lit"]
    stub = await door.api.get(f"{MIGRATIONS}/stub?from={door.first}&to={door.second}")
    assert stub.headers["content-type"] == "application/typescript; charset=utf-8"
    assert 'todo(["on"])' in stub.text
    for query in ("", f"from={door.first}", f"from={door.first}&to=ver_none"):
        refused = await door.api.expect(400, "GET", f"{MIGRATIONS}/stub?{query}")
        assert refused["parameter"] in {"from", "to"}

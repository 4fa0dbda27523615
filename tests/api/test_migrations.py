"""Migrations over HTTP: begin, upload, publish, list, and the version that an instance is to have."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from statekeep.domain import limits
from tests.support.api import URL, Api

CODE = b"export const upgradeState = 1;"
MIGRATIONS = "/machines/door/migrations"
DESIRED = "/machines/door/i/front/v"


class Door:
    """A machine with two versions, of which the first is current, and an instance `front`."""

    def __init__(self, api: Api, first: str, second: str) -> None:
        self.api = api
        self.first = first
        self.second = second

    async def begin(self, **more: Any) -> dict[str, Any]:
        body = {"fromMachineVersionId": self.first, "toMachineVersionId": self.second, **more}
        begun: dict[str, Any] = await self.api.expect(200, "POST", MIGRATIONS, body)
        return begun

    async def publish(self, begun: dict[str, Any], status: int = 200) -> Any:
        path = f"{MIGRATIONS}/{begun['machineVersionMigrationId']}"
        return await self.api.expect(status, "PUT", path)

    async def migration(self, code: bytes = CODE) -> str:
        begun = await self.begin()
        await self.api.upload(begun["codeUploadUrl"], code)
        migration_id: str = (await self.publish(begun))["machineVersionMigrationId"]
        return migration_id

    async def desire(self, version_id: str, status: int = 201) -> Any:
        return await self.api.expect(status, "PUT", DESIRED, {"targetMachineVersionId": version_id})


@pytest.fixture
async def door(api: Api) -> Door:
    first = await api.new_machine()
    second = await api.new_version()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})
    return Door(api, first, second)


@pytest.mark.parametrize("is_gzipped", [False, True])
async def test_uploaded_code_becomes_a_migration(door: Door, is_gzipped: bool) -> None:
    """Under one id with two names, and listed."""
    begun = await door.begin()
    assert begun["codeUploadUrl"].startswith(f"{URL}/")
    assert begun["codeUploadFields"] == {}
    fields = {"content-encoding": "gzip"} if is_gzipped else {}
    code = gzip.compress(CODE) if is_gzipped else CODE
    assert (await door.api.upload(begun["codeUploadUrl"], code, **fields)).status_code == 204
    published = await door.publish(begun)
    migration_id = published["machineVersionMigrationId"]
    assert published == {
        "machineVersionId": migration_id,
        "machineVersionMigrationId": migration_id,
    }
    assert migration_id.startswith("mig_")
    assert await door.api.store.migration_code(migration_id) == CODE
    assert await door.api.expect(200, "GET", MIGRATIONS) == {
        "migrations": [
            {
                "id": migration_id,
                "fromMachineVersionId": door.first,
                "toMachineVersionId": door.second,
                "createdAt": "2026-01-01T00:00:00.000Z",
            }
        ]
    }


async def test_the_official_clients_request_may_carry_the_code(door: Door) -> None:
    """As an object with a key for each byte, many times its size; it is left alone."""
    code = {str(n): 255 for n in range(limits.CODE_GZIPPED_BYTES_MAX)}
    begun = await door.begin(gzippedCode=code)
    assert await door.api.store.upload(begun["machineVersionMigrationId"]) is None
    await door.publish(begun, 400)


async def test_a_body_beyond_that_is_refused(door: Door) -> None:
    """Before it is read whole."""
    body = b'{"fromMachineVersionId":"%b"}' % (b"x" * limits.PROVISIONAL_REQUEST_BYTES_MAX)
    answer = await door.api.client.post(MIGRATIONS, content=body, headers=door.api.admin)
    assert answer.status_code == 413


async def test_both_versions_have_to_be_the_machines(door: Door) -> None:
    """And different."""
    other = await door.api.new_machine("other")

    async def refused(start: str, target: str) -> Any:
        body = {"fromMachineVersionId": start, "toMachineVersionId": target}
        answer = await door.api.expect(400, "POST", MIGRATIONS, body)
        assert answer["code"] == "invalid-parameter"
        return answer["parameter"]

    assert await refused("ver_none", door.second) == "fromMachineVersionId"
    assert await refused(other, door.second) == "fromMachineVersionId"
    assert await refused(door.first, other) == "toMachineVersionId"
    assert await refused(door.first, door.first) == "toMachineVersionId"
    missing = await door.api.expect(400, "POST", MIGRATIONS, {})
    assert missing["parameter"] == "fromMachineVersionId"


async def test_publishing_again_gives_the_same_answer(door: Door) -> None:
    """The first may have been lost on the way. The code stays what it was."""
    begun = await door.begin()
    await door.api.upload(begun["codeUploadUrl"], CODE)
    first = await door.publish(begun)
    late = await door.api.upload(begun["codeUploadUrl"], b"other")
    assert (late.status_code, late.json()["code"]) == (409, "invalid-state")
    assert await door.publish(begun) == first
    assert len((await door.api.expect(200, "GET", MIGRATIONS))["migrations"]) == 1


async def test_what_is_no_migration_is_not_published(door: Door) -> None:
    """Nothing uploaded, code that cannot be used, and ids that the server never gave out."""
    begun = await door.begin()
    assert (await door.publish(begun, 400))["parameter"] == "file"
    await door.api.upload(begun["codeUploadUrl"], b"broken")
    assert (await door.publish(begun, 400))["parameter"] == "code"
    forged = {"machineVersionMigrationId": "eyJhbGciOiJub25lIn0.e30."}
    await door.publish(forged, 400)
    version = await door.api.expect(200, "POST", "/machines/door/v")
    await door.publish({"machineVersionMigrationId": version["machineVersionId"]}, 400)
    assert (await door.api.expect(200, "GET", MIGRATIONS)) == {"migrations": []}


async def test_a_signed_id_is_good_for_its_machine_only(door: Door) -> None:
    """However alike the other is."""
    await door.api.new_machine("other")
    begun = await door.begin()
    await door.api.upload(begun["codeUploadUrl"], CODE)
    path = f"/machines/other/migrations/{begun['machineVersionMigrationId']}"
    await door.api.expect(404, "PUT", path)


async def test_organizations_see_their_own(door: Door) -> None:
    """To others there is no such machine."""
    await door.migration()
    eve = await door.api.new_member("eve")
    body = {"fromMachineVersionId": door.first, "toMachineVersionId": door.second}
    for method, path, sent in (
        ("GET", MIGRATIONS, None),
        ("POST", MIGRATIONS, body),
        ("PUT", DESIRED, {"targetMachineVersionId": door.second}),
    ):
        await door.api.expect(404, method, path, sent, eve)


async def test_each_route_has_its_scope(door: Door) -> None:
    """Publishing code is not moving instances."""
    key = await door.api.new_key("machine-versions.read", "machine-versions.write")
    await door.api.expect(200, "GET", MIGRATIONS, None, key)
    body = {"fromMachineVersionId": door.first, "toMachineVersionId": door.second}
    await door.api.expect(200, "POST", MIGRATIONS, body, key)
    wish = {"targetMachineVersionId": door.second}
    assert (await door.api.expect(403, "PUT", DESIRED, wish, key))["code"] == "missing-scope"
    other = await door.api.new_key("instances.admin")
    assert (await door.api.expect(403, "POST", MIGRATIONS, body, other))["code"] == "missing-scope"


async def test_a_wish_is_shown_until_it_is_fulfilled(door: Door) -> None:
    """To administrators and in lists; then the history tells of it."""
    migration_id = await door.migration()
    assert await door.desire(door.second) is None
    await door.desire(door.second)
    admin = await door.api.expect(200, "GET", "/machines/door/i/front/admin")
    assert admin["machineVersion"]["id"] == door.first
    assert admin["desiredMachineVersion"]["id"] == door.second
    (listed,) = (await door.api.expect(200, "GET", "/machines/door/i"))["instances"]
    assert listed["desiredMachineVersion"]["id"] == door.second
    await door.api.expect(200, "POST", "/machines/door/i/front/events", {"event": "knock"})
    admin = await door.api.expect(200, "GET", "/machines/door/i/front/admin")
    assert admin["machineVersion"]["id"] == door.second
    assert "desiredMachineVersion" not in admin
    (listed,) = (await door.api.expect(200, "GET", "/machines/door/i"))["instances"]
    assert listed["machineVersion"]["id"] == door.second
    assert "desiredMachineVersion" not in listed
    history = await door.api.expect(200, "GET", "/machines/door/i/front/events")
    assert [entry["event"] for entry in history["transitions"]][:2] == [
        {"type": "knock"},
        {
            "type": "statebacked.upgrade",
            "fromMachineVersionId": door.first,
            "toMachineVersionId": door.second,
            "machineVersionMigrationIds": [migration_id],
        },
    ]


async def test_a_wish_needs_a_path(door: Door) -> None:
    """Back is another migration."""
    refused = await door.desire(door.second, 400)
    assert refused["code"] == "no-migration-path"
    await door.migration()
    await door.desire(door.second)
    await door.api.expect(200, "POST", "/machines/door/i/front/events", {"event": "knock"})
    assert (await door.desire(door.first, 400))["code"] == "no-migration-path"


async def test_a_wish_for_nothing_is_refused(door: Door) -> None:
    """With the name of what is wrong."""
    assert (await door.desire("ver_none", 400))["parameter"] == "targetMachineVersionId"
    empty = await door.api.expect(400, "PUT", DESIRED, {})
    assert empty["parameter"] == "targetMachineVersionId"
    body = {"targetMachineVersionId": door.second}
    await door.api.expect(404, "PUT", "/machines/door/i/back/v", body)


async def test_migrations_go_with_their_machine(door: Door) -> None:
    """And are not those of a machine that gets its name."""
    await door.migration()
    machine = await door.api.store.machine(*(await _key(door)))
    assert machine is not None
    await door.api.store.delete_instance((await _claimed(door)).id)
    await door.api.store.delete_machine(machine.id)
    assert await door.api.store.migrations(machine.id) == []
    await door.api.new_machine()
    assert await door.api.expect(200, "GET", MIGRATIONS) == {"migrations": []}


async def _key(door: Door) -> Any:
    organizations = await door.api.expect(200, "GET", "/orgs")
    return organizations["orgs"][0]["id"], "door"


async def _claimed(door: Door) -> Any:
    claimed = await door.api.store.claim((*(await _key(door)), "front"))  # type: ignore[arg-type]
    assert claimed is not None
    return claimed

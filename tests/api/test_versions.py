"""Versions over HTTP: begin, upload, publish."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from statekeep.domain import limits
from tests.support.api import URL, Api, running_api

CODE = b"export default 1;"


async def begin(api: Api) -> dict[str, Any]:
    begun: dict[str, Any] = await api.expect(200, "POST", "/machines/door/v?gzip")
    return begun


async def publish(api: Api, begun: dict[str, Any], **description: Any) -> Any:
    path = f"/machines/door/v/{begun['machineVersionId']}"
    return await api.expect(200, "PUT", path, description)


async def refusal(api: Api, status: int, begun: dict[str, Any], **description: Any) -> Any:
    path = f"/machines/door/v/{begun['machineVersionId']}"
    return await api.expect(status, "PUT", path, description)


@pytest.fixture
async def door(api: Api) -> Api:
    """The API with a machine that has no version."""
    await api.expect(201, "POST", "/machines", {"slug": "door", "indexes": ["color", "size"]})
    return api


@pytest.mark.parametrize("is_gzipped", [False, True])
async def test_uploaded_code_becomes_a_version(door: Api, is_gzipped: bool) -> None:
    """Plain or gzipped, what is published is the module itself."""
    begun = await begin(door)
    assert begun["codeUploadUrl"].startswith(f"{URL}/")
    fields = {"content-encoding": "gzip"} if is_gzipped else {}
    code = gzip.compress(CODE) if is_gzipped else CODE
    uploaded = await door.upload(begun["codeUploadUrl"], code, **fields)
    assert uploaded.status_code == 204
    version_id = (await publish(door, begun, clientInfo="v1"))["machineVersionId"]
    assert version_id.startswith("ver_")
    assert await door.store.version_code(version_id) == CODE
    assert await door.expect(200, "GET", "/machines/door/v") == {
        "versions": [
            {"id": version_id, "createdAt": "2026-01-01T00:00:00.000Z", "clientInfo": "v1"}
        ]
    }


async def test_gzipped_code_is_recognised_without_its_field(door: Api) -> None:
    """Gzip shows in the first bytes."""
    begun = await begin(door)
    await door.upload(begun["codeUploadUrl"], gzip.compress(CODE))
    version_id = (await publish(door, begun))["machineVersionId"]
    assert await door.store.version_code(version_id) == CODE


async def test_the_second_upload_replaces_the_first(door: Api) -> None:
    """Until the version is published, the last upload counts."""
    begun = await begin(door)
    await door.upload(begun["codeUploadUrl"], b"broken")
    await door.upload(begun["codeUploadUrl"], CODE)
    version_id = (await publish(door, begun))["machineVersionId"]
    assert await door.store.version_code(version_id) == CODE


async def test_a_published_version_takes_no_upload(door: Api) -> None:
    """Versions never change."""
    begun = await begin(door)
    await door.upload(begun["codeUploadUrl"], CODE)
    version_id = (await publish(door, begun))["machineVersionId"]
    late = await door.upload(begun["codeUploadUrl"], b"export default 2;")
    assert (late.status_code, late.json()["code"]) == (409, "invalid-state")
    assert await door.store.version_code(version_id) == CODE


async def test_publishing_again_gives_the_same_answer(door: Api) -> None:
    """Whoever lost the answer can ask again; whoever wants something else can not have it."""
    begun = await begin(door)
    await door.upload(begun["codeUploadUrl"], CODE)
    description = {"clientInfo": "v1", "indexSelectors": {"color": "$.color"}}
    first = await publish(door, begun, **description)
    assert await publish(door, begun, **description) == first
    error = await refusal(door, 409, begun, clientInfo="v2")
    assert error["code"] == "invalid-state"
    assert len((await door.expect(200, "GET", "/machines/door/v"))["versions"]) == 1


@pytest.mark.parametrize("make_current", [None, False, True])
async def test_only_make_current_makes_current(door: Api, make_current: bool | None) -> None:
    """Even the first version is not current unless it is said."""
    description: dict[str, Any] = {} if make_current is None else {"makeCurrent": make_current}
    await door.new_version(**description)
    machine = (await door.expect(200, "GET", "/machines/door"))["machine"]
    assert ("currentVersion" in machine) is bool(make_current)


async def test_selectors_are_kept_unless_named(door: Api) -> None:
    """An index that is not named keeps the current version's selector."""
    await door.new_version(makeCurrent=True, indexSelectors={"color": "$.a", "size": "$.b"})
    version_id = await door.new_version(indexSelectors={"color": "$.c"})
    version = await door.store.version(version_id)  # type: ignore[arg-type]
    assert version is not None
    assert version.index_selectors == {"color": "$.c", "size": "$.b"}


@pytest.mark.parametrize(
    "selectors",
    [
        {"weight": "$.weight"},
        {"color": "$["},
        {"color": "$[?@.a==" + "1" * 900 + "]"},
        {"color": "$." + "a" * 1000},
    ],
)
async def test_bad_selectors_are_refused(door: Api, selectors: dict[str, str]) -> None:
    """An index of the machine, and a JSONPath."""
    begun = await begin(door)
    await door.upload(begun["codeUploadUrl"], CODE)
    error = await refusal(door, 400, begun, indexSelectors=selectors)
    assert error["parameter"] == "indexSelectors"
    assert await door.expect(200, "GET", "/machines/door/v") == {"versions": []}


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (b"", {}),
        (b" \n", {}),
        (b"broken", {}),
        (b"\xff\xfe", {}),
        (b"export default 1;", {"content-encoding": "gzip"}),
        (gzip.compress(CODE)[:-4], {}),
    ],
    ids=["empty", "blank", "not a machine", "not UTF-8", "not gzipped", "cut off"],
)
async def test_bad_code_is_not_published(door: Api, code: bytes, fields: dict[str, str]) -> None:
    """400 with the reason; another upload for the same id may follow."""
    begun = await begin(door)
    await door.upload(begun["codeUploadUrl"], code, **fields)
    error = await refusal(door, 400, begun)
    assert error["code"] == "invalid-parameter"
    await door.upload(begun["codeUploadUrl"], CODE)
    await publish(door, begun)


async def test_nothing_uploaded_is_nothing_to_publish(door: Api) -> None:
    """400."""
    error = await refusal(door, 400, await begin(door))
    assert error["code"] == "invalid-parameter"


async def test_code_that_unpacks_to_too_much_is_refused(door: Api) -> None:
    """413, whatever it weighs gzipped."""
    begun = await begin(door)
    bomb = gzip.compress(b" " * (limits.CODE_BYTES_MAX + 1))
    assert (await door.upload(begun["codeUploadUrl"], bomb)).status_code == 204
    await refusal(door, 413, begun)


@pytest.mark.parametrize(
    "code",
    [
        b"\x1f\x8b" + b"0" * limits.CODE_GZIPPED_BYTES_MAX,
        b"0" * (limits.CODE_BYTES_MAX + 1),
        b"0" * limits.UPLOAD_BYTES_MAX,
    ],
    ids=["gzipped", "plain", "form"],
)
async def test_uploads_are_bounded(door: Api, code: bytes) -> None:
    """413."""
    begun = await begin(door)
    answer = await door.upload(begun["codeUploadUrl"], code)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_an_upload_address_ends(door: Api) -> None:
    """400 for an address that is forged or old."""
    begun = await begin(door)
    forged = await door.upload(begun["codeUploadUrl"][:-2] + "xx", CODE)
    assert forged.status_code == 400
    assert "the upload URL is not good" in forged.json()["error"]
    door.clock.advance(seconds=limits.UPLOAD_URL_VALID_FOR.total_seconds() + 10)
    late = await door.upload(begun["codeUploadUrl"], CODE)
    assert (late.status_code, late.json()["code"]) == (400, "invalid-parameter")


async def test_a_signed_id_ends(door: Api) -> None:
    """400 for an id that is old, forged, or meant for uploads."""
    begun = await begin(door)
    await door.upload(begun["codeUploadUrl"], CODE)
    for wrong in ("nonsense", begun["codeUploadUrl"].rpartition("/")[2]):
        await refusal(door, 400, {"machineVersionId": wrong})
    door.clock.advance(seconds=limits.SIGNED_ID_VALID_FOR.total_seconds() + 10)
    door.admin.update(await door.new_member("grace"))
    await door.expect(201, "POST", "/machines", {"slug": "door"})
    await refusal(door, 400, begun)


async def test_a_signed_id_is_good_for_its_machine_only(door: Api) -> None:
    """404 under another machine, also one of the same name."""
    begun = await begin(door)
    await door.upload(begun["codeUploadUrl"], CODE)
    await door.expect(201, "POST", "/machines", {"slug": "gate"})
    await door.expect(404, "PUT", f"/machines/gate/v/{begun['machineVersionId']}", {})
    eve = await door.new_member("eve")
    await door.expect(201, "POST", "/machines", {"slug": "door"}, headers=eve)
    path = f"/machines/door/v/{begun['machineVersionId']}"
    await door.expect(404, "PUT", path, {}, headers=eve)


@pytest.mark.parametrize(
    "send",
    [
        {"content": b"{}", "headers": {"content-type": "application/json"}},
        {"content": b"--x\r\nnonsense", "headers": {"content-type": "multipart/form-data"}},
        {
            "content": b"--x\r\nnonsense",
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
        {"data": {"a": "b"}, "files": {"other": b"code"}},
        {"files": [("file", b"a"), ("file", b"b")]},
    ],
    ids=["JSON", "no boundary", "broken", "no file", "two files"],
)
async def test_what_is_no_upload_is_refused(door: Api, send: dict[str, Any]) -> None:
    """400."""
    begun = await begin(door)
    answer = await door.client.post(begun["codeUploadUrl"], **send)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


async def test_the_upload_address_is_where_the_caller_came(door: Api) -> None:
    """Whatever name the server was reached by, uploads reach it too."""
    headers = {**door.admin, "host": "10.1.2.3:8080"}
    begun = await door.expect(200, "POST", "/machines/door/v", headers=headers)
    assert begun["codeUploadUrl"].startswith("http://10.1.2.3:8080/uploads/")


async def test_the_public_url_wins() -> None:
    """Behind a proxy the operator knows better."""
    async with running_api(public_url="https://machines.example/") as api:
        await api.expect(201, "POST", "/machines", {"slug": "door"})
        begun = await api.expect(200, "POST", "/machines/door/v")
        assert begun["codeUploadUrl"].startswith("https://machines.example/uploads/")

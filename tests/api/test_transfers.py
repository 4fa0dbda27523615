"""Exports and imports through the API: what they bring along, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from statekeep.domain import limits
from statekeep.domain.names import VersionId
from statekeep.domain.transfer import ImportId
from tests.support.api import running_api
from tests.support.builders import NOW


@pytest.fixture
async def other():
    """Another server."""
    async with running_api() as other:
        yield other


async def make_door(api, name="door"):
    """A machine with two versions, a migration, and two instances: one with a timer, one paused that is to be carried over."""
    old = await api.new_machine(name, indexes=("owner",))
    new = await api.new_version(name, clientInfo="second", indexSelectors={"owner": "$.owner"})
    body = {"fromMachineVersionId": old, "toMachineVersionId": new}
    begun = await api.expect(200, "POST", f"/machines/{name}/migrations", body)
    await api.upload(begun["codeUploadUrl"], b"export const upgradeState = 1;")
    path = f"/machines/{name}/migrations/{begun['machineVersionMigrationId']}"
    await api.expect(200, "PUT", path)
    bounds = {"journal": {"maxAge": "30d", "maxEntries": 1_000}, "logs": {"maxAge": "3d"}}
    await api.expect(200, "PUT", f"/machines/{name}/retention", bounds)
    for instance in ("front", "back"):
        body = {"slug": instance, "context": {"owner": "ada"}}
        await api.expect(200, "POST", f"/machines/{name}", body)
    await send(api, name, "front", {"type": "SET", "id": "t", "delay": 10**9, "event": "ring"})
    await send(api, name, "front", "knock")
    body = {"targetMachineVersionId": new}
    await api.expect(201, "PUT", f"/machines/{name}/i/back/v", body)
    await api.expect(204, "PUT", f"/machines/{name}/i/back/status", {"status": "paused"})
    return old, new


async def send(api, machine, instance, event):
    await api.expect(200, "POST", f"/machines/{machine}/i/{instance}/events", {"event": event})


async def exported(api, path="/export", headers=None):
    """The text of an export."""
    answer = await api.get(path, headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return answer.content


async def imported(api, content, headers=None):
    """The answer to an import, whatever it is."""
    return await api.client.post("/import", content=content, headers=headers or api.admin)


def lines_of(content):
    return [json.loads(line) for line in content.splitlines()]


def sealed(lines):
    """An export of these lines with an end that fits."""
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    end = {"type": "end", "lines": len(lines), "sha256": hashlib.sha256(content).hexdigest()}
    return content + json.dumps(end).encode() + b"\n"


def essence(content):
    """What an export says of the organization, not of itself."""
    return lines_of(content)[1:-1]


async def test_an_export_goes_from_server_to_server(api, other):
    """Everything is there as it was: ids, states, histories, timers, status and wish; and it is found by its indexes."""
    old, new = await make_door(api)
    content = await exported(api)
    answer = await imported(other, content)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "machines": ["door"],
        "versions": 2,
        "migrations": 1,
        "instances": 2,
        "entries": 4,
        "timers": 1,
        "changedVersionIds": {},
    }
    assert essence(await exported(other)) == essence(content)
    for path in (
        "/machines/door",
        "/machines/door/v",
        "/machines/door/retention",
        "/machines/door/i/front/events",
    ):
        assert (await other.get(path)).json() == (await api.get(path)).json()
    admin = await other.expect(200, "GET", "/machines/door/i/back/admin")
    assert admin["status"] == "paused"
    assert admin["machineVersion"]["id"] == old
    assert admin["desiredMachineVersion"]["id"] == new
    await send(other, "door", "front", "again")
    state = await other.expect(200, "GET", "/machines/door/i/front")
    assert state["publicContext"]["log"] == ["SET", "knock", "again"]


async def test_an_export_tells_what_it_is(api):
    """The first line is about the export, the last one about its lines."""
    await api.new_machine()
    content = await exported(api)
    first, *_, last = lines_of(content)
    assert (first["type"], first["format"], first["version"]) == ("header", "statekeep-export", 1)
    head, _, _ = content.removesuffix(b"\n").rpartition(b"\n")
    assert last == {
        "type": "end",
        "lines": head.count(b"\n") + 1,
        "sha256": hashlib.sha256(head + b"\n").hexdigest(),
    }


async def test_one_machine_and_the_newest_states(api, other):
    """A machine alone, without its past."""
    await make_door(api)
    await api.new_machine("gate")
    content = await exported(api, "/machines/door/export?journal=newest")
    assert {line.get("machine", "door") for line in essence(content)} == {"door"}
    answer = await imported(other, content)
    assert (answer.json()["machines"], answer.json()["entries"]) == (["door"], 2)
    state = await other.expect(200, "GET", "/machines/door/i/front")
    assert state["publicContext"]["log"] == ["SET", "knock"]
    assert (await api.get("/machines/none/export")).status_code == 404
    assert (await api.get("/export?journal=some")).json()["parameter"] == "journal"


async def test_ids_that_are_taken_are_others(api):
    """On the same server, for another organization: the answer says which, and whatever refers to them follows."""
    old, new = await make_door(api)
    eve = await api.new_member("eve")
    answer = await imported(api, await exported(api), eve)
    changed = answer.json()["changedVersionIds"]
    assert changed.keys() == {old, new}
    assert not {*changed.values()} & {old, new}
    admin = (await api.get("/machines/door/i/back/admin", eve)).json()
    assert admin["machineVersion"]["id"] == changed[old]
    assert admin["desiredMachineVersion"]["id"] == changed[new]
    (migration,) = (await api.get("/machines/door/migrations", eve)).json()["migrations"]
    assert migration["fromMachineVersionId"] == changed[old]


async def test_an_id_is_not_given_to_another_while_something_is_kept_of_it(api, other):
    """A host of a version that was deleted may still run, and would run for the new one."""
    version = await api.new_machine()
    other.runtime.met.add(VersionId(version))
    answer = await imported(other, await exported(api))
    assert list(answer.json()["changedVersionIds"]) == [version]


async def test_a_machine_that_exists_is_in_the_way(api, other):
    """Nothing is imported, not even the machines that do not exist."""
    await api.new_machine("door")
    await api.new_machine("gate")
    await other.new_machine("gate")
    answer = await imported(other, await exported(api))
    assert (answer.status_code, answer.json()["code"]) == (409, "already-exists")
    assert answer.json()["error"].startswith("line 4: machine gate exists")
    assert (await other.get("/machines/door")).status_code == 404
    assert await other.store.staged_imports() == []


async def test_it_takes_an_admin(api):
    """A key needs all the scopes of one; without any of them nothing is read or written."""
    content = await exported(api)
    for scopes in (("machines.admin",), ("instances.admin", "org.read")):
        key = await api.new_key(*scopes)
        for path in ("/export", "/machines/door/export"):
            assert (await api.get(path, key)).json()["code"] == "missing-scope"
        assert (await imported(api, content, key)).json()["code"] == "missing-scope"
    key = await api.new_key("machines.admin", "instances.admin", "machine-versions.write")
    assert await exported(api, headers=key)
    assert (await imported(api, content, key)).status_code == 200


@pytest.fixture
async def lines(api):
    """Of an export with everything in it."""
    await make_door(api)
    return lines_of(await exported(api))[:-1]


def at(lines, type_, **changes):
    """The same lines, the first of that type changed."""
    index = next(i for i, line in enumerate(lines) if line["type"] == type_)
    changed = {**lines[index], **changes}
    return index + 1, [*lines[:index], changed, *lines[index + 1 :]]


def nested(depth):
    """An object with objects in it."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("type_", "changes", "complaint"),
    [
        ("header", {"format": "other"}, "this is no export"),
        ("header", {"version": 2}, "a later one"),
        ("machine", {"name": "a/b"}, "a machine name has"),
        ("machine", {"indexes": ["a", "a"]}, "an index is named twice"),
        ("machine", {"createdAt": "yesterday"}, "createdAt"),
        ("machine", {"createdAt": "0001-01-01T00:00:00+14:00"}, "1970 to 2999"),
        ("version", {"createdAt": "9999-12-31T23:59:59-14:00"}, "1970 to 2999"),
        ("migration", {"createdAt": "3000-01-01T00:00:00Z"}, "1970 to 2999"),
        ("instance", {"createdAt": "1969-12-31T23:59:59Z"}, "1970 to 2999"),
        ("entry", {"ts": -1.0}, "1970 to 2999"),
        ("entry", {"ts": 1e300}, "1970 to 2999"),
        ("timer", {"dueAt": 1e15}, "1970 to 2999"),
        ("machine", {"more": 1}, "unknown field"),
        ("machine", {"retention": {"journal": {"maxAge": "1s"}}}, "kept for 1m at least"),
        ("machine", {"retention": {"journal": {"maxAge": "soon"}}}, "a duration such as"),
        ("machine", {"retention": {"logs": {"maxAge": "1s"}}}, "kept for 1m at least"),
        ("machine", {"retention": {"journal": {"maxEntries": 0}}}, "a number of transitions"),
        ("version", {"id": "ver_../.."}, "no id that begins with ver_"),
        ("version", {"machine": "gate"}, "no machine gate before it"),
        ("version", {"code": "YnJva2Vu"}, "broken"),
        ("version", {"code": ""}, "the code is empty"),
        ("version", {"clientInfo": "x" * 1001}, "clientInfo has at most"),
        ("version", {"indexSelectors": {"none": "$.a"}}, 'no index "none"'),
        ("version", {"indexSelectors": {"owner": "$..a"}}, "descends"),
        ("migration", {"toMachineVersionId": "ver_none"}, "no version ver_none"),
        ("migration", {"code": "YnJva2Vu"}, "broken"),
        ("instance", {"name": "a b"}, "an instance name has"),
        ("instance", {"machine": "gate"}, "no machine gate before it"),
        ("instance", {"versions": []}, "one version or several"),
        ("instance", {"versions": [{"fromRevision": 1, "id": "ver_none"}]}, "no version ver_none"),
        ("instance", {"status": "lost"}, "status"),
        ("instance", {"revision": 0}, "revision"),
        ("entry", {"snapshot": []}, "objects"),
        ("entry", {"snapshot": {}}, "no snapshot: Object missing required field `value`"),
        ("entry", {"snapshot": {"value": "a"}}, "missing required field `context`"),
        ("entry", {"snapshot": {"value": None, "context": {}}}, "a string or object as value"),
        ("entry", {"snapshot": '{"value":"\\ud800"}'}, "needs a context"),
        ("entry", {"snapshot": "{]"}, "should hold JSON"),
        (
            "entry",
            {"snapshot": {"value": "y" * limits.SNAPSHOT_BYTES_MAX, "context": {}}},
            "a snapshot has at most",
        ),
        ("entry", {"snapshot": nested(limits.JSON_DEPTH_MAX + 1)}, "at most 500 deep"),
        ("entry", {"snapshot": nested(900)}, "at most 500 deep"),
        ("entry", {"event": json.dumps(nested(501))}, "at most 500 deep"),
        ("entry", {"origin": "nowhere"}, "origin"),
        ("entry", {"ts": 2e12}, "do not grow"),
        ("entry", {"event": {"kind": "x"}}, "it is no event"),
        ("entry", {"event": {"type": 5}}, "needs a string as type"),
        ("instance", {"nextTimerSeq": 2**53}, "nextTimerSeq"),
        ("timer", {"event": {}}, "it is no event"),
        (
            "timer",
            {"message": {"machine": "a", "instance": "c", "kind": "spawn"}, "event": "[]"},
            "has to be an object",
        ),
        ("timer", {"seq": 10**6}, "nextTimerSeq"),
        ("timer", {"event": 5}, "objects"),
        (
            "timer",
            {"message": {"machine": "a/b", "instance": "c", "kind": "event"}},
            "a machine name",
        ),
    ],
)
async def test_bad_lines_are_refused(other, lines, type_, changes, complaint):
    """With their number and with what is wrong about them; nothing is imported."""
    number, changed = at(lines, type_, **changes)
    answer = await imported(other, sealed(changed))
    error = answer.json()
    assert answer.status_code in (400, 413), error
    assert complaint in error["error"]
    places = (
        {f"line {number}: ", f"line {number + 1}: "} if type_ == "entry" else {f"line {number}: "}
    )
    assert any(error["error"].startswith(place) for place in places)
    assert (await other.get("/machines")).json() == {"machines": []}
    assert await other.store.staged_imports() == []


@pytest.mark.parametrize(
    ("break_", "complaint"),
    [
        (lambda lines: [*lines, lines[-1]], "numbers of the timers"),
        (lambda lines: [line for line in lines if line["type"] != "entry"], "ends at revision 0"),
        (lambda lines: [lines[0], *lines[2:]], "no machine door before it"),
        (lambda lines: [*lines, lines[1]], "before the first instance"),
        (lambda lines: [*lines[:2], *lines[1:]], "there twice"),
        (lambda lines: [*lines, lines[0]], "no other"),
        (
            lambda lines: [lines[0], next(it for it in lines if it["type"] == "entry")],
            "none before",
        ),
    ],
)
async def test_lines_belong_together(other, lines, break_, complaint):
    """Each needs those before it."""
    # Ends with the instance that has a timer.
    back = [i for i, it in enumerate(lines) if it["type"] == "instance"][1]
    answer = await imported(other, sealed(break_(lines[:back])))
    assert (answer.status_code, complaint in answer.json()["error"]) == (400, True), answer.text
    assert (await other.get("/machines")).json() == {"machines": []}


async def test_an_instance_is_there_once(other, lines):
    """However far apart the two are."""
    first = next(i for i, it in enumerate(lines) if it["type"] == "instance")
    answer = await imported(other, sealed([*lines, *lines[first:]]))
    assert answer.status_code == 400
    assert "instance front: there is another" in answer.json()["error"]


async def test_an_export_that_is_not_whole_is_refused(api, other):
    """Wherever it was cut off, and whatever was changed in it."""
    await make_door(api)
    content = await exported(api)
    for size in (0, 1, 100, len(content) // 2, len(content) - 300, len(content) - 2):
        answer = await imported(other, content[:size])
        assert answer.status_code == 400, size
    changed = content.replace(b'"ada"', b'"eve"', 1)
    assert "missing, or were changed" in (await imported(other, changed)).json()["error"]
    assert "behind the end" in (await imported(other, content + b"{}")).json()["error"]
    failed = content.rpartition(b'{"type":"end"')[0] + b'{"type":"error","error":"no luck"}\n'
    assert "no luck" in (await imported(other, failed)).json()["error"]
    assert (await other.get("/machines")).json() == {"machines": []}
    assert (await imported(other, content)).json()["changedVersionIds"] == {}


async def test_hostile_text_is_refused(other):
    """What is no JSON, too deep, too long, or no UTF-8."""
    for content in (b"\xff\n", b"[" * 100_000, b'{"type":"header"}', b"null\n", b'{"type":"x"}\n'):
        answer = await imported(other, content)
        assert (answer.status_code, answer.json()["error"][:7]) == (400, "line 1:"), content[:20]
    answer = await imported(other, b"x" * (limits.IMPORT_LINE_BYTES_MAX + 1))
    assert answer.status_code == 413


async def test_what_javascript_alone_can_write_survives(api, other):
    """Half a character is not UTF-8, and is in the state as it was."""
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": "one"})
    (stored,) = api.store._instances.values()
    odd = stored.journal[0]._replace(snapshot=b'{"value":"\\ud800","context":{"log":["\\ud800"]}}')
    stored.journal[0] = odd
    assert (await imported(other, await exported(api))).status_code == 200
    (stored,) = other.store._instances.values()
    assert stored.journal[0] == odd


async def test_timestamps_can_grow(other, lines):
    """From the last one that was imported on."""
    number = max(i for i, it in enumerate(lines) if it["type"] == "entry")
    for ts, status in ((2**42 + 1, 400), (2**42, 200)):
        lines[number]["ts"] = ts
        answer = await imported(other, sealed(lines))
        assert answer.status_code == status
    instance = next(it for it in reversed(lines[:number]) if it["type"] == "instance")["name"]
    await other.expect(204, "PUT", f"/machines/door/i/{instance}/status", {"status": "running"})
    stamps = []
    for _ in range(3):
        path = f"/machines/door/i/{instance}/events"
        stamps.append((await other.expect(200, "POST", path, {"event": "E"}))["ts"])
    assert stamps == sorted(set(stamps))


async def test_what_an_earlier_process_left_is_removed_first(api, other):
    """So that its ids are free."""
    version = await api.new_machine()
    machine_id = await other.store.stage_machine(
        ImportId("imp_old"), await organization_of(other), "door", (), NOW
    )
    left = await api.store.version(VersionId(version))
    left = replace(left, machine_id=machine_id)
    await other.store.create_version(left, b"x", make_current=False)
    await other.services.imports.start()
    answer = await imported(other, await exported(api))
    assert answer.json()["changedVersionIds"] == {}
    await other.services.imports.stop()


async def organization_of(api):
    (organization,) = api.store._organizations.values()
    return organization.id

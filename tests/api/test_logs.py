"""Logs over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from statekeep.domain.instance import InstanceKey
from statekeep.domain.names import InstanceName, VersionId
from tests.support.api import Api, Headers

LONG_AGO = "2020-01-01T00:00:00.000Z"


async def say(api: Api, version_id: str, *texts: str, instance: str | None = "front") -> None:
    """A machine prints something; it is written when this returns."""
    await say_soon(api, version_id, *texts, instance=instance)
    await api.log_writer.flush()


async def say_soon(
    api: Api, version_id: str, *texts: str, instance: str | None = "front", is_error: bool = False
) -> None:
    """The same, written later."""
    version = await api.store.version(VersionId(version_id))
    assert version is not None
    key = None
    if instance is not None:
        key = InstanceKey(version.organization_id, version.machine_name, InstanceName(instance))
    for text in texts:
        now_ms = api.clock.now_ms()
        api.log_writer.write(version, key, is_error=is_error, ts=now_ms, text=text)


async def read(
    api: Api, after: str = LONG_AGO, headers: Headers | None = None, **query: str
) -> Any:
    """One page."""
    filters = "".join(f"&{name}={quote(value)}" for name, value in query.items())
    path = f"/logs?from={quote(after)}{filters}"
    return await api.expect(200, "GET", path, headers=headers)


async def read_all(api: Api, after: str = LONG_AGO, **query: str) -> list[str]:
    """The texts of all pages, as the official client's loop reads them."""
    texts: list[str] = []
    while True:
        page = await read(api, after, None, **query)
        assert len(page["logs"]) <= 100
        texts += [entry["log"] for entry in page["logs"]]
        if not page["logs"]:
            assert page["maxTimestamp"] == after
            return texts
        assert page["maxTimestamp"] == page["logs"][-1]["timestamp"]
        after = page["maxTimestamp"]


async def test_an_entry_says_all_that_is_known_about_it(api: Api) -> None:
    """With a timestamp as JavaScript writes it, and where it comes from."""
    version_id = await api.new_machine()
    api.clock.advance(seconds=0.25)
    await say_soon(api, version_id, "hello\nworld")
    await say_soon(api, version_id, "bad", instance=None, is_error=True)
    await api.log_writer.flush()
    page = await read(api)
    organization_id = (await api.expect(200, "GET", "/orgs"))["orgs"][0]["id"]
    entry = {
        "timestamp": "2026-01-01T00:00:00.250Z",
        "orgId": organization_id,
        "machineName": "door",
        "instanceName": "front",
        "machineVersionId": version_id,
        "outputType": "stdout",
        "log": "hello\nworld",
    }
    other = {**entry, "instanceName": "", "outputType": "stderr", "log": "bad"}
    assert page == {"maxTimestamp": entry["timestamp"], "logs": [entry, other]}


async def test_an_event_that_throws_is_logged_with_the_authors_stack(api: Api) -> None:
    """The answer has the message alone."""
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})
    error = await api.expect(422, "POST", "/machines/door/i/front/events", {"event": "FAIL"})
    assert "author.js" not in str(error)
    await api.log_writer.flush()
    [entry] = (await read(api))["logs"]
    assert entry["log"] == "FAIL: it threw\nat author.js:1"
    assert (entry["instanceName"], entry["outputType"]) == ("front", "stderr")


async def test_a_creation_that_throws_is_logged(api: Api) -> None:
    """Of an instance that never was."""
    await api.new_machine()
    body = {"slug": "front", "context": {"fail": True}}
    await api.expect(422, "POST", "/machines/door", body)
    await api.log_writer.flush()
    [entry] = (await read(api, instance="front"))["logs"]
    assert "no such start" in entry["log"]


async def test_a_crowd_in_one_millisecond_is_read_page_by_page(api: Api) -> None:
    """Each entry once, in the order in which they were printed; and what comes later follows."""
    version_id = await api.new_machine()
    texts = [str(number) for number in range(250)]
    await say(api, version_id, *texts)
    assert await read_all(api) == texts
    page = await read(api)
    assert len(page["logs"]) == 100
    await say(api, version_id, "late")
    assert await read_all(api) == [*texts, "late"]


async def test_polling_while_machines_print_finds_each_entry_once(api: Api) -> None:
    """Though the clock stands still and entries of two hosts come in no order."""
    version_id, other_id = await api.new_machine(), await api.new_machine("window")
    found: list[str] = []
    after, printed = LONG_AGO, 0
    for number in range(40):
        for writer, ts in ((version_id, 0.0), (other_id, -5.0)):
            version = await api.store.version(VersionId(writer))
            assert version is not None
            for _ in range(1 + number % 7):
                now_ms = api.clock.now_ms() + ts
                api.log_writer.write(version, None, is_error=False, ts=now_ms, text=str(printed))
                printed += 1
        reading = asyncio.create_task(read(api, after))
        await api.log_writer.flush()
        page = await reading
        found += [entry["log"] for entry in page["logs"]]
        after = page["maxTimestamp"]
        if number % 3 == 0:
            api.clock.advance(seconds=0.002)
    assert found + await read_all(api, after) == [str(number) for number in range(printed)]


async def test_filters_leave_out_the_rest_and_lose_nothing(api: Api) -> None:
    """By machine, instance and version, page by page among the entries of others."""
    door, window = await api.new_machine(), await api.new_machine("window")
    for number in range(130):
        await say(api, door, f"door {number}", instance="front")
        await say(api, window, f"window {number}", instance="left")
    await say(api, door, "back", instance="back")
    doors = [f"door {number}" for number in range(130)]
    assert await read_all(api, machine="door") == [*doors, "back"]
    assert await read_all(api, instance="front") == doors
    assert await read_all(api, version=window) == [f"window {number}" for number in range(130)]
    assert await read_all(api, machine="door", instance="back", version=door) == ["back"]
    assert await read_all(api, machine="door", version=window) == []
    assert await read_all(api, machine="", instance="", version="", to="") != []
    assert await read_all(api, machine="gone") == []


async def test_from_is_exclusive_and_to_is_not(api: Api) -> None:
    """To the millisecond, in whatever way the instant is written."""
    version_id = await api.new_machine()
    for number in range(4):
        await say(api, version_id, str(number))
        api.clock.advance(seconds=0.001)
    first, last = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.002Z"
    assert await read_all(api, first) == ["1", "2", "3"]
    assert await read_all(api, first, to=last) == ["1", "2"]
    assert [e["log"] for e in (await read(api, "2026-01-01T01:00:00+01:00", to=last))["logs"]] == [
        "1",
        "2",
    ]
    assert await read_all(api, last, to=last) == []


@pytest.mark.parametrize(
    ("after", "echo"),
    [
        ("2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("2262-06-07T08:09:10.123Z", "2262-06-07T08:09:10.123Z"),
        ("2030-01-01T02:00:00.1239+02:00", "2030-01-01T00:00:00.123Z"),
        ("2030-01-01", "2030-01-01T00:00:00.000Z"),
    ],
)
async def test_an_empty_page_echoes_from(api: Api, after: str, echo: str) -> None:
    """Exactly, as the official client waits only where it gets back what it sent."""
    assert await read(api, after) == {"maxTimestamp": echo, "logs": []}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "from"),
        ("from=", "from"),
        ("from=yesterday", "from"),
        ("from=-1h", "from"),
        ("from=1767225600000", "from"),
        ("from=%2B010000-01-01T00:00:00.000Z", "from"),
        ("from=0001-01-01T00:00:00%2B01:00", "from"),
        (f"from={LONG_AGO}&to=tomorrow", "to"),
        (f"from={LONG_AGO}&to=2019-12-31T23:59:59.999Z", "to"),
        (f"from={LONG_AGO}&machine=a/b", "machine"),
        (f"from={LONG_AGO}&instance=a%20b", "instance"),
    ],
)
async def test_a_bad_parameter_is_named(api: Api, query: str, parameter: str) -> None:
    """400."""
    error = await api.expect(400, "GET", f"/logs?{query}")
    assert (error["code"], error["parameter"]) == ("invalid-parameter", parameter)


async def test_reading_needs_its_scope(api: Api) -> None:
    """A key that may do everything else may not."""
    version_id = await api.new_machine()
    await say(api, version_id, "secret")
    path = f"/logs?from={LONG_AGO}"
    key = await api.new_key("events.read", "state.read", "machines.read", sub="me")
    error = await api.expect(403, "GET", path, headers=key)
    assert error["code"] == "missing-scope"
    await api.expect(401, "GET", path, headers={})
    reader = await api.new_key("logs.read", sub="me")
    assert len((await read(api, headers=reader))["logs"]) == 1


async def test_another_organization_sees_nothing(api: Api) -> None:
    """Not by the name or the id of what is not theirs, either."""
    version_id = await api.new_machine()
    await say(api, version_id, "secret")
    eve = await api.new_member("eve")
    for query in ({}, {"machine": "door"}, {"instance": "front"}, {"version": version_id}):
        assert (await read(api, headers=eve, **query))["logs"] == []

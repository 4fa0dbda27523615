"""How long transitions are kept, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api

PATH = "/machines/door/retention"


@pytest.fixture
async def door(api: Api) -> Api:
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})
    return api


async def test_without_a_choice_everything_is_kept(door: Api) -> None:
    """By default for ever."""
    answer = await door.expect(200, "GET", PATH)
    assert answer == {"retention": {}, "effective": {"journal": {}, "logs": {"maxAge": "30d"}}}


@pytest.mark.parametrize(
    ("journal", "shown"),
    [
        ({"maxAge": "720h", "maxEntries": 1000}, {"maxAge": "30d", "maxEntries": 1000}),
        ({"maxAge": 90}, {"maxAge": "90s"}),
        ({"maxEntries": 1}, {"maxEntries": 1}),
        ({}, {}),
    ],
)
async def test_a_choice_is_shown(door: Api, journal: Any, shown: Any) -> None:
    """Until there is another one."""
    logs = {"maxAge": "30d"}
    expected = {"retention": {"journal": shown}, "effective": {"journal": shown, "logs": logs}}
    assert await door.expect(200, "PUT", PATH, {"journal": journal}) == expected
    assert await door.expect(200, "GET", PATH) == expected
    nothing: Any = {"retention": {}, "effective": {"journal": {}, "logs": logs}}
    assert await door.expect(200, "PUT", PATH) == nothing
    assert await door.expect(200, "GET", PATH) == nothing


@pytest.mark.parametrize(
    ("logs", "shown"), [({"maxAge": "168h"}, "7d"), ({"maxAge": 60}, "1m"), ({}, "30d")]
)
async def test_log_entries_have_a_time_of_their_own(door: Api, logs: Any, shown: str) -> None:
    """Which leaves the journal alone, and without one the server's."""
    answer = await door.expect(200, "PUT", PATH, {"logs": logs})
    chosen = {"maxAge": shown} if logs else {}
    effective = {"journal": {}, "logs": {"maxAge": shown}}
    assert answer == {"retention": {"logs": chosen}, "effective": effective}
    assert await door.expect(200, "GET", PATH) == answer


@pytest.mark.parametrize(
    ("logs", "parameter"),
    [
        ({"maxAge": "31d"}, "maxAge"),
        ({"maxAge": "59s"}, "maxAge"),
        ({"maxAge": "for ever"}, "maxAge"),
        ({"maxAge": []}, "logs"),
        (7, "logs"),
    ],
)
async def test_log_entries_are_not_kept_for_longer_than_the_server_keeps_any(
    door: Api, logs: Any, parameter: str
) -> None:
    """Nor for no time at all, nor by nonsense; and nothing changes."""
    await door.expect(200, "PUT", PATH, {"logs": {"maxAge": "7d"}})
    answer = await door.expect(400, "PUT", PATH, {"logs": logs, "journal": {"maxEntries": 5}})
    assert (answer["code"], answer["parameter"]) == ("invalid-parameter", parameter)
    found = await door.expect(200, "GET", PATH)
    assert found["retention"] == {"logs": {"maxAge": "7d"}}


@pytest.mark.parametrize(
    ("journal", "parameter"),
    [
        ({"maxAge": "soon"}, "maxAge"),
        ({"maxAge": "1s"}, "maxAge"),
        ({"maxAge": -5}, "maxAge"),
        ({"maxEntries": 0}, "maxEntries"),
        ({"maxEntries": 10**30}, "maxEntries"),
        ({"maxEntries": "many"}, "journal"),
        ("for ever", "journal"),
    ],
)
async def test_nonsense_is_refused_and_changes_nothing(
    door: Api, journal: Any, parameter: str
) -> None:
    """With what is wrong about it."""
    await door.expect(200, "PUT", PATH, {"journal": {"maxEntries": 5}})
    answer = await door.expect(400, "PUT", PATH, {"journal": journal})
    assert (answer["code"], answer["parameter"]) == ("invalid-parameter", parameter)
    found = await door.expect(200, "GET", PATH)
    assert found["retention"] == {"journal": {"maxEntries": 5}}


async def test_a_machine_that_is_not_there_has_none(door: Api) -> None:
    """Nor one of somebody else."""
    eve = await door.new_member("eve")
    for method in ("GET", "PUT"):
        await door.expect(404, method, PATH, None, eve)
        await door.expect(404, method, "/machines/none/retention")


async def test_who_goes_on_from_what_is_gone_is_told(door: Api) -> None:
    """410 that says where to begin, and no part of it as if it were all."""
    for name in ("a", "b", "c", "d"):
        await door.expect(200, "POST", "/machines/door/i/front/events", {"event": name})
    await door.expect(200, "PUT", PATH, {"journal": {"maxEntries": 2}})
    assert await door.retention.sweep() == 3
    page = await door.expect(200, "GET", "/machines/door/i/front/events")
    assert [entry["event"]["type"] for entry in page["transitions"]] == ["d", "c"]
    answer = await door.expect(410, "GET", "/machines/door/i/front/stream?since=1")
    assert answer["code"] == "history-gone"
    assert "since 3" in answer["error"]

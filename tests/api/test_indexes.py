"""Indexes over HTTP: queries, and what is said of the indexes themselves."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import quote

import pytest

from statekeep.domain import limits
from tests.support.api import Api
from tests.support.world import until

PATH = "/machines/door/indexes"
SELECTORS = {"color": "$.public.color", "tags": "$.tags[*]"}


@pytest.fixture
async def doors(api: Api) -> Api:
    """Three doors of two colors."""
    await api.expect(
        201, "POST", "/machines", {"slug": "door", "indexes": ["color", "tags", "size"]}
    )
    await api.new_version(makeCurrent=True, indexSelectors=SELECTORS)
    for slug, color, tags in (("a", "red", ["x"]), ("b", "green", ["x", "y"]), ("c", "red", [])):
        context = {"public": {"color": color}, "tags": tags, "secret": "s"}
        await api.expect(200, "POST", "/machines/door", {"slug": slug, "context": context})
    return api


async def query(api: Api, text: str, *, index: str = "color") -> Any:
    return await api.expect(200, "GET", f"{PATH}/{index}/query{text}")


async def found(api: Api, text: str, *, index: str = "color") -> list[tuple[str, str]]:
    answer = await query(api, text, index=index)
    return [(one["slug"], one["indexValue"]) for one in answer["instances"]]


RED = [("a", "red"), ("c", "red")]
GREEN = [("b", "green")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", GREEN + RED),
        ("?dir=asc", GREEN + RED),
        ("?dir=desc", RED[::-1] + GREEN),
        ("?op=eq&value=red", RED),
        ("?op=ne&value=red", GREEN),
        ("?op=gt&value=green", RED),
        ("?op=gte&value=green", GREEN + RED),
        ("?op=lt&value=red", GREEN),
        ("?op=lte&value=red&dir=desc", RED[::-1] + GREEN),
        ("?op=eq&value=", []),
        ("?op=gte&value=", GREEN + RED),
        ("?op=&value=&dir=&limit=&cursor=", GREEN + RED),
        ("?limit=99999", GREEN + RED),
        ("?unknown=1", GREEN + RED),
    ],
)
async def test_instances_are_found_by_value(
    doors: Api, text: str, expected: list[tuple[str, str]]
) -> None:
    """As State Backed's clients ask for it."""
    assert await found(doors, text) == expected


async def test_pages_follow_each_other(doors: Api) -> None:
    """No cursor on the last one. The answer has nothing else in it."""
    first = await query(doors, "?limit=2")
    assert first == {
        "instances": [
            {"slug": "b", "indexValue": "green"},
            {"slug": "a", "indexValue": "red"},
        ],
        "cursor": first["cursor"],
    }
    rest = await query(doors, f"?limit=2&cursor={quote(first['cursor'])}")
    assert rest == {"instances": [{"slug": "c", "indexValue": "red"}]}


async def test_an_instance_stands_under_each_of_its_values(doors: Api) -> None:
    """And an index that nothing selects for is empty."""
    assert await found(doors, "", index="tags") == [("a", "x"), ("b", "x"), ("b", "y")]
    assert await found(doors, "?op=ne&value=x", index="tags") == [("b", "y")]
    assert await found(doors, "", index="size") == []


async def test_limits_of_a_page(doors: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says nothing gets the default, who asks for too many the most that there are."""
    monkeypatch.setattr("statekeep.application.indexes.INDEX_QUERY_LIMIT", 1)
    monkeypatch.setattr("statekeep.application.indexes.INDEX_QUERY_LIMIT_MAX", 2)
    assert len(await found(doors, "")) == 1
    assert len(await found(doors, "?limit=3")) == 2


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("?op=like&value=x", "op"),
        ("?op=EQ&value=x", "op"),
        ("?value=red", "op"),
        ("?op=eq", "value"),
        ("?op=eq&value=" + "x" * (limits.INDEX_VALUE_BYTES_MAX + 1), "value"),
        ("?dir=up", "dir"),
        ("?limit=0", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=1.5", "limit"),
        ("?limit=ten", "limit"),
        ("?limit=" + "9" * 30, "limit"),
        ("?limit=%C2%B2", "limit"),
        ("?cursor=nonsense", "cursor"),
    ],
)
async def test_what_can_not_be_understood_is_refused(doors: Api, text: str, parameter: str) -> None:
    """With the name of what is wrong."""
    error = await doors.expect(400, "GET", f"{PATH}/color/query{text}")
    assert (error["code"], error["parameter"]) == ("invalid-parameter", parameter)


async def test_a_value_and_a_cursor_fit_into_a_url(doors: Api) -> None:
    """The longest there may be, where each byte takes three."""
    value = "\N{SNOWMAN}" * (limits.INDEX_VALUE_BYTES_MAX // 3)
    for slug in ("long", "longer"):
        context = {"public": {"color": value}}
        await doors.expect(200, "POST", "/machines/door", {"slug": slug, "context": context})
    text = f"?op=eq&limit=1&value={quote(value)}"
    page = await query(doors, text)
    following = f"{text}&cursor={quote(page['cursor'])}"
    assert len(PATH + following) < limits.URL_BYTES_MAX
    assert await found(doors, following) == [("longer", value)]


@pytest.mark.parametrize(
    "path",
    [
        "/machines/door/indexes/weight/query",
        "/machines/gate/indexes/color/query",
        "/machines/gate/indexes",
    ],
)
async def test_what_is_not_there_is_not_found(doors: Api, path: str) -> None:
    """Neither the index nor the machine."""
    assert (await doors.get(path)).status_code == 404


async def test_others_find_nothing(doors: Api) -> None:
    """Another organization's machine is not there; a key without the scope is refused; a production key may ask, whoever its user is."""
    stranger = await doors.new_member("eve")
    assert (await doors.get(f"{PATH}/color/query", stranger)).status_code == 404
    blind = await doors.new_key("state.read", "machines.read")
    refused = await doors.get(f"{PATH}/color/query", blind)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing-scope")
    reader = await doors.new_key("indexes.read", sub="stranger")
    assert len((await doors.get(f"{PATH}/color/query", reader)).json()["instances"]) == 3


async def test_an_event_over_a_bound_changes_nothing(doors: Api) -> None:
    """413, with the index and the bound in the message."""
    context = {"tags": [str(number) for number in range(limits.INDEX_ENTRIES_MAX + 1)]}
    body = {"slug": "many", "context": context}
    error = await doors.expect(413, "POST", "/machines/door", body)
    assert error["code"] == "too-large"
    assert "index tags" in error["error"]
    assert (await doors.get("/machines/door/i/many")).status_code == 404


async def test_a_deleted_instance_is_found_no_more(doors: Api) -> None:
    """At once."""
    proof = urlsafe_b64encode(hmac.digest(b"door", b"a", "sha256")).decode().rstrip("=")
    body = {
        "dangerDataWillBeDeletedForever": True,
        "hmacSha256OfMachineInstanceNameWithMachineNameKey": proof,
    }
    await doors.expect(204, "DELETE", "/machines/door/i/a", body)
    assert await found(doors, "") == [*GREEN, ("c", "red")]


async def test_indexes_are_listed_with_their_progress(
    doors: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Selector, state, and how far existing instances are."""
    await until(lambda: not doors.store._fills)
    assert await doors.expect(200, "GET", PATH) == {
        "indexes": [
            {"name": "color", "state": "ready", "selector": "$.public.color"},
            {"name": "tags", "state": "ready", "selector": "$.tags[*]"},
            {"name": "size", "state": "ready"},
        ]
    }
    monkeypatch.setattr("statekeep.application.index_filling.INDEX_FILL_PORTION", 2)
    advance, stopped = doors.store.advance_index_fill, []

    async def stop_after_one(fill: Any) -> bool:
        stopped.append(await advance(fill))
        return False

    monkeypatch.setattr(doors.store, "advance_index_fill", stop_after_one)
    await doors.new_version(makeCurrent=True, indexSelectors={"size": "secret"})
    await until(lambda: bool(stopped))
    indexes = (await doors.expect(200, "GET", PATH))["indexes"]
    assert indexes[0]["state"] == "ready"
    assert indexes[2] == {
        "name": "size",
        "state": "filling",
        "selector": "secret",
        "done": 2,
        "total": 3,
    }
    assert await found(doors, "", index="size") == [("a", "s"), ("b", "s")]

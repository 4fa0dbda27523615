"""What the published clients send and what passing proxies and people make of it (SPEC 2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from starlette.types import Message

from statekeep.domain import limits
from tests.support.api import Api


@pytest.fixture
async def front(api: Api) -> Api:
    """The API with one instance."""
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})
    return api


async def raw(
    api: Api, method: str, path: str, messages: Iterable[Message], *headers: tuple[bytes, bytes]
) -> list[Message]:
    """What the app answers to ASGI messages as they come, as no client library would send them."""
    sent: list[Message] = []
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    async def send(message: Message) -> None:
        sent.append(message)

    authorization = (b"authorization", api.admin["authorization"].encode())
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 8080),
        "headers": [authorization, *headers],
    }
    await api.app(scope, receive, send)
    return sent


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


EVENTS = "/machines/door/i/front/events"


async def test_an_empty_body_with_a_json_type(api: Api) -> None:
    """POST .../v of the official client."""
    await api.expect(201, "POST", "/machines", {"slug": "door"})
    headers = {**api.admin, "content-type": "application/json"}
    answer = await api.client.post("/machines/door/v?gzip", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=utf-8", "x"])
async def test_json_by_any_other_name(front: Api, kind: str) -> None:
    """What is JSON is read as JSON, whatever it is called."""
    headers = {**front.admin, "content-type": kind}
    answer = await front.client.post(EVENTS, content=b'{"event":"open"}', headers=headers)
    assert answer.status_code == 200


async def test_a_delete_with_a_body_nobody_asked_for(api: Api) -> None:
    """It is left alone."""
    await api.new_key("machines.read")
    key_id = (await api.expect(200, "GET", "/keys"))["keys"][0]["id"]
    await api.expect(204, "DELETE", f"/keys/{key_id}", {"sure": True})


async def test_unknown_fields(front: Api) -> None:
    """They are ignored."""
    await front.expect(201, "POST", "/machines", {"slug": "gate", "color": "red"})
    await front.expect(200, "POST", EVENTS, {"event": "open", "color": {"deep": [1]}})


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a|b", "a|b"),
        ("a|b", "a%7Cb"),
        ("user@example.com", "user@example.com"),
        ("user@example.com", "user%40example.com"),
        ("a:b~c+d.e", "a:b~c+d.e"),
        ("a:b~c+d.e", "a%3Ab%7Ec%2Bd%2Ee"),
    ],
)
async def test_names_in_paths(api: Api, name: str, path: str) -> None:
    """Escaped or not, an instance is found by its name; `+` is no space in a path."""
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": name})
    await api.expect(200, "GET", f"/machines/door/i/{path}")
    await api.expect(200, "POST", f"/machines/door/i/{path}/events", {"event": "open"})
    await api.expect(200, "GET", f"/machines/door/i/{path}/admin")


@pytest.mark.parametrize("name", ["%2e%2e%2f", "a%2Fb", "%00", "%ff", "a b", "é", "x" * 200])
async def test_impossible_names_are_nowhere(front: Api, name: str) -> None:
    """404, as for a name that nobody took."""
    for path in (f"/machines/door/i/{name}", f"/machines/{name}", f"/machines/{name}/i"):
        await front.expect(404, "GET", path)
    await front.expect(404, "POST", f"/machines/door/i/{name}/events", {"event": "open"})


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{'event': 'open'}",
        b'{"event": "\xff"}',
        b'{"event": {"type": "open", "text": "\xff"}}',
        b'{"event": {"type": "open", "text": "\\ud800"}}',
        b'{"event": {"type": "open", "number": NaN}}',
        b'{"event": {"type": "open", "number": 1e999}}',
        b'{"event": {"type": "open", "number": ' + b"9" * 5000 + b"}}",
        b'{"event": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'\xef\xbb\xbf{"event": "open"}',
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_what_is_no_json(front: Api, body: bytes) -> None:
    """400, and nothing happened."""
    answer = await front.client.post(EVENTS, content=body, headers=front.admin)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    answer = await front.client.post("/machines", content=body, headers=front.admin)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


async def test_an_event_reaches_the_machine_as_one_line(front: Api) -> None:
    """However it was laid out: hosts read lines."""
    body = b'{"event":\n {"type": "open",\r\n "text": "a\\nb", "text": "caf\\u00e9"}}'
    answer = await front.client.post(EVENTS, content=body, headers=front.admin)
    assert answer.status_code == 200
    listed = await front.expect(200, "GET", EVENTS)
    assert listed["transitions"][0]["event"] == {"type": "open", "text": "café"}


async def test_a_body_in_pieces(front: Api) -> None:
    """It is put together."""
    pieces = [part(b'{"eve'), part(b""), part(b'nt":"open"}', more=False)]
    sent = await raw(front, "POST", EVENTS, pieces)
    assert sent[0]["status"] == 200


async def test_a_large_body_is_refused_before_it_is_read(front: Api) -> None:
    """By what it says of itself."""
    length = (b"content-length", b"%d" % (limits.REQUEST_BYTES_MAX + 1))
    for path in (EVENTS, "/machines"):
        sent = await raw(front, "POST", path, [], length)
        assert sent[0]["status"] == 413


async def test_an_endless_body_is_cut_off(front: Api) -> None:
    """One that does not say how long it is gets read up to the bound and no further."""
    for path in (EVENTS, "/machines"):
        pieces = iter([part(b" " * 65_536)] * 100)
        sent = await raw(front, "POST", path, pieces)
        assert sent[0]["status"] == 413
        assert len(list(pieces)) >= 100 - limits.REQUEST_BYTES_MAX // 65_536 - 1


@pytest.mark.parametrize("length", [b"-1", b"x", b"1e3", b"9" * 5000])
async def test_a_nonsensical_length(front: Api, length: bytes) -> None:
    """It is refused, not tripped over."""
    sent = await raw(front, "POST", EVENTS, [], (b"content-length", length))
    assert sent[0]["status"] in (400, 413)


async def test_a_client_that_hangs_up_gets_no_answer(front: Api) -> None:
    """And its event is not sent."""
    for path in (EVENTS, "/machines"):
        gone: list[Any] = [part(b'{"event":"open"'), {"type": "http.disconnect"}]
        assert await raw(front, "POST", path, gone) == []
    state = await front.expect(200, "GET", "/machines/door/i/front")
    assert state["publicContext"] == {"log": []}


async def test_what_is_nested_too_deeply_is_refused(front: Api) -> None:
    """Whoever reads it would have to go as deep, and some of them stand on more already."""
    for lists, status in ((498, 200), (499, 400), (50_000, 400)):
        body = b'{"event":{"type":"E","a":%b%b}}' % (b"[" * lists, b"]" * lists)
        answer = await front.client.post(EVENTS, content=body, headers=front.admin)
        assert answer.status_code == status, lists
    assert "more than 500 deep" in answer.json()["error"]
    assert len((await front.get(EVENTS)).json()["transitions"]) == 2

"""Requests to endpoints, as far as HTTP is concerned."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from statekeep.api.http.cors import Cors
from statekeep.api.http.http_api import request_of
from statekeep.domain.http_mapping import BodyKind, HttpAnswer
from statekeep.domain.limits import HTTP_REQUEST_BYTES_MAX
from statekeep.domain.rates import Rate
from tests.support.api import Api, running_api

ORIGIN = {"origin": "https://app.example"}


async def front(api: Api) -> str:
    """The path of a machine's endpoints, with a slash behind."""
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})
    organization = (await api.expect(200, "GET", "/orgs"))["orgs"][0]["id"]
    return f"/http-api/{organization}/machines/door/"


async def ask(api: Api, path: str, method: str = "POST", **more: Any) -> httpx.Response:
    return await api.client.request(method, path, **more)


async def test_anybody_may_ask(api: Api) -> None:
    """Without a token, with any method; the handler sees which."""
    path = await front(api)
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND"]
    for method in methods:
        answer = await ask(api, path + "hook", method)
        assert (answer.status_code, answer.headers["content-length"]) == (200, "11"), method
    assert [request.method for request in api.runtime.requests] == methods
    state = await api.expect(200, "GET", "/machines/door/i/front")
    assert state["publicContext"]["log"] == ["knock"] * len(methods)


async def test_a_preflight_request_is_the_handlers(api: Api) -> None:
    """And what the author says about origins wins."""
    path = await front(api)
    origin = ("Access-Control-Allow-Origin", "https://one.example")
    api.runtime.http_answer = HttpAnswer(204, (origin,), b"", None)
    headers = {**ORIGIN, "access-control-request-method": "PUT"}
    answer = await ask(api, path + "hook", "OPTIONS", headers=headers)
    assert answer.status_code == 204
    assert answer.headers.get_list("access-control-allow-origin") == ["https://one.example"]
    assert "access-control-allow-methods" not in answer.headers
    assert "content-length" not in answer.headers
    assert api.runtime.requests[0].headers["access-control-request-method"] == "PUT"


async def test_without_a_word_about_origins_it_is_the_operators() -> None:
    """Of good answers and of others."""
    async with running_api(cors=Cors(["https://app.example"])) as api:
        path = await front(api)
        for slug in ("hook", "throw"):
            answer = await ask(api, path + slug, headers=ORIGIN)
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            answer = await ask(api, path + slug, headers={"origin": "https://evil.example"})
            assert "access-control-allow-origin" not in answer.headers


async def test_an_answer_keeps_its_place(api: Api) -> None:
    """Markup of an author runs nothing in the name of this origin, and leaves nothing behind."""
    path = await front(api)
    api.runtime.http_answer = HttpAnswer(
        200, (("content-type", "text/html"), ("set-cookie", "a=b")), b"<script>", None
    )
    answer = await ask(api, path + "hook", "GET")
    assert answer.content == b"<script>"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("slug", "status", "code"),
    [
        ("throw", 400, "http-handler-failed"),
        ("never", 504, "http-handler-timeout"),
        ("missing", 404, "not-found"),
    ],
)
async def test_a_handler_without_an_answer(api: Api, slug: str, status: int, code: str) -> None:
    """Errors are those of the API."""
    answer = await ask(api, await front(api) + slug)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_paths_that_lead_nowhere(api: Api) -> None:
    """Another organization's machines are as unknown as those that there are not."""
    path = await front(api)
    await api.expect(201, "POST", "/machines", {"slug": "empty"})
    other = await api.new_member("eve")
    theirs = (await api.expect(200, "GET", "/orgs", headers=other))["orgs"][0]["id"]
    for wrong in (
        path,
        path + "a/b",
        path + "a%2Fb",
        path.replace("door", "none") + "hook",
        path.replace("door", "empty") + "hook",
        path.replace("door", "%00") + "hook",
        f"/http-api/{theirs}/machines/door/hook",
        "/http-api/nonsense/machines/door/hook",
        "/http-api/",
        "/http-api",
    ):
        answer = await ask(api, wrong)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), wrong
    assert api.runtime.requests == []


async def test_a_request_has_its_bound(api: Api) -> None:
    """Nobody is asked about a larger one."""
    path = await front(api)
    answer = await ask(api, path + "hook", content=b" " * (HTTP_REQUEST_BYTES_MAX + 1))
    assert answer.status_code == 413
    assert api.runtime.requests == []


async def test_a_repeated_request_is_one(api: Api) -> None:
    """Under an idempotency key."""
    path = await front(api)
    for _ in range(2):
        answer = await ask(api, path + "hook", headers={"idempotency-key": "k"})
        assert answer.status_code == 200
    state = await api.expect(200, "GET", "/machines/door/i/front")
    assert state["publicContext"]["log"] == ["knock"]
    assert (await ask(api, path + "hook", headers={"idempotency-key": " "})).status_code == 400


async def test_strangers_are_counted() -> None:
    """By organization, before anything is done; those who have a token are not hindered."""
    async with running_api(rates={"http_api": Rate(1, 2)}) as api:
        path = await front(api)
        statuses = [(await ask(api, path + slug)).status_code for slug in ("hook", "missing")]
        assert statuses == [200, 404]
        answer = await ask(api, path + "hook", headers=ORIGIN)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        assert len(api.runtime.requests) == 1
        await api.expect(200, "GET", "/machines/door/i/front")
        other = path.replace("/machines", "x/machines")
        assert (await ask(api, other + "hook")).status_code == 404
        api.clock.advance(seconds=1)
        assert (await ask(api, path + "hook")).status_code == 200


async def test_they_are_requests_of_the_organization() -> None:
    """Where those are counted."""
    async with running_api(rates={"organization": Rate(1, 10)}) as api:
        path = await front(api)
        statuses = [(await ask(api, path + "hook")).status_code for _ in range(12)]
        assert statuses[0] == 200
        assert statuses[-1] == 429


def made_of(body: bytes, *headers: tuple[bytes, bytes], query: bytes = b"") -> Any:
    return request_of({"method": "POST", "headers": list(headers), "query_string": query}, body)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (None, BodyKind.TEXT),
        (b"application/json", BodyKind.JSON),
        (b"Application/JSON; charset=UTF-8", BodyKind.JSON),
        (b"application/cloudevents+json", BodyKind.JSON),
        (b"application/x-www-form-urlencoded", BodyKind.TEXT),
        (b"text/csv", BodyKind.TEXT),
        (b"text/plain;charset=iso-8859-1", BodyKind.BYTES),
        (b"image/svg+xml", BodyKind.TEXT),
        (b"multipart/form-data; boundary=x", BodyKind.BYTES),
        (b"application/octet-stream", BodyKind.BYTES),
        (b"image/png", BodyKind.BYTES),
        (b"", BodyKind.BYTES),
    ],
)
def test_kinds_of_bodies(content_type: bytes | None, kind: BodyKind) -> None:
    """By what the sender says, never by what is in them."""
    headers = [] if content_type is None else [(b"content-type", content_type)]
    assert made_of(b"{}", *headers).kind is kind


def test_a_packed_body_is_bytes() -> None:
    """Whatever is in it."""
    packed = made_of(b"{}", (b"content-type", b"application/json"), (b"content-encoding", b"gzip"))
    assert packed.kind is BodyKind.BYTES


def test_an_empty_list_of_encodings_is_none() -> None:
    """RFC 9110, 5.6.1: a list may have no elements."""
    plain = made_of(b"{}", (b"content-type", b"application/json"), (b"content-encoding", b""))
    assert plain.kind is BodyKind.JSON


async def test_text_has_to_be_text(api: Api) -> None:
    """The sender is told."""
    path = await front(api)
    answer = await ask(api, path + "hook", content=b"\xff", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "body")


def test_headers_that_come_more_than_once_are_one() -> None:
    """RFC 9110, 5.3. Cookies are somebody else's."""
    request = made_of(
        b"", (b"x-a", b"1"), (b"cookie", b"session=secret"), (b"x-a", b"2\xe9"), query=b"a=%20"
    )
    assert (request.headers, request.query) == ({"x-a": "1, 2é"}, "a=%20")

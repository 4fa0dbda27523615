"""What is alike everywhere: CORS, unknown routes, methods, failures, health, documentation."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from statekeep.api.http import routes
from statekeep.api.http.errors import ErrorAnswers
from statekeep.api.http.routes.http_api import HTTP_API_PATH
from statekeep.domain.errors import Overloaded
from tests.support.api import Api, running_api

ORIGIN = {"origin": "https://app.example"}
CLIENT_HEADERS = "authorization,content-type,x-statebacked-act,x-statebacked-org-id"


@pytest.fixture
async def front() -> AsyncIterator[Api]:
    """An API with one instance, where incidents have a known number."""
    async with running_api(errors=ErrorAnswers(lambda: "incident-7")) as api:
        await api.new_machine()
        await api.expect(200, "POST", "/machines/door", {"slug": "front"})
        yield api


def paths() -> list[tuple[str, str]]:
    # Endpoints of machines answer preflight requests themselves: test_http_api.py.
    ours = [route for route in routes.ALL if route.path != HTTP_API_PATH]
    return [(route.method, re.sub(r"{\w+}", "door", route.path)) for route in ours]


@pytest.mark.parametrize(("method", "path"), paths())
async def test_browsers_may_call_every_route(api: Api, method: str, path: str) -> None:
    """The preflight request allows what the clients send; the answer, an error here, can be read."""
    preflight = await api.client.options(
        path,
        headers={
            **ORIGIN,
            "access-control-request-method": method,
            "access-control-request-headers": f"{CLIENT_HEADERS},idempotency-key",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert method in preflight.headers["access-control-allow-methods"]
    assert int(preflight.headers["access-control-max-age"]) > 0
    answer = await api.client.request(method, path, headers=ORIGIN)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "retry-after" in answer.headers["access-control-expose-headers"].lower()


async def test_browsers_can_read_good_answers(front: Api) -> None:
    """Hot routes and others."""
    for path in ("/machines/door/i/front", "/machines", "/healthz"):
        answer = await front.get(path, {**front.admin, **ORIGIN})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path",
    ["/", "/nonsense", "/machines/", "/machines/door/", "/machines/door/i/front/", "/machines//i"],
)
async def test_unknown_routes(front: Api, path: str) -> None:
    """404 in JSON, which says where to look."""
    error = await front.expect(404, "GET", path)
    assert error["code"] == "not-found"
    assert "/docs" in error["error"]


async def test_the_realtime_socket_wants_an_upgrade(front: Api) -> None:
    """A plain request to it is told so."""
    answer = await front.get("/rt")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/machines", {"GET", "HEAD", "POST"}),
        ("PUT", "/machines/door", {"GET", "HEAD", "POST", "DELETE"}),
        ("DELETE", "/machines/door/i/front/events", {"GET", "HEAD", "POST"}),
        ("POST", "/machines/door/i/front", {"GET", "HEAD", "DELETE"}),
        ("OPTIONS", "/healthz", {"GET", "HEAD"}),
    ],
)
async def test_wrong_methods(front: Api, method: str, path: str, allowed: set[str]) -> None:
    """405 that names the right ones."""
    answer = await front.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert answer.headers["allow"] in answer.json()["error"]
    assert set(re.split(", ", answer.headers["allow"])) == allowed


async def test_head_is_get_without_a_body(front: Api) -> None:
    """The length is told, the caller is checked."""
    for path in ("/machines/door/i/front", "/machines/door", "/healthz"):
        get, head = await front.get(path), await front.request("HEAD", path)
        assert head.status_code == 200
        assert head.headers["content-length"] == get.headers["content-length"]
    assert (await front.request("HEAD", "/machines", headers={})).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/machines/door/i/front/events", {"event": "open"}), ("GET", "/machines", None)],
    ids=["hot", "other"],
)
async def test_a_failure_tells_its_incident_and_nothing_else(
    front: Api,
    method: str,
    path: str,
    body: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """500; the log has the traceback under the same number."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(front.services.instances, "send_event", fail)
    monkeypatch.setattr(front.services.machines, "list", fail)
    answer = await front.request(method, path, body)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "incident-7" in answer.json()["error"]
    log = capsys.readouterr().out
    assert "incident-7" in log
    assert "secret of the house" in log


async def test_shed_load_says_when_to_come_back(
    front: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After."""

    async def shed(*_: object, **__: object) -> None:
        raise Overloaded("too much", retry_after_seconds=7)

    monkeypatch.setattr(front.services.instances, "send_event", shed)
    answer = await front.post("/machines/door/i/front/events", {"event": "open"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


async def test_health_is_whether_requests_are_taken() -> None:
    """200 or 503, without a token."""
    is_ready = True
    async with running_api(is_ready=lambda: is_ready) as api:
        assert await api.expect(200, "GET", "/healthz", headers={}) == {"status": "ok"}
        is_ready = False
        answer = await api.get("/healthz", {})
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


async def test_the_documentation_is_one_page(api: Api) -> None:
    """Everything that is described is on it, and nothing on it has to be fetched."""
    page = await api.get("/docs", {})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    document = await api.expect(200, "GET", "/openapi.json", headers={})
    for path, item in document["paths"].items():
        for operation in item.values():
            assert f"id='{operation['operationId']}'" in page.text
        assert path in page.text
    assert not re.search(r"<(script|link|img)|[\s:]url\(|@import", page.text)
    targets = set(re.findall(r"href='#([^']+)'", page.text))
    assert targets <= set(re.findall(r"id='([^']+)'", page.text))

"""What browsers are told about pages of other origins, on every way that an answer can take."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from statekeep.api.http.cors import Cors
from tests.support.serving import Served, serving_api

OURS = "https://app.example"
THEIRS = "https://evil.example"
EVENTS = "/machines/door/i/front/events"
STREAM = "/machines/door/i/front/stream"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving_api(cors=Cors([OURS])) as served:
        yield served


@pytest.fixture
def page(served: Served) -> Iterator[httpx.Client]:
    """A page of the origin that may call."""
    headers = {**served.admin, "origin": OURS}
    with httpx.Client(base_url=served.url, headers=headers) as client:
        yield client


def allowed_by(answer: httpx.Response) -> str | None:
    """The origin that may see the answer; caches have to know that others may not."""
    origin: str | None = answer.headers.get("access-control-allow-origin")
    assert origin is None or "origin" in answer.headers["vary"].lower()
    return origin


@pytest.mark.parametrize(
    ("method", "path"), [("POST", EVENTS), ("GET", STREAM), ("PUT", "/machines/door/v/ver_1")]
)
def test_preflights(page: httpx.Client, method: str, path: str) -> None:
    """The page may send what the official client sends, without a token in the preflight; another page may not."""
    asked = {
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,x-statebacked-act,x-statebacked-org-id",
        "authorization": "",
    }
    answer = page.options(path, headers=asked)
    assert answer.status_code == 200
    assert allowed_by(answer) == OURS
    assert method in answer.headers["access-control-allow-methods"]
    other = page.options(path, headers={**asked, "origin": THEIRS})
    assert other.status_code == 400
    assert allowed_by(other) is None


@pytest.mark.parametrize("event", ["open", {"type": "open", "padding": "x" * 20_000}])
def test_an_event(page: httpx.Client, event: object) -> None:
    """On the short way, and on the usual one that a large event takes."""
    answer = page.post(EVENTS, json={"event": event})
    assert answer.status_code == 200
    assert allowed_by(answer) == OURS
    other = page.post(EVENTS, json={"event": event}, headers={"origin": THEIRS})
    assert other.status_code == 200
    assert allowed_by(other) is None


def test_an_error_shows_when_to_come_back(page: httpx.Client) -> None:
    """Also that of the short way."""
    for path in (EVENTS, "/machines/nowhere"):
        answer = page.post(path, json={})
        assert answer.status_code in (400, 404, 405)
        assert allowed_by(answer) == OURS
        assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_an_upload(page: httpx.Client) -> None:
    """The page that begins a version may upload its code."""
    for origin, allowed in ((OURS, OURS), (THEIRS, None)):
        url = page.post("/machines/door/v").json()["codeUploadUrl"]
        answer = page.post(
            url,
            headers={"origin": origin},
            data={"content-type": "application/javascript"},
            files={"file": ("door.js", b"export default 1;", "application/javascript")},
        )
        assert answer.is_success
        assert allowed_by(answer) == allowed


def test_a_stream(page: httpx.Client) -> None:
    """Its head comes with its first state, and one that does not come about is told to the page as well."""
    for origin, allowed in ((OURS, OURS), (THEIRS, None)):
        with page.stream("GET", STREAM, headers={"origin": origin}) as answer:
            assert answer.status_code == 200
            assert allowed_by(answer) == allowed
        refusal = page.get(STREAM, headers={"origin": origin, "authorization": "Bearer nonsense"})
        assert refusal.status_code == 401
        assert allowed_by(refusal) == allowed

"""What a client sees on one connection to a real HTTP server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from statekeep.domain.limits import REQUEST_BYTES_MAX
from tests.support.serving import Served, serving_api


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving_api() as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """A client that holds on to one connection, so that every answer has to be whole before the next request."""
    limits = httpx.Limits(max_connections=1)
    with httpx.Client(base_url=served.url, headers=served.admin, limits=limits) as client:
        yield client


def test_answers_of_every_kind_are_whole(client: httpx.Client) -> None:
    """With a body, without one, by HEAD, refused, and refused before the request was read."""
    events = "/machines/door/i/front/events"
    too_much = b" " * (REQUEST_BYTES_MAX + 1)
    for _ in range(2):
        assert client.post(events, json={"event": "open"}).status_code == 200
        assert client.head("/machines/door/i/front").status_code == 200
        assert (
            client.put("/machines/door/i/front/status", json={"status": "running"}).content == b""
        )
        assert client.get("/machines/door/i/nowhere").status_code == 404
        assert client.head("/nowhere").status_code == 404
        assert client.post(events, content=too_much).status_code == 413
        assert client.request("OPTIONS", "/machines").status_code == 405
        assert client.post("/machines", json={"slug": "door"}).status_code == 409


def test_a_client_may_wait_for_leave_to_send(client: httpx.Client) -> None:
    """With `Expect: 100-continue`, as curl does for larger bodies."""
    answer = client.post(
        "/machines/door/i/front/events",
        json={"event": "open"},
        headers={"expect": "100-continue"},
    )
    assert answer.status_code == 200


def test_a_connection_may_end_with_its_answer(served: Served) -> None:
    """The answer comes whole first."""
    headers = {**served.admin, "connection": "close"}
    assert httpx.get(f"{served.url}/machines", headers=headers).json()["machines"]
    assert httpx.head(f"{served.url}/machines", headers=headers).status_code == 200

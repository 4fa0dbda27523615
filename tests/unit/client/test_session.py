"""How a client talks to its server, but for the talking."""

from __future__ import annotations

from typing import Any

import pytest

from statekeep.client.errors import (
    ApiError,
    ConnectionFailedError,
    NotConnectedError,
    UnauthenticatedError,
    error_of,
)
from statekeep.client.session import Session, answer_of, is_worth_another_try
from statekeep.client.steps import Answer, Exclusively, Request, Transmission
from tests.support.client_steps import Script

ORGANIZATION = "org_uHvZHpF4STWvMg8BKVCUTg"
GET = Request("GET", "/machines")
POST = Request("POST", "/machines", body={"slug": "x"})
EVENT = Request("POST", "/machines", body={}, is_repeatable=True)
UPLOAD = Request("POST", "/import", content=iter([b"x"]), is_repeatable=True)
OURS = b'{"error":"busy","code":"overloaded"}'
LOST = ConnectionFailedError("lost")


class Wire:
    """Sends requests of a session, and remembers what went over the wire. Each answer is a status."""

    def __init__(self, session: Session, *statuses: int) -> None:
        self._session = session
        self._statuses = iter(statuses)
        self.sent: list[Transmission] = []

    def send(self, request: Request) -> Answer:
        answer: Answer = Script(self._respond).take(self._session.send(request))
        return answer

    def _respond(self, step: Any) -> Any:
        if isinstance(step, Exclusively):
            return Script(lambda call: call.function()).take(step.steps)
        assert isinstance(step, Transmission)
        self.sent.append(step)
        return answer_of(step.request, next(self._statuses), {}, b"{}")


def session(token: Any = "token", **options: Any) -> Session:
    chosen: dict[str, Any] = {"api_url": "https://host/", "org_id": None, "act_as": None}
    return Session(token, **(chosen | options))


def test_a_request_says_who_asks() -> None:
    """By headers only. Claims are ASCII, whatever is in them."""
    wire = Wire(session(org_id=ORGANIZATION, act_as={"sub": "zoë"}), 200)
    wire.send(POST)
    headers = wire.sent[0].headers
    assert headers["authorization"] == "Bearer token"
    assert headers["x-statebacked-org-id"] == ORGANIZATION
    assert headers["x-statebacked-act"] == r'{"sub":"zo\u00eb"}'
    assert (headers["content-type"], wire.sent[0].content) == ("application/json", b'{"slug":"x"}')


def test_a_request_of_nobody_says_nothing_of_anybody() -> None:
    """Uploads go to any host, and endpoints of machines need no token."""
    wire = Wire(session(org_id=ORGANIZATION, act_as={"sub": "x"}), 200)
    wire.send(Request("POST", "https://elsewhere/uploads/x", is_authorized=False))
    assert wire.sent[0].url == "https://elsewhere/uploads/x"
    assert wire.sent[0].headers.keys() == {"user-agent"}


def test_names_cannot_lead_elsewhere() -> None:
    """Whatever signs are in them."""
    wire = Wire(session(), 200)
    wire.send(
        Request(
            "GET", "/machines/{machine}", {"machine": "../a?b#c/%2F{x}"}, {"q": "a&b", "r": None}
        )
    )
    assert wire.sent[0].url == "https://host/machines/..%2Fa%3Fb%23c%2F%252F%7Bx%7D?q=a%26b"


def test_a_token_that_is_refused_is_replaced_once() -> None:
    """By whoever gives tokens. A second refusal is told."""
    tokens = iter(["old", "new", "newer"])
    wire = Wire(session(lambda: next(tokens)), 401, 200, 401, 401)
    assert wire.send(GET).status == 200
    assert [sent.headers["authorization"] for sent in wire.sent] == ["Bearer old", "Bearer new"]
    with pytest.raises(UnauthenticatedError):
        wire.send(GET)
    with pytest.raises(UnauthenticatedError):
        Wire(session("fixed"), 401).send(GET)


@pytest.mark.parametrize("url", ["", "host", "ftp://host", "https://", "localhost:8080"])
def test_a_url_is_one_of_a_server(url: str) -> None:
    """A mistake is told when the client is made."""
    with pytest.raises(ValueError, match="expected https://host"):
        session(api_url=url)


@pytest.mark.parametrize(
    ("request_", "error", "expected"),
    [
        (POST, NotConnectedError("refused"), True),
        (UPLOAD, NotConnectedError("refused"), True),
        (GET, LOST, True),
        (EVENT, LOST, True),
        (POST, LOST, False),
        (POST, error_of(503, OURS), True),
        (POST, error_of(429, b'{"error":"slow","code":"too-many-requests"}'), True),
        (UPLOAD, error_of(503, OURS), False),
        (UPLOAD, LOST, False),
        (POST, error_of(503, b"<html>"), False),
        (GET, error_of(503, b"<html>"), True),
        (GET, error_of(502, b"<html>"), True),
        (EVENT, error_of(504, b"<html>"), True),
        (GET, error_of(500, b"{}"), False),
        (GET, error_of(404, b"{}"), False),
        (GET, ValueError("x"), False),
    ],
)
def test_what_is_worth_another_try(request_: Request, error: Exception, expected: bool) -> None:
    """Where the server did nothing, or doing it twice does no harm; and what was read away cannot be sent again."""
    assert is_worth_another_try(request_, error) is expected


def test_every_status_is_welcome_where_it_is_the_authors() -> None:
    """Endpoints of machines answer what they like."""
    request = Request("GET", "/x", is_any_status_welcome=True)
    assert answer_of(request, 500, {}, b"x").body == b"x"
    with pytest.raises(ApiError):
        answer_of(GET, 301, {}, b"x")

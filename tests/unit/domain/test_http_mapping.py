"""What may leave in the name of an author."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statekeep.domain import limits
from statekeep.domain.http_mapping import HttpAnswer, UnusableAnswer, checked


def headers_of(*given: tuple[str, str], status: int = 200) -> dict[str, str]:
    answer = HttpAnswer(status, given, b"{}", "application/json")
    return dict(checked(answer).answer.headers)


def test_what_an_answer_has_where_its_author_says_nothing() -> None:
    """It is private, of the type of its body, and harmless on a shared origin."""
    assert headers_of() == {
        "cache-control": "no-store",
        "content-type": "application/json",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }


def test_an_author_may_say_otherwise() -> None:
    """But for what keeps the answer in its place."""
    headers = headers_of(
        ("Cache-Control", "max-age=60"),
        ("Content-Type", "text/html"),
        ("X-Content-Type-Options", "sniff"),
        ("Location", "https://elsewhere.example/"),
    )
    assert headers["cache-control"] == "max-age=60"
    assert headers["content-type"] == "text/html"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["location"] == "https://elsewhere.example/"


def test_a_policy_of_the_authors_comes_on_top() -> None:
    """Browsers hold to all of them."""
    policy = ("content-security-policy", "sandbox allow-scripts allow-same-origin")
    answer = checked(HttpAnswer(200, (policy,), b"", None)).answer
    policies = [value for name, value in answer.headers if name == "content-security-policy"]
    assert policies == [policy[1], "sandbox"]


@pytest.mark.parametrize(
    "name",
    [
        "Alt-Svc",
        "Clear-Site-Data",
        "Connection",
        "Content-Length",
        "Date",
        "Service-Worker-Allowed",
        "Set-Login",
        "Set-Cookie",
        "Strict-Transport-Security",
        "Transfer-Encoding",
        "Upgrade",
    ],
)
def test_headers_that_say_more_than_their_answer_are_lost(name: str) -> None:
    """And named, for the author's log."""
    answer = checked(HttpAnswer(200, ((name, "a"), ("x-a", "b")), b"", None))
    assert answer.dropped == (name.lower(),)
    assert name.lower() not in dict(answer.answer.headers)
    assert ("x-a", "b") in answer.answer.headers


@pytest.mark.parametrize("status", [204, 205, 304])
def test_answers_without_a_body_have_none(status: int) -> None:
    """Nor a type of one."""
    answer = checked(HttpAnswer(status, (), b"{}", "application/json")).answer
    assert answer.body == b""
    assert "content-type" not in dict(answer.headers)


@pytest.mark.parametrize(
    ("count", "length"), [(limits.HTTP_RESPONSE_HEADERS_MAX, 70), (1, 8_000)], ids=["many", "long"]
)
def test_an_answer_has_no_more_headers_than_clients_read(count: int, length: int) -> None:
    """What they break off at they would send again, though it counts."""
    headers = [(f"x-{number}", "y" * length) for number in range(count)]
    assert checked(HttpAnswer(200, tuple(headers), b"", None)).answer
    headers.append(("x-more", "y" * (limits.HTTP_RESPONSE_HEADERS_BYTES_MAX - 8_000)))
    with pytest.raises(UnusableAnswer, match="headers"):
        checked(HttpAnswer(200, tuple(headers), b"", None))


@pytest.mark.parametrize("status", [-1, 0, 100, 199, 600, 10**30])
def test_statuses_that_are_none(status: int) -> None:
    """The connection's own are the server's."""
    with pytest.raises(UnusableAnswer):
        checked(HttpAnswer(status, (), b"", None))


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_header_breaks_out(name: str, value: str) -> None:
    """Whatever passes is one line of Latin-1 without control characters."""
    try:
        answer = checked(HttpAnswer(200, ((name, value),), b"", None)).answer
    except UnusableAnswer:
        return
    for kept, text in answer.headers:
        line = f"{kept}: {text}".encode("latin-1")
        assert not any((byte < 32 and byte != 9) or byte == 127 for byte in line)
        assert kept == kept.lower()
        assert " " not in kept
        assert ":" not in kept

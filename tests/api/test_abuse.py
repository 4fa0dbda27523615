"""Clients that send too much, too slowly, or from too many sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import structlog

from statekeep.api.http.cors import Cors
from statekeep.api.http.express import ExpressProtocol
from statekeep.domain import limits
from tests.support.raw_http import Answer, connection, is_closed, read_answer
from tests.support.serving import Served, serving_api

EVENTS = "/machines/door/i/front/events"
OPEN = b'{"event":"open"}'
ORIGIN = "https://app.example"
DEADLINE_SECONDS = 0.5


class HastyProtocol(ExpressProtocol):
    """Its deadlines are short, so that a test need not wait for them."""

    head_seconds = DEADLINE_SECONDS
    body_seconds = DEADLINE_SECONDS


class LonelyProtocol(ExpressProtocol):
    connections_max = 2


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving_api(cors=Cors([ORIGIN])) as served:
        yield served


@pytest.fixture(scope="module")
def hasty() -> Iterator[Served]:
    with serving_api(HastyProtocol) as served:
        yield served


def head(
    served: Served, *headers: str, method: str = "POST", path: str = EVENTS, length: int = len(OPEN)
) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: here",
        f"origin: {ORIGIN}",
        f"authorization: {served.admin['authorization']}",
        f"content-length: {length}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def chunked(served: Served, path: str = EVENTS) -> bytes:
    return head(served, "transfer-encoding: chunked", path=path).replace(
        b"content-length: 16\r\n", b""
    )


def event(served: Served) -> bytes:
    return head(served) + OPEN


def refusal(served: Served, *asked: bytes) -> Answer:
    """The answer after which the connection is closed."""
    with connection(served.url) as connected:
        for part in asked:
            connected.sendall(part)
        answer = read_answer(connected)
        assert answer.headers["connection"] == "close"
        assert is_closed(connected)
    return answer


def is_cut_off(connected: socket.socket, piece: bytes, *, bytes_max: int) -> bool:
    """Whether the server closes the connection before so many bytes are sent, in pieces."""
    try:
        for _ in range(bytes_max // len(piece)):
            connected.sendall(piece)
    except OSError:
        return True
    return False


LARGE = "x: " + "x" * (limits.HEAD_BYTES_MAX + 40_000)


@pytest.mark.parametrize(
    ("status", "headers", "path"),
    [
        (431, (LARGE,), EVENTS),
        (431, (LARGE,), "/machines"),
        (431, tuple(f"x{number}: x" for number in range(limits.HEADERS_MAX)), EVENTS),
        (431, ("x: " + "x" * 100,) * 5000, EVENTS),
        (414, (), "/machines?x=" + "x" * limits.URL_BYTES_MAX),
        (414, (), "/" + "x" * (limits.HEAD_BYTES_MAX + 40_000)),
    ],
)
def test_heads_are_bounded(
    served: Served, status: int, headers: tuple[str, ...], path: str
) -> None:
    """In bytes, in the number of headers and in the length of the URL, on each way that a request can take."""
    answer = refusal(served, head(served, *headers, path=path) + OPEN)
    assert (answer.status, answer.error) == (status, "too-large")


def test_a_head_that_never_ends_is_cut_off(served: Served) -> None:
    """Long before it fills the memory, though it never becomes whole."""
    with connection(served.url) as connected:
        connected.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert is_cut_off(connected, b"x" * 10_000, bytes_max=100 * limits.MIB)


def test_a_head_up_to_the_bound_is_taken(served: Served) -> None:
    """In one piece and byte by byte, with a large body before it on the same connection."""
    large = "x: " + "x" * (limits.HEAD_BYTES_MAX - 1_000)
    body = OPEN + b" " * 500_000
    with connection(served.url) as connected:
        connected.sendall(head(served, length=len(body)) + body + head(served, large) + OPEN)
        assert [read_answer(connected).status for _ in range(2)] == [200, 200]
        for byte in head(served, "x: " + "x" * 5_000) + OPEN:
            connected.sendall(bytes([byte]))
        assert read_answer(connected).status == 200


def test_a_long_url_is_taken(served: Served) -> None:
    """Tokens stand in some."""
    path = "/machines?x=" + "x" * (limits.URL_BYTES_MAX - 100)
    with connection(served.url) as connected:
        connected.sendall(head(served, method="GET", path=path, length=0))
        assert read_answer(connected).status == 200


@pytest.mark.parametrize(
    "asked",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET ? ?\r\n",
    ],
)
def test_what_is_no_http_is_told_so(served: Served, asked: bytes) -> None:
    """In JSON, as every other mistake; also on a connection that worked before."""
    answer = refusal(served, asked)
    assert (answer.status, answer.error) == (400, "invalid-parameter")
    with connection(served.url) as connected:
        connected.sendall(event(served))
        assert read_answer(connected).status == 200
        connected.sendall(asked)
        assert read_answer(connected).status == 400
        assert is_closed(connected)


def test_requests_before_a_refused_one_are_answered(served: Served) -> None:
    """And the refused one is not, as its answer could be taken for one of theirs. On both ways."""
    for before in (event(served), head(served, "idempotency-key: k") + OPEN):
        with connection(served.url) as connected:
            connected.sendall(before + before + b"nonsense\r\n\r\n")
            statuses = [read_answer(connected).status for _ in range(2)]
            assert statuses == [200, 200]
            assert is_closed(connected) or read_answer(connected).status == 400


def test_a_raw_url_is_refused(served: Served) -> None:
    """What is not ASCII has to be escaped."""
    asked = event(served).replace(b"/front/", b"/fr\xc3\xb6nt/")
    with connection(served.url) as connected:
        connected.sendall(asked)
        assert read_answer(connected).status in (400, 404)


def test_refusals_name_the_origin_that_is_allowed(served: Served) -> None:
    """A page may see why; another page may not."""
    too_long = "/machines?x=" + "x" * limits.URL_BYTES_MAX
    answer = refusal(served, head(served, path=too_long) + OPEN)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["vary"] == "origin"
    asked = head(served, path=too_long).replace(ORIGIN.encode(), b"https://evil.example")
    answer = refusal(served, asked)
    assert "access-control-allow-origin" not in answer.headers


def test_trailers_are_bounded(served: Served) -> None:
    """They come behind a body in chunks, and are headers in all but place."""
    trailers = b"x: " + b"x" * (limits.HEAD_BYTES_MAX + 40_000)
    answer = refusal(served, chunked(served), b"10\r\n" + OPEN + b"\r\n0\r\n", trailers)
    assert (answer.status, answer.error) == (431, "too-large")


def test_trailers_are_no_headers(served: Served) -> None:
    """RFC 9110, 6.5.1: a proxy that takes a header away, or says who somebody is by one, looks at headers only."""
    token = f"authorization: {served.admin['authorization']}\r\n".encode()
    body = b"10\r\n" + OPEN + b"\r\n0\r\n"
    signed, unsigned = chunked(served), chunked(served).replace(token, b"")
    with connection(served.url) as connected:
        connected.sendall(unsigned + body + token + b"\r\n")
        assert read_answer(connected).status == 401
        connected.sendall(signed + body + b"authorization: Bearer of-nobody\r\n\r\n")
        assert read_answer(connected).status == 200


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_body_survives_an_upgrade_that_is_declined(served: Served, in_pieces: bool) -> None:
    """RFC 9110, 7.8: who ignores the wish answers the request. Java's HttpClient has that wish with each first one."""
    wish = b"\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n\r\n"
    wishing = [asked.replace(b"\r\n\r\n", wish) for asked in (head(served), chunked(served))]
    in_chunks = b"10\r\n" + OPEN + b"\r\n0\r\n\r\n"
    asked = event(served) + wishing[0] + OPEN + wishing[1] + in_chunks + event(served)
    with connection(served.url) as connected:
        connected.sendall(event(served))
        before = len(log_in(read_answer(connected)))
        for part in [asked[at : at + 1] for at in range(len(asked))] if in_pieces else [asked]:
            connected.sendall(part)
        counts = [len(log_in(read_answer(connected))) - before for _ in range(4)]
        assert counts == [1, 2, 3, 4]
    with connection(served.url) as connected:
        connected.sendall(event(served))
        assert len(log_in(read_answer(connected))) - before == 5


def test_nonsense_behind_an_upgrade_that_is_declined(served: Served) -> None:
    """It is refused like any nonsense, and no failure of ours that operators have to look at."""
    wish = b"\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n\r\n"
    wishing = head(served).replace(b"\r\n\r\n", wish) + OPEN
    with structlog.testing.capture_logs() as logs, connection(served.url) as connected:
        connected.sendall(wishing + b"no request\r\n\r\n")
        assert read_answer(connected).status == 200
        assert is_closed(connected)
    assert logs == []


def log_in(answer: Answer) -> list[str]:
    """What the machine has heard, each event once."""
    assert answer.status == 200
    log: list[str] = json.loads(answer.body)["publicContext"]["log"]
    return log


def test_bodies_in_chunks_are_bounded(served: Served) -> None:
    """As those that say how long they are."""
    chunk = b"%x\r\n" % 65_536 + b" " * 65_536 + b"\r\n"
    with connection(served.url) as connected:
        connected.sendall(chunked(served))
        for _ in range(limits.REQUEST_BYTES_MAX // 65_536 + 1):
            connected.sendall(chunk)
        assert read_answer(connected).status == 413
        connected.sendall(b"0\r\n\r\n" + event(served))
        assert read_answer(connected).status == 200


def test_what_nobody_reads_any_more_is_bounded(served: Served) -> None:
    """A request that was answered may not go on for ever."""
    chunk = b"%x\r\n" % 65_536 + b" " * 65_536 + b"\r\n"
    with connection(served.url) as connected:
        connected.sendall(chunked(served, "/nowhere"))
        assert read_answer(connected).status == 404
        assert is_cut_off(connected, chunk, bytes_max=10 * limits.UNREAD_BODY_BYTES_MAX)


@pytest.mark.parametrize(
    "sent", [b"P", b"POST /machines HT", b"POST /machines HTTP/1.1\r\nhost: h\r\n"]
)
def test_a_head_has_a_deadline(hasty: Served, sent: bytes) -> None:
    """408, and the connection is closed; whatever else was sent on it before."""
    answer = refusal(hasty, sent)
    assert (answer.status, answer.error) == (408, "timeout")
    with connection(hasty.url) as connected:
        connected.sendall(event(hasty))
        assert read_answer(connected).status == 200
        connected.sendall(sent)
        assert read_answer(connected).status == 408
        assert is_closed(connected)


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_silence_has_a_deadline(hasty: Served, sent: bytes) -> None:
    """There is nothing to answer: the connection is closed."""
    with connection(hasty.url) as connected:
        connected.sendall(sent)
        assert is_closed(connected)


@pytest.mark.parametrize("length", [len(OPEN), 100_000])
@pytest.mark.parametrize("path", [EVENTS, "/machines"])
def test_a_body_that_stalls_has_a_deadline(hasty: Served, path: str, length: int) -> None:
    """On both ways, and whoever waits for the body inside lets go."""
    answer = refusal(hasty, head(hasty, path=path, length=length), b"{")
    assert (answer.status, answer.error) == (408, "timeout")


def test_a_body_whose_request_was_answered_has_a_deadline(hasty: Served) -> None:
    """It would hold the connection for ever otherwise."""
    with connection(hasty.url) as connected:
        connected.sendall(head(hasty, path="/nowhere", length=100) + b"{")
        assert read_answer(connected).status == 404
        assert is_closed(connected)


def test_a_slow_body_that_makes_progress_is_waited_for(hasty: Served) -> None:
    """Each byte earns time, so that a body may take several times the deadline."""
    piece = b" " * int(limits.BODY_BYTES_PER_SECOND_MIN * DEADLINE_SECONDS)
    pieces = 8
    with connection(hasty.url) as connected:
        connected.sendall(head(hasty, length=pieces * len(piece) + len(OPEN)))
        for _ in range(pieces):
            connected.sendall(piece)
            # Not to wait for anything: this is what a slow link does.
            time.sleep(DEADLINE_SECONDS / 2)
        connected.sendall(OPEN)
        assert read_answer(connected).status == 200


def test_a_connection_that_is_used_is_kept(hasty: Served) -> None:
    """No deadline of an earlier request strikes a later one."""
    with connection(hasty.url) as connected:
        for _ in range(3):
            for part in (head(hasty), OPEN):
                connected.sendall(part)
            assert read_answer(connected).status == 200


def test_connections_are_bounded() -> None:
    """Further ones are told so at once; where one leaves there is room again."""
    with serving_api(LonelyProtocol) as served, ExitStack() as stack:
        first, second = (stack.enter_context(connection(served.url)) for _ in range(2))
        for connected in (first, second):
            connected.sendall(event(served))
            assert read_answer(connected).status == 200
        with connection(served.url) as surplus:
            answer = read_answer(surplus)
            assert (answer.status, answer.error) == (503, "overloaded")
            assert answer.headers["retry-after"] == "1"
            assert is_closed(surplus)
        first.sendall(event(served))
        assert read_answer(first).status == 200
        first.shutdown(socket.SHUT_WR)
        assert is_closed(first)
        with connection(served.url) as late:
            late.sendall(event(served))
            assert read_answer(late).status == 200


def test_a_connection_is_idle_from_its_last_answer_on() -> None:
    """However many requests there were before: then it is closed."""
    with serving_api(keep_alive_seconds=1) as served, connection(served.url) as connected:
        began = time.monotonic()
        while time.monotonic() < began + 1.5:
            connected.sendall(event(served))
            assert read_answer(connected).status == 200
            answered = time.monotonic()
            time.sleep(0.1)
        assert is_closed(connected)
        assert time.monotonic() - answered > 0.9

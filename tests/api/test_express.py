"""Events that take the short way are answered as by the usual way, whatever their connection does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from statekeep.api.http.express import ExpressProtocol
from statekeep.api.http.hot import HotRoutes
from tests.support.forgery import key_token
from tests.support.serving import Served, serving_api

EVENTS = "/machines/door/i/front/events"
OPEN = b'{"event":"open"}'


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving_api() as served:
        yield served


@contextmanager
def connection(served: Served) -> Iterator[socket.socket]:
    address = urlsplit(served.url)
    assert address.hostname is not None
    assert address.port is not None
    with socket.create_connection((address.hostname, address.port), timeout=20) as connected:
        yield connected


def request(
    served: Served,
    body: bytes = OPEN,
    *headers: str,
    path: str = EVENTS,
    version: str = "1.1",
    token: str | None = None,
) -> bytes:
    credentials = served.admin["authorization"] if token is None else f"Bearer {token}"
    lines = [
        f"POST {path} HTTP/{version}",
        "host: here",
        f"authorization: {credentials}",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read_answer(connected: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The next answer, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connected.recv(1)
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    body = b""
    while len(body) < int(headers["content-length"]):
        body += connected.recv(int(headers["content-length"]) - len(body))
    return int(first.split()[1]), headers, body


def ask(served: Served, asked: bytes) -> tuple[int, dict[str, str], bytes]:
    with connection(served) as connected:
        connected.sendall(asked)
        return read_answer(connected)


@pytest.mark.parametrize(
    ("body", "path", "token"),
    [
        (OPEN, EVENTS, None),
        (b'{"event":{"type":"open","n":1}}', EVENTS, None),
        (b"", EVENTS, None),
        (b"nonsense", EVENTS, None),
        (b'{"event":{}}', EVENTS, None),
        (OPEN, "/machines/door/i/nowhere/events", None),
        (OPEN, "/machines/n.o/i/nowhere/events", None),
        (OPEN, "/machines/door/events", None),
        (OPEN, "/machines//i//events", None),
        (OPEN, EVENTS, "forged"),
        (b'{"slug":"front"}', "/machines/door", None),
        (b'{"slug":"n/o"}', "/machines/door", None),
        (b'{"slug":"back","machineVersionId":"ver_none"}', "/machines/door", None),
        (b'{"slug":"back"}', "/machines/nowhere", None),
        (b'{"slug":"back"}', "/machines/", None),
        (b"nonsense", "/machines/door", None),
        (b'{"slug":"front"}', "/machines/door", "forged"),
        (b'{"slug":"front"}', "/machines/door?x=/", None),
    ],
)
def test_both_ways_answer_alike(served: Served, body: bytes, path: str, token: str | None) -> None:
    """Status, headers and body, but for what is new in every answer."""
    ask(served, request(served))  # from here on the caller is known
    short = ask(served, request(served, body, path=path, token=token))
    usual = ask(served, request(served, body, "expect: 100-continue-not", path=path, token=token))
    longer = request(served, body and body + b" " * 20_000, path=path, token=token)
    again = ask(served, request(served, body, path=path, token=token))
    for status, headers, text in (usual, ask(served, longer), again):
        assert status == short[0]
        assert headers.keys() == short[1].keys()
        if status != 200:
            assert text == short[2]


def test_a_connection_is_kept(served: Served) -> None:
    """One request after the other, and requests of the other way between them."""
    with connection(served) as connected:
        for _ in range(3):
            connected.sendall(request(served))
            assert read_answer(connected)[0] == 200
            connected.sendall(request(served, OPEN, "idempotency-key: k"))
            assert read_answer(connected)[0] == 200


def test_requests_sent_ahead_are_answered_in_order(served: Served) -> None:
    """Pipelined requests of both ways."""
    asked = [
        request(served, b'{"slug":"new"}', path="/machines/door"),
        request(served, path="/machines/door/i/new/events"),
        request(served, path="/machines/door/i/nowhere/events"),
        request(served, OPEN, "idempotency-key: k"),
        request(served),
    ]
    with connection(served) as connected:
        connected.sendall(b"".join(asked))
        assert [read_answer(connected)[0] for _ in asked] == [200, 200, 404, 200, 200]


class Counting(ExpressProtocol):
    """Counts the messages that are parsed."""

    parsed = 0

    def on_message_begin(self) -> None:
        Counting.parsed += 1
        super().on_message_begin()


def test_a_head_is_parsed_once() -> None:
    """On whichever connection it comes again, with whatever body; but not together with more, nor with less."""
    with serving_api(Counting) as served, connection(served) as one, connection(served) as other:
        head = request(served).removesuffix(OPEN)
        ajar, shut = (b'{"event":"%b"}' % name for name in (b"ajar", b"shut"))
        log: list[str] = []

        def send(*pieces: bytes, to: socket.socket = one, answers: int = 1) -> int:
            """How many messages were parsed for that."""
            before = Counting.parsed
            for piece in pieces:
                to.sendall(piece)
                # Once this is answered, that has arrived.
                ask(served, request(served, path="/machines/nowhere/i/x/events"))
            for _ in range(answers):
                status, _, body = read_answer(to)
                assert status == 200
                log[:] = msgspec.json.decode(body)["publicContext"]["log"]
            return Counting.parsed - before - len(pieces)

        assert send(head + OPEN) == 1
        assert send(head + ajar) == 0
        assert send(head + shut, to=other) == 0
        assert send(head + ajar[:-1], ajar[-1:]) == 1
        assert send(head[:20], head[20:] + shut) == 1
        assert send(head + ajar + head[:9], head[9:] + shut, answers=2) == 2
        assert send(b"\r\n" + head + ajar) == 1
        assert send(head + shut) == 0
        assert send(request(served, b'{"event":"other length"}')) == 1
        assert log == ["open", *["ajar", "shut"] * 4, "other length"]


def test_a_head_that_is_known_says_nothing_about_who_may(served: Served) -> None:
    """A token that was taken back is worth nothing, whatever came with it before."""
    with httpx.Client(base_url=served.url, headers=served.admin) as admin:
        scopes = ["events.write", "instances.write"]
        key = admin.post("/keys", json={"name": "app", "scopes": scopes}).json()
        asked = request(served, token=key_token(key["id"], key["key"]))
        with connection(served) as connected:
            for status in (200, 200, 401, 401):
                if status == 401:
                    admin.delete(f"/keys/{key['id']}")
                connected.sendall(asked)
                assert read_answer(connected)[0] == status


def test_a_request_may_come_in_pieces(served: Served) -> None:
    """Byte by byte."""
    with connection(served) as connected:
        for byte in request(served):
            connected.sendall(bytes([byte]))
        assert read_answer(connected)[0] == 200


def test_a_connection_that_is_to_be_closed_is(served: Served) -> None:
    """After the answer, which says so."""
    for asked in (request(served, OPEN, "connection: close"), request(served, version="1.0")):
        with connection(served) as connected:
            connected.sendall(asked)
            status, headers, _ = read_answer(connected)
            assert (status, headers["connection"]) == (200, "close")
            assert connected.recv(1) == b""


def test_a_client_that_leaves_harms_nobody(served: Served) -> None:
    """Before its request is whole, and before its answer."""
    with connection(served) as connected:
        connected.sendall(request(served)[:-3])
    with connection(served) as connected:
        connected.sendall(request(served))
    assert ask(served, request(served))[0] == 200


def test_a_client_that_is_cut_off_takes_no_answers_along(served: Served) -> None:
    """Its event waits for the host when what it sent ahead has its connection closed: those whose events come along with it are answered."""
    with connection(served) as first, connection(served) as cut_off, connection(served) as last:
        with served.holding_back(lambda: first.sendall(request(served))):
            broken = request(served, b"", "transfer-encoding: chunked").replace(
                b"content-length: 0\r\n", b""
            )
            cut_off.sendall(request(served) + broken + b"no length\r\n")
            assert cut_off.recv(1) == b""
            last.sendall(request(served))
            # Once this is answered, that has arrived.
            assert ask(served, request(served, path="/machines/nowhere/i/x/events"))[0] == 404
        assert read_answer(first)[0] == 200
        assert read_answer(last)[0] == 200


def test_an_upgrade_that_is_sent_ahead_is_no_event(served: Served) -> None:
    """Whoever asks for another protocol while a request is under way gets the answer to that one, and nothing else."""
    handshake = f"""GET {EVENTS} HTTP/1.1
host: here
connection: upgrade
upgrade: websocket
sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
sec-websocket-version: 13

"""
    once = request(served, b'{"event":"once"}')
    with connection(served) as eager, served.holding_back(lambda: eager.sendall(once)):
        eager.sendall(handshake.replace("\n", "\r\n").encode())
        assert ask(served, request(served, path="/machines/nowhere/i/x/events"))[0] == 404
        served.loop.call_soon_threadsafe(served.runtime.gate.set)
        status, headers, body = read_answer(eager)
        assert (status, headers["connection"]) == (200, "close")
        assert body.count(b'"once"') == 1
        assert eager.recv(1) == b""
    assert ask(served, request(served))[2].count(b'"once"') == 1


def test_answers_that_nobody_reads_are_bounded() -> None:
    """The next events of a connection wait until it has read what it was answered."""
    protocols: list[ExpressProtocol] = []

    class Watched(ExpressProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            protocols.append(self)

    with serving_api(Watched) as served, connection(served) as silent:
        silent.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        silent.sendall(request(served))
        assert read_answer(silent)[0] == 200
        for _ in range(30):
            answer = ask(served, request(served, b'{"event":"%b"}' % (b"x" * 15_000)))

        def is_handled(event: bytes) -> bool:
            silent.sendall(request(served, b'{"event":"%b"}' % event))
            return any(event in ask(served, request(served))[2] for _ in range(10))

        assert not all(is_handled(b"unread-%d." % number) for number in range(60))
        assert protocols[0].transport.get_write_buffer_size() < 3 * len(answer[2])


def test_a_lie_about_the_length_is_not_believed(served: Served) -> None:
    """Lengths that are no numbers end the connection or the request, never the server."""
    for length in ("-1", "1e3", "99999999999999999999", "2, 2"):
        asked = request(served).replace(b"content-length: 16", f"content-length: {length}".encode())
        with connection(served) as connected:
            connected.sendall(asked)
            assert connected.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 413")
    assert ask(served, request(served))[0] == 200


def test_an_answer_that_cannot_be_written_ends_its_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else: whoever was to be answered after it is."""
    ask(served, request(served))  # from here on the caller is known
    view_lines = HotRoutes.view_lines

    def break_down(self: HotRoutes, headers: dict[bytes, bytes]) -> bytes:
        if b"x-break" in headers:
            raise ZeroDivisionError
        return view_lines(self, headers)

    monkeypatch.setattr(HotRoutes, "view_lines", break_down)
    with connection(served) as broken, connection(served) as other:
        broken.sendall(request(served, OPEN, "x-break: 1"))
        other.sendall(request(served))
        assert read_answer(other)[0] == 200
        with suppress(ConnectionResetError):
            assert broken.recv(1) == b""

"""`statekeep bench`: real loads on real servers. How fast they are is nothing that a test can know."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

import msgspec
import pytest
import trustme
from msgspec.structs import replace

from statekeep.cli.benchmarking.generating import generate
from statekeep.cli.benchmarking.plan import NAME, Load, Plan, Progress, Report
from tests.support.command_line import CommandLine
from tests.support.ledger import await_that
from tests.support.server import RunningServer, server_process

PHASES = ("single", "many", "hot", "create")
FOR_EVER = "600"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RunningServer]:
    with server_process(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
def command_line(server, tmp_path) -> CommandLine:
    return CommandLine(tmp_path, SMPLY_TOKEN=server.token, SMPLY_API_URL=server.url)


def names(command_line, noun) -> list[str]:
    return [thing["name"] for thing in command_line.expect(noun, "list")]


def test_a_server_is_measured_and_left_as_it_was(command_line):
    """All phases, in their order, and what the server is."""
    keys = names(command_line, "keys")
    result = command_line.expect("bench", "--duration", "0.3", "--instances", "20")
    phases = result["phases"]
    assert tuple(phase["phase"] for phase in phases) == PHASES
    assert all(phase["answered"] > 0 and phase["p99Ms"] > 0 for phase in phases)
    assert all(phase["errors"] == {} for phase in phases)
    assert [phase["lostEvents"] for phase in phases] == [0, None, 0, None]
    assert [phase["connections"] for phase in phases] == [1, 32, 32, 32]
    assert [phase["instances"] for phase in phases] == [1, 20, 1, None]
    assert result["server"]["version"] == command_line("version").out.strip()
    assert result["server"]["diskSyncMs"] is None
    assert result["isComplete"]
    assert names(command_line, "machines") == []
    assert names(command_line, "keys") == keys


def test_phases_can_be_chosen(command_line):
    """They come in their usual order."""
    options = ("--phase", "hot", "single", "--duration", "0.1", "--instances", "2", "-c", "3")
    result = command_line.expect("bench", *options)
    phases = [(phase["phase"], phase["connections"]) for phase in result["phases"]]
    assert phases == [("single", 1), ("hot", 3)]


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_an_end_before_time_shows_what_there_is_and_clears_away(command_line, server, signal_):
    """Whoever ends it."""
    with bench(server, "--duration", FOR_EVER, "--phase", "create", "--instances", "1") as process:
        # The second one is made by what is measured.
        await_that(lambda: has_instance(command_line, "i1"), "an instance that is measured")
        process.send_signal(signal_)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    result = msgspec.json.decode(out)
    assert not result["isComplete"]
    assert [phase["phase"] for phase in result["phases"]] == ["create"]
    assert result["phases"][0]["answered"] > 0
    assert names(command_line, "machines") == []
    assert not [name for name in names(command_line, "keys") if name.startswith("statekeep-bench")]


def has_instance(command_line, name) -> bool:
    machines = names(command_line, "machines")
    arguments = ("-m", machines[0], "-i", name) if machines else ()
    return bool(machines) and command_line("instances", "get", *arguments).code == 0


@contextmanager
def bench(server, *options) -> Iterator[subprocess.Popen[bytes]]:
    variables = {"SMPLY_TOKEN": server.token, "SMPLY_API_URL": server.url}
    process = subprocess.Popen(
        [sys.executable, "-m", "statekeep", "bench", *options],
        stdout=subprocess.PIPE,
        env={**os.environ, **variables},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_server_of_its_own_leaves_nothing(tmp_path):
    """Neither a folder nor a process; what the environment says of servers is not meant for it."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    options = ("--local", "--duration", "0.2", "--instances", "5")
    process = subprocess.run(
        [sys.executable, "-m", "statekeep", "bench", *options],
        env={
            **os.environ,
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "STATEKEEP_PORT": "1",
            "STATEKEEP_RATE_LIMIT": "1",
            "SMPLY_API_URL": "http://127.0.0.1:1",
        },
        capture_output=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    result = msgspec.json.decode(process.stdout)
    assert len(result["phases"]) == len(PHASES)
    assert result["server"]["isOwn"]
    assert result["server"]["diskSyncMs"] > 0
    assert [*temporary.iterdir()] == []


def test_whoever_has_no_server_is_told_of_one(tmp_path):
    """Where nothing says which one is meant."""
    outcome = CommandLine(tmp_path)("bench")
    assert outcome.code == 1
    assert "--local" in outcome.err


def test_a_server_that_allows_too_little_is_not_measured(tmp_path):
    """What keeps it from that is told, and nothing is left all the same."""
    with server_process(tmp_path / "data", "--rate-limit", "20+60") as limited:
        command_line = CommandLine(tmp_path, SMPLY_TOKEN=limited.token, SMPLY_API_URL=limited.url)
        outcome = command_line("bench", "--duration", "0.1")
        assert names(command_line, "machines") == []
    assert outcome.code == 1
    assert "--rate-limit" in outcome.err
    assert outcome.out == ""


class Served(NamedTuple):
    """Where a moody server is, the paths that it was asked for, and itself."""

    url: str
    seen: list[str]
    http: ThreadingHTTPServer


class Moody(BaseHTTPRequestHandler):
    """Answers every fourth request with 503, and every other fourth not at all."""

    protocol_version = "HTTP/1.1"
    seen: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.path)
        kind = int(self.path.removeprefix("/base/i")) % 4
        if kind == 0:
            self.close_connection = True
            return
        self.send_response(503 if kind == 2 else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def moody() -> Iterator[Served]:
    seen: list[str] = []
    handler = type("Handler", (Moody,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield Served(f"http://127.0.0.1:{http.server_port}/base", seen, http)
        http.shutdown()
        thread.join()


def plan(url: str, **given: Any) -> Plan:
    known = {
        "token": "t",
        "machine": "m",
        "method": "POST",
        "path": f"/{NAME}",
        "body": "{}",
        "count": 40,
        "connections": 3,
        "seconds": 60,
    }
    return Plan(url=url, **{**known, **given})


def test_what_fails_is_counted_and_no_request_sent_twice(moody):
    """A connection that was closed is made anew."""
    url, seen, _ = moody
    load = generate(plan(url, is_once=True), lambda _: None)
    assert (load.sent, load.answered) == (40, 20)
    assert load.failures == {"503": 10, "connection lost": 10}
    assert sorted(seen) == sorted(f"/base/i{number}" for number in range(40))
    assert sum(load.latencies_us.values()) == 20


def test_a_server_behind_tls_is_measured(moody, monkeypatch, tmp_path):
    """Where its certificate is of an authority that all commands trust, and not otherwise."""
    url, seen, http = moody
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    http.socket = tls.wrap_socket(http.socket, server_side=True)
    secure = plan(url.replace("http:", "https:"), is_once=True, first=1, count=1, seconds=5)
    assert generate(replace(secure, seconds=0.3), lambda _: None).answered == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert generate(secure, lambda _: None).answered == 1
    assert seen == ["/base/i1"]


def test_nothing_but_failures_where_nobody_listens():
    """It ends in time all the same."""
    load = generate(plan("http://127.0.0.1:1", seconds=0.3), lambda _: None)
    assert load.answered == 0
    assert set(load.failures) == {"no connection"}


def test_a_server_that_has_gone_is_not_waited_for():
    """However much time there would be."""
    load = generate(plan("http://127.0.0.1:1", is_once=True, seconds=600), lambda _: None)
    assert load.sent == 0
    assert not load.was_stopped


def test_a_generator_ends_with_whoever_started_it(moody):
    """In good order: what it has seen is told."""
    with subprocess.Popen(
        [sys.executable, "-m", "statekeep.cli.benchmarking.generator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(plan(moody.url, seconds=600)) + b"\n")
        process.stdin.flush()
        assert isinstance(msgspec.json.decode(process.stdout.readline(), type=Report), Progress)
        process.stdin.close()
        *_, last = process.stdout
        assert process.wait(30) == 0
    load = msgspec.json.decode(last, type=Report)
    assert isinstance(load, Load)
    assert load.was_stopped

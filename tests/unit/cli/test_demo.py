"""The demo's preparations: a port, the example, what it tells people to type."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import threading
from pathlib import Path

import pytest

from statekeep.bootstrap import ReadyInfo
from statekeep.cli.commands import demo as command
from statekeep.cli.example import Deployment
from statekeep.cli.guide import show
from statekeep.cli.output import CommandFailed


@pytest.fixture
def settings_seen(monkeypatch):
    """What the demo starts a server with; no server is started."""
    seen = []

    def run_server(settings, _on_ready):
        seen.append(settings)
        return 0

    monkeypatch.setattr(command, "run_server", run_server)
    return seen


def take_ports(count: int) -> list[socket.socket]:
    """As many ports in a row as nobody else has, taken."""
    for first in range(20_000, 60_000, count):
        taken: list[socket.socket] = []
        try:
            taken.extend(socket.create_server(("127.0.0.1", first + n)) for n in range(count))
        except OSError:
            for server in taken:
                server.close()
            continue
        return taken
    raise AssertionError("this machine has no free ports")


@pytest.fixture
def ports(monkeypatch):
    """Three ports in a row of which the first two are taken; the demo tries these."""
    taken = take_ports(3)
    first = taken[0].getsockname()[1]
    taken.pop().close()
    monkeypatch.setattr(command, "_FIRST_PORT", first)
    yield range(first, first + 3)
    for server in taken:
        server.close()


def test_a_taken_port_is_passed_over(settings_seen, ports):
    """Somebody who tries things out has other servers too."""
    assert command.demo() == 0
    assert [settings.port for settings in settings_seen] == [ports[2]]


def test_a_port_that_was_asked_for_is_not_changed(settings_seen, ports):
    """Whoever names one gets that or an error."""
    command.demo(command.DemoSettings(port=ports[0]))
    assert [settings.port for settings in settings_seen] == [ports[0]]


def test_port_0_is_any_free_one(settings_seen, ports):
    """As it is to `serve`: the system chooses, whatever is free from 8080 on."""
    command.demo(command.DemoSettings(port=0))
    assert [settings.port for settings in settings_seen] == [0]


def test_where_no_port_is_free_that_is_told(settings_seen, ports, monkeypatch):
    """With the way out."""
    monkeypatch.setattr(command, "_PORTS_TRIED", 2)
    with pytest.raises(CommandFailed, match="--port"):
        command.demo()
    assert not settings_seen


def test_an_example_that_cannot_be_deployed_ends_the_demo(capsys, monkeypatch, tmp_path):
    """The server stops as if somebody had stopped it; the reason is told and the exit code is 1."""
    stopped = threading.Event()

    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (os.getpid(), signal.SIGTERM)
        stopped.set()

    def run_server(_settings, on_ready):
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        on_ready(ReadyInfo(f"http://127.0.0.1:{port}", "org_x", "session", tmp_path))
        assert stopped.wait(60)
        return 0

    monkeypatch.setattr("statekeep.cli.guide.os.kill", kill)
    monkeypatch.setattr(command, "run_server", run_server)
    assert command.demo() == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "could not be deployed" in output.err


def test_the_lines_to_paste_are_whole(capsys, monkeypatch, tmp_path):
    """However narrow the terminal; each is one command, and a shell sees the JSON in it as it is."""
    monkeypatch.setenv("COLUMNS", "20")
    show(
        ReadyInfo("http://127.0.0.1:8080", "org_x", "session", tmp_path),
        Deployment("sbk_x", Path("demo-key.json"), "eyJ.eyJ.x"),
        "http://127.0.0.1:8080/sign-in?token=x",
    )
    lines = capsys.readouterr().out.splitlines()
    create, send = (shlex.split(line) for line in lines if line.startswith("curl "))
    slug = json.loads(create[-1])["slug"]
    assert "http://127.0.0.1:8080/machines/turnstile" in create
    assert f"http://127.0.0.1:8080/machines/turnstile/i/{slug}/events" in send
    assert json.loads(send[-1])["event"]["type"] == "coin"
    for command_line in (create, send):
        assert "authorization: Bearer eyJ.eyJ.x" in command_line
    assert "  Account       http://127.0.0.1:8080/sign-in?token=x" in lines
    assert "session" not in "".join(lines)

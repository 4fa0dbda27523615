"""What machines print survives the server that took it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.deployed import Deployment, deployment
from tests.support.server import RunningServer, server_process

MACHINE = """
import { createMachine } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = ({ type }) => (console.log("asked about", type), true);
export default createMachine({
  on: {
    say: { guard: ({ event }) => (console.log("say", event.n), true), actions: () => {} },
    flood: { guard: () => { for (let n = 0; n < 30_000; n++) console.log("x".repeat(2_000)); return true; } },
  },
});
"""
TRIES_MAX = 200
"""Looks at the log, a twentieth of a second apart."""


def read_logs(server: RunningServer, **query: str) -> list[dict[str, Any]]:
    """All that is visible by now."""
    headers = {"authorization": f"Bearer {server.token}"}
    found: list[dict[str, Any]] = []
    after = "2020-01-01T00:00:00.000Z"
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as http:
        while True:
            page = http.get("/logs", params={"from": after, **query}).raise_for_status().json()
            if not page["logs"]:
                return found
            found += page["logs"]
            after = page["maxTimestamp"]


def until_said(server: RunningServer, text: str) -> list[str]:
    """The lines once that one is among them."""
    for _ in range(TRIES_MAX):
        lines = [entry["log"] for entry in read_logs(server, instance="one")]
        if text in lines:
            return lines
        time.sleep(0.05)
    pytest.fail(f"nobody said {text!r}")


def say(user: Deployment, numbers: range) -> None:
    """Events that print their number."""
    for n in numbers:
        user.sent("talker", "one", {"type": "say", "n": n})


def test_what_was_visible_survives_a_kill(tmp_path: Path) -> None:
    """And what comes after the restart follows it, attributed from the first line on."""
    with server_process(tmp_path / "data") as server, deployment(server) as user:
        user.deploy("talker", MACHINE)
        user.create("talker", "one")
        say(user, range(5))
        before = until_said(server, "say 4")
        server.process.kill()
        server.process.wait()
    with server_process(tmp_path / "data") as server, deployment(server) as user:
        assert [entry["log"] for entry in read_logs(server, instance="one")] == before
        say(user, range(5, 6))
        after = until_said(server, "say 5")
    assert after == [*before, "asked about event", "say 5"]


def test_what_was_printed_before_the_end_is_written(tmp_path: Path) -> None:
    """An orderly stop takes it along, however soon it comes."""
    with server_process(tmp_path / "data") as server, deployment(server) as user:
        user.deploy("talker", MACHINE)
        user.create("talker", "one")
        say(user, range(20))
    with server_process(tmp_path / "data") as server:
        lines = [entry["log"] for entry in read_logs(server, instance="one")]
    assert [line for line in lines if line.startswith("say")] == [f"say {n}" for n in range(20)]


def test_a_machine_that_floods_its_log_is_bounded(tmp_path: Path) -> None:
    """By event; the event itself succeeds, and so do those of others meanwhile."""
    with server_process(tmp_path / "data") as server, deployment(server) as user:
        user.deploy("talker", MACHINE)
        user.create("talker", "one")
        for _ in range(5):
            user.sent("talker", "one", {"type": "flood"})
        say(user, range(1))
        lines = until_said(server, "say 0")
    assert sum(map(len, lines)) < 5 * 70_000
    assert sum("further output is dropped" in line for line in lines) == 5

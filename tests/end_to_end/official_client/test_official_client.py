"""The official npm client, unchanged, against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.deno import run_deno
from tests.support.server import RunningServer

HERE = Path(__file__).parent


@pytest.mark.parametrize("door", ["door4.js", "door5.js"])
def test_the_official_client_works(running_server: RunningServer, door: str) -> None:
    """With nothing changed but the host: client_test.ts says what works, for machines of both majors of XState."""
    run(running_server, "client_test.ts", door)


def test_its_subscriptions_work(running_server: RunningServer) -> None:
    """realtime_test.ts says which."""
    run(running_server, "realtime_test.ts", "board.js")


def test_indexes_work(running_server: RunningServer) -> None:
    """index_test.ts says how."""
    run(running_server, "index_test.ts", "shelf.js")


def test_its_logs_work(running_server: RunningServer) -> None:
    """logs_test.ts says how."""
    run(running_server, "logs_test.ts", "talker.js")


def run(server: RunningServer, test: str, machine: str) -> None:
    """A test in Deno, with the code of a machine."""
    run_deno(
        *("test", "--quiet", "--no-prompt", "--allow-env", f"--config={HERE / 'deno.json'}"),
        *("--allow-net=127.0.0.1", f"--allow-read={HERE}"),
        str(HERE / test),
        "--",
        *(server.url, server.token, server.organization_id),
        str(HERE / machine),
    )


@pytest.mark.parametrize("door", ["door4.js", "door5.js"])
def test_its_migrations_work(running_server: RunningServer, door: str) -> None:
    """migrations_test.ts says how, for machines of both majors of XState."""
    run(running_server, "migrations_test.ts", door)

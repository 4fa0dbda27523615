"""The official npm client's anonymous sessions and token exchange, against a real server."""

from __future__ import annotations

from pathlib import Path

from tests.support.deno import run_deno
from tests.support.server import RunningServer

HERE = Path(__file__).parent


def test_the_official_client_gets_its_tokens(running_server: RunningServer) -> None:
    """With nothing changed but the host: exchange_test.ts says what works."""
    run_deno(
        *("test", "--quiet", "--no-prompt", "--allow-env", f"--config={HERE / 'deno.json'}"),
        *("--allow-net=127.0.0.1", f"--allow-read={HERE}"),
        str(HERE / "exchange_test.ts"),
        "--",
        *(running_server.url, running_server.token, running_server.organization_id),
        str(HERE / "door5.js"),
    )

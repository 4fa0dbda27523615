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
    run_deno(
        *("test", "--quiet", "--no-prompt", "--allow-env", f"--config={HERE / 'deno.json'}"),
        *("--allow-net=127.0.0.1", f"--allow-read={HERE}"),
        str(HERE / "client_test.ts"),
        "--",
        *(running_server.url, running_server.token, running_server.organization_id),
        str(HERE / door),
    )

"""A server as an operator starts it: a process of its own with a data folder of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest

from tests.support.secrets import require_no_secrets

TRIES_MAX = 300
"""Looks at a server that starts, a tenth of a second apart. The first start on a busy machine takes some seconds."""
STOPPING_SECONDS_MAX = 30


class RunningServer(NamedTuple):
    """Where a server is, and the session of its first admin."""

    url: str
    organization_id: str
    token: str
    process: subprocess.Popen[bytes]


@pytest.fixture
def running_server(tmp_path: Path) -> Iterator[RunningServer]:
    """A new server. It has to end in good order when the test is done."""
    with server_process(tmp_path / "data") as server:
        yield server


@contextmanager
def server_process(
    data_dir: Path, *options: str, port: int | None = None
) -> Iterator[RunningServer]:
    """`statekeep serve` on `data_dir`, on a free port where none is named, for as long as the context lasts.

    Fails with the server's log where it does not come up, and with a line of it where there is a secret in it when all is over.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "statekeep", "serve"]
    log = data_dir.with_suffix(".log")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--data-dir", str(data_dir), *options],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _await_health(url, process, log)
        credentials = msgspec.json.decode((data_dir / "credentials.json").read_bytes())
        yield RunningServer(url, credentials["orgId"], credentials["token"], process)
        _end(process, log)
    finally:
        process.kill()
        process.wait()
    require_no_secrets(log.read_text(), data_dir)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(TRIES_MAX):
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the server did not come up:\n{log.read_text()}")


def _end(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        status = process.wait(STOPPING_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the server did not end:\n{log.read_text()}")
    assert status == 0, log.read_text()

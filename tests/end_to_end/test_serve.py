"""`statekeep serve`, as an operator's service manager meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.secrets import require_no_secrets

COMMAND = [sys.executable, "-m", "statekeep", "serve", "--port", "0", "--log-format", "json"]


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch):
    for name in [name for name in os.environ if name.startswith("STATEKEEP_")]:
        monkeypatch.delenv(name)


@contextmanager
def serve(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """The log line that says that the server is ready; ends it as a service manager does and expects a clean end."""
    with subprocess.Popen(
        [*COMMAND, "--data-dir", str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        logged, log = [], ""
        for line in process.stderr:
            log += line
            logged.append(json.loads(line))
            if logged[-1]["event"] == "ready":
                break
        else:
            pytest.fail(f"the server ended: {logged}")
        try:
            yield logged[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            log += process.stderr.read()
            assert process.wait() == 0
    require_no_secrets(log, folder)


def test_a_first_start_is_all_it_takes(tmp_path):
    """Whoever may read credentials.json is the admin of an organization; a later start has the same one."""
    seen = []
    for _ in range(2):
        with serve(tmp_path / "data") as ready:
            credentials = json.loads(Path(ready["credentials"]).read_text())
            assert credentials["apiUrl"] == ready["url"]
            answer = httpx.get(
                f"{ready['url']}/orgs",
                headers={"authorization": f"Bearer {credentials['token']}"},
                trust_env=False,
            )
            (organization,) = answer.raise_for_status().json()["orgs"]
            assert organization["id"] == credentials["orgId"]
            assert (organization["name"], organization["role"]) == ("default", "admin")
            seen.append(organization)
    assert seen[0] == seen[1]


def test_the_file_and_the_environment_count(tmp_path, monkeypatch):
    """Also in a real process."""
    file = tmp_path / "keep.toml"
    file.write_text('public_url = "https://keep.example.com/"\nlog_level = "error"\n')
    monkeypatch.setenv("STATEKEEP_CONFIG", str(file))
    monkeypatch.setenv("STATEKEEP_LOG_LEVEL", "info")
    with serve(tmp_path / "data") as ready:
        assert ready["url"] == "https://keep.example.com"


def failed(folder: Path) -> str:
    """What a server that cannot start says."""
    result = subprocess.run(
        [*COMMAND, "--data-dir", str(folder)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_damaged_key_is_told(tmp_path):
    """With the file and the way out, and nothing is overwritten."""
    (tmp_path / "server.key").write_bytes(b"short")
    message = failed(tmp_path)
    assert "server.key" in message
    assert "backup" in message
    assert (tmp_path / "server.key").read_bytes() == b"short"


def test_a_data_folder_that_cannot_be_is_told(tmp_path):
    """With its name."""
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "data"):
        assert f"{folder}: a file is in its place" in failed(folder)


@pytest.mark.parametrize(
    ("host", "reason"), [("192.0.2.1", "no such address"), ("nowhere.invalid", "no address")]
)
def test_an_address_that_is_not_ours_is_told(tmp_path, monkeypatch, host, reason):
    """With the option that chooses another."""
    monkeypatch.setenv("STATEKEEP_HOST", host)
    message = failed(tmp_path / "data")
    assert reason in message
    assert "--host" in message

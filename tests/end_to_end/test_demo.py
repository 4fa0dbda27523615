"""`statekeep demo`, as a newcomer meets it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.secrets import require_no_secrets

COMMAND = [sys.executable, "-c", "from statekeep.cli.main import main; main()"]
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[str]:
    """What a running demo says before it waits; ends it as Ctrl-C does and expects a clean end."""
    with (
        (folder / "stderr").open("a") as stderr,
        subprocess.Popen(
            [*COMMAND, "demo", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        else:
            pytest.fail(f"the demo ended:\n{said}{(folder / 'stderr').read_text()}")
        try:
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait() == 0
    require_no_secrets((folder / "stderr").read_text(), folder / ".statekeep")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place to try things out, with no home and no settings around."""
    for name in [name for name in os.environ if name.startswith("STATEKEEP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    return tmp_path


def paste(line: str) -> Any:
    """What a shell prints for the line."""
    result = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def value(said: str, name: str) -> str:
    match = re.search(rf"^  {name} +(\S+?),?(?: |$)", said, re.MULTILINE)
    assert match is not None, said
    return match[1]


@needs_curl
def test_the_lines_work_when_pasted(folder):
    """Each alone, in the order in which they stand, after the first start and after the next."""
    keys = set()
    for _ in range(2):
        with demo(folder) as said:
            create, send = re.findall(r"^curl .*$", said, re.MULTILINE)
            assert paste(create)["state"] == "locked"
            answer = paste(send)
            assert (answer["state"], answer["tags"]) == ("unlocked", ["open"])
            assert answer["publicContext"]["creditCents"] == 100
            pushed = paste(re.sub(r"'[^']*'$", """'{"event":"push"}'""", send))
            assert pushed["publicContext"] == {"priceCents": 100, "creditCents": 0, "entries": 1}
            keys.add(value(said, "Key"))
    # What somebody built on the first start still works after the second.
    assert len(keys) == 1
    assert value(said, "Data") == str(folder / ".statekeep")


@needs_curl
def test_a_second_demo_finds_a_place_beside_the_first(folder, tmp_path):
    """The next free port, with data of its own."""
    other = tmp_path / "other"
    other.mkdir()
    with demo(folder) as first, demo(other) as second:
        assert value(first, "URL") != value(second, "URL")
        assert paste(re.findall(r"^curl .*$", second, re.MULTILINE)[0])["state"] == "locked"


@needs_curl
def test_port_0_is_told_as_the_port_that_it_became(folder):
    """In every line to paste."""
    with demo(folder, "--port", "0") as said:
        assert 1024 < int(value(said, "URL").rpartition(":")[2]) <= 65_535
        create, _ = re.findall(r"^curl .*$", said, re.MULTILINE)
        assert paste(create)["state"] == "locked"


def test_one_data_folder_has_one_server(folder):
    """The second one says so and ends with 1."""
    with demo(folder):
        result = subprocess.run(
            [*COMMAND, "demo"], cwd=folder, capture_output=True, text=True, check=False
        )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("statekeep: ")


def test_a_taken_port_that_was_asked_for_is_an_error(folder, tmp_path):
    """Told without a traceback."""
    with demo(folder) as said:
        port = value(said, "URL").rpartition(":")[2]
        result = subprocess.run(
            [*COMMAND, "serve", "--port", port, "--data-dir", str(tmp_path / "other")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "statekeep: " in result.stderr
    assert port in result.stderr
    assert "--port" in result.stderr


def test_no_secret_is_logged(folder):
    """Neither the session nor the key nor a signed URL, at the most talkative level."""
    with demo(folder, "--log-level", "debug", "--log-format", "json"):
        data = folder / ".statekeep"
        session = json.loads((data / "credentials.json").read_text())["token"]
        secret = json.loads((data / "demo-key.json").read_text())["key"]
    logs = (folder / "stderr").read_text()
    assert session not in logs
    assert secret not in logs
    assert not re.search(r"eyJ[\w-]{20}", logs)
    assert all(json.loads(line)["event"] for line in logs.splitlines())
    for name in ("credentials.json", "demo-key.json", "server.key"):
        assert (data / name).stat().st_mode & 0o077 == 0

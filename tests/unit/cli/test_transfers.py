"""What the commands export and import make of what passes through them."""

from __future__ import annotations

import os

import pytest

from statekeep.cli import main as cli

NOWHERE = ("--api-url", "http://127.0.0.1:9", "--access-token", "t")
STUB = ("migrations", "stub", "-m", "toggler", "--from", "ver_1", "--to", "ver_2", "--output")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["export"], "credentials.json"),
        (["import", "-"], "credentials.json"),
        (["export", "--api-url", "ftp://x", "--access-token", "t"], "is no URL"),
        (["export", *NOWHERE], "is the server running?"),
    ],
)
def test_a_server_that_is_not_there(arguments, reason, tmp_path, capsys):
    """Is told in one line, with what to do; no file is left."""
    output = tmp_path / "file"
    more = ["--output", str(output)] if arguments[0] == "export" else []
    assert cli.run([*arguments, *more, "--data-dir", str(tmp_path)]) == 1
    assert reason in capsys.readouterr().err.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("export", *NOWHERE, "--output"), (*STUB[:-1], *NOWHERE, STUB[-1]), ("backup",)]
)
def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(command, tmp_path, capsys):
    """By every command that writes one, before anything else is done; and what is no file, always."""
    taken, pipe = tmp_path / "taken", tmp_path / "pipe"
    taken.write_text("precious")
    os.mkfifo(pipe)
    assert cli.run([*command, str(taken), "--data-dir", str(tmp_path)]) == 1
    assert "or replace it with --overwrite" in capsys.readouterr().err
    assert cli.run([*command, str(pipe), "--data-dir", str(tmp_path), "--overwrite"]) == 1
    assert "is no file" in capsys.readouterr().err
    assert cli.run([*command, str(taken), "--data-dir", str(tmp_path), "--overwrite"]) == 1
    assert "exists already" not in capsys.readouterr().err
    assert taken.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe", "taken"]

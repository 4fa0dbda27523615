"""What the commands export and import make of what passes through them."""

from __future__ import annotations

import pytest

from statekeep.cli import main as cli


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["export"], "credentials.json"),
        (["import", "-"], "credentials.json"),
        (["export", "--api-url", "ftp://x", "--access-token", "t"], "is no URL"),
        (
            ["export", "--api-url", "http://127.0.0.1:9", "--access-token", "t"],
            "is the server running?",
        ),
    ],
)
def test_a_server_that_is_not_there(arguments, reason, tmp_path, capsys):
    """Is told in one line, with what to do; no file is left."""
    output = tmp_path / "file"
    more = ["--output", str(output)] if arguments[0] == "export" else []
    assert cli.run([*arguments, *more, "--data-dir", str(tmp_path)]) == 1
    assert reason in capsys.readouterr().err.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []

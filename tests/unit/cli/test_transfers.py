"""What the commands export and import make of what passes through them."""

from __future__ import annotations

import hashlib
import json

import pytest

from statekeep.cli import main as cli
from statekeep.cli.output import CommandFailed
from statekeep.cli.transfers import _EndCheck

LINES = b'{"type":"header"}\n{"type":"machine"}\n'
END = (
    json.dumps({"type": "end", "lines": 2, "sha256": hashlib.sha256(LINES).hexdigest()}).encode()
    + b"\n"
)


def checked(content, size):
    """How many lines there are, in pieces of that size."""
    check = _EndCheck()
    for at in range(0, len(content), size):
        check.add(content[at : at + size])
    return check.finish()


@pytest.mark.parametrize("size", [1, 2, 7, 17, 18, 19, 37, 1000])
def test_a_whole_export_is_known_by_its_end(size):
    """However it comes in pieces."""
    assert checked(LINES + END, size) == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cut off"),
        (LINES, "cut off"),
        (LINES + END[:-5], "cut off"),
        (LINES[:17] + END, "cut off"),
        (LINES + END + END, "cut off"),
        (LINES + b'{"type":"error","error":"no luck"}\n', "no luck"),
        (b"[]\n", "cut off"),
    ],
)
def test_anything_else_is_not_whole(content, reason):
    """And it says why, where the server has said it."""
    for size in (1, 18, 1000):
        with pytest.raises(CommandFailed, match=reason):
            checked(content, size)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["export"], "credentials.json"),
        (["import", "-"], "credentials.json"),
        (["export", "--url", "ftp://x", "--token", "t"], "is no URL"),
        (["export", "--url", "http://127.0.0.1:9", "--token", "t"], "nothing answers at"),
    ],
)
def test_a_server_that_is_not_there(arguments, reason, tmp_path, capsys):
    """Is told in one line, with what to do; no file is left."""
    output = tmp_path / "file"
    more = ["--output", str(output)] if arguments[0] == "export" else []
    assert cli.run([*arguments, *more, "--data-dir", str(tmp_path)]) == 1
    assert reason in capsys.readouterr().err.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []

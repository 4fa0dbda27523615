"""The starter project: written where there is room, and only there."""

from __future__ import annotations

import pytest

from tests.support.command_line import CommandLine

FILES = {"toggle.ts", "test_toggle.py", "deno.json", ".gitignore"}


@pytest.fixture
def command_line(tmp_path) -> CommandLine:
    return CommandLine(tmp_path / "home", tmp_path)


def test_it_writes_a_project_and_says_what_is_next(command_line, tmp_path):
    """Into a folder that need not exist, with a name that a shell would take apart."""
    outcome = command_line("init", str(tmp_path / "my machines"))
    assert outcome.code == 0
    assert {path.name for path in (tmp_path / "my machines").iterdir()} == FILES
    assert f"cd '{tmp_path}/my machines'" in outcome.out
    assert "dev toggle.ts" in outcome.out
    assert "pip install pytest && pytest" in outcome.out


def test_it_writes_here_where_no_folder_is_named(command_line, tmp_path):
    """Beside what is there."""
    (tmp_path / "notes.txt").touch()
    outcome = command_line("init")
    assert outcome.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "notes.txt"}
    assert "cd " not in outcome.out


@pytest.mark.parametrize("name", sorted(FILES))
def test_it_overwrites_nothing(command_line, tmp_path, name):
    """Not even a link that leads nowhere; the others are not written either."""
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    outcome = command_line("init", str(tmp_path))
    assert (outcome.code, outcome.out) == (1, "")
    assert f"has {name} already" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_no_folder(command_line, tmp_path):
    """Told without a traceback."""
    (tmp_path / "taken").touch()
    outcome = command_line("init", str(tmp_path / "taken"))
    assert outcome.code == 1
    assert "cannot write to" in outcome.err

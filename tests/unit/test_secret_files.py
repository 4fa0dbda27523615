"""Files with secrets: whole or not at all, and nobody else's."""

from __future__ import annotations

import os
import stat

import pytest

from statekeep.secret_files import create_secret_file, replace_secret_file


@pytest.fixture
def loose_umask():
    """The umask that gives most away."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("loose_umask")
@pytest.mark.parametrize("write", [create_secret_file, replace_secret_file])
def test_nobody_else_may_read_it(tmp_path, write):
    """Neither the file nor the folder that is made for it, whatever the umask."""
    path = tmp_path / "made" / "secret"
    write(path, b"x")
    assert path.read_bytes() == b"x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_creating_leaves_what_is_there(tmp_path):
    """The first one wins."""
    path = tmp_path / "secret"
    assert create_secret_file(path, b"first")
    assert not create_secret_file(path, b"second")
    assert path.read_bytes() == b"first"


def test_replacing_replaces(tmp_path):
    """And tightens what was readable by others."""
    path = tmp_path / "secret"
    path.write_bytes(b"something longer than what comes")
    path.chmod(0o644)
    replace_secret_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("write", "step"),
    [
        (create_secret_file, "fsync"),
        (create_secret_file, "link"),
        (replace_secret_file, "fsync"),
        (replace_secret_file, "replace"),
    ],
)
def test_a_failure_half_way_leaves_what_was(tmp_path, monkeypatch, write, step):
    """A full disk costs neither the old file nor does it leave a new one in part."""
    path = tmp_path / "secret"
    if write is replace_secret_file:
        path.write_bytes(b"old")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.setattr(f"statekeep.secret_files.os.{step}", _fail)
    with pytest.raises(OSError, match="disk"):
        write(path, b"new")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("write", [create_secret_file, replace_secret_file])
def test_it_is_on_disk_when_the_call_returns(tmp_path, monkeypatch, write):
    """First the content, so that the name never stands for less; then the folder, so that the name stays."""
    path = tmp_path / "secret"
    synced = []

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append(("folder" if is_folder else "content", path.exists()))

    monkeypatch.setattr("statekeep.secret_files.os.fsync", fsync)
    write(path, b"x")
    assert synced == [("content", False), ("folder", True)]


def _fail(*_args: object, **_kwargs: object) -> None:
    raise OSError("the disk is full")

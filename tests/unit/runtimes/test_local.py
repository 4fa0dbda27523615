"""Where the sockets of hosts are."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from statekeep.runtimes.local import socket_folder


@pytest.mark.parametrize("depth", [1, 60, 200])
def test_paths_of_sockets_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    """However deep the folder for temporary files lies; nobody else may look into theirs, and nothing of it stays."""
    deep = tmp_path / ("x" * depth)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with socket_folder() as folder:
        assert len(os.fsencode(folder)) <= 80
        assert Path(folder).stat().st_mode & 0o077 == 0
    assert not Path(folder).exists()
    assert list(deep.iterdir()) == []

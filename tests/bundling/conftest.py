"""Real projects in a folder of their own, bundled by the real bundler."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from statekeep.bundling import Bundler


class Project:
    """The files of an author. Paths are relative to `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, text: str) -> Path:
        """Write a file, with its folders."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"))
        return file

    def write_all(self, files: dict[str, str]) -> None:
        """Write several."""
        for path, text in files.items():
            self.write(path, text)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project. It is the working folder too, as it is for most authors."""
    folder = tmp_path.resolve() / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Project(folder)


@pytest.fixture
def progress():
    """What the bundler reports of what takes long."""
    return []


@pytest.fixture
async def bundler(project, progress, tmp_path, monkeypatch):
    """A bundler whose Deno has an empty cache."""
    monkeypatch.setenv("DENO_DIR", str(tmp_path / "deno"))
    async with Bundler(on_progress=progress.append) as bundler:
        yield bundler

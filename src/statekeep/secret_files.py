"""Files that only the user who runs the program may read.

Each appears under its name complete and on disk, or not at all, whenever the process or the machine dies.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace_secret_file(path: Path, content: bytes) -> None:
    """Make `content` the file's content: durable when this returns. Its folder is made where it is missing."""
    _write_beside(path, content, os.replace)


def create_secret_file(path: Path, content: bytes) -> bool:
    """The same for a file that must not exist yet. False where it does; it is then as it was.

    Of several processes that create one file at the same time exactly one gets True.
    """
    try:
        # Unlike a rename, a link fails where the name is taken.
        _write_beside(path, content, os.link)
    except FileExistsError:
        return False
    return True


def _write_beside(path: Path, content: bytes, put_in_place: Callable[[str, Path], None]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes it for its owner alone, so the secret is at no time readable by others.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

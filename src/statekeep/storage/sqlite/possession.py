"""Sole possession of a data directory.

The lock is the kernel's (flock), so it goes with the process however that ends; the file stays and only tells who has it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from statekeep.ports.store import StoreBusy

LOCK_FILE_NAME = "statekeep.lock"


class Possession:
    """Held between `take` and `release`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: int | None = None

    def take(self) -> None:
        """Raises StoreBusy where another process, or another store of this one, has the directory."""
        path = self._directory / LOCK_FILE_NAME
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(file, 64, 0).decode("ascii", "replace").strip()
            os.close(file)
            raise StoreBusy(self._refusal(owner)) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Safe to call twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _refusal(self, owner: str) -> str:
        return (
            f"the data directory {self._directory} is in use by process {owner or '(unknown)'}."
            " Stop that server first, or start this one with another data directory"
        )

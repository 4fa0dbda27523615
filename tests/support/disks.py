"""Disks that misbehave, under SQLite: real files behind a file system that is slow, full or broken when a test says so."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from pathlib import Path
from typing import Final

import apsw

_numbers: Final = itertools.count()


class Disk(apsw.VFS):
    """A file system of SQLite by its own `name`, sound until told otherwise. Lives as long as the test keeps it."""

    def __init__(self, *, synced_copy: Path | None = None) -> None:
        self.name = f"disk-{next(_numbers)}"
        self.seconds_per_sync = 0.0
        self.is_full = False
        self.is_broken = False
        self.syncs = 0
        self.threads: set[int] = set()
        """Threads that have synced."""
        self.is_syncing = threading.Event()
        self.may_sync = threading.Event()
        self.may_sync.set()
        self.synced_copy = synced_copy
        """A directory that has what would be left if the power failed now: files as they were when last synced."""
        self._copying = threading.Lock()
        super().__init__(self.name, base="")

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        if self.synced_copy is not None:
            (self.synced_copy / Path(filename).name).unlink(missing_ok=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:
        return _File(self, name, flags)

    def copy(self, path: Path) -> None:
        """What `path` has now would be left."""
        if self.synced_copy is not None:
            with self._copying:
                shutil.copyfile(path, self.synced_copy / path.name)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._path = Path(path) if path else None
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._disk.is_full:
            raise apsw.FullError("no space left on device")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        disk = self._disk
        if disk.is_broken:
            raise apsw.IOError("input/output error")
        disk.is_syncing.set()
        if not disk.may_sync.wait(timeout=10):
            raise apsw.IOError("stuck: the event loop itself seems to wait")
        time.sleep(disk.seconds_per_sync)
        super().xSync(flags)
        disk.syncs += 1
        disk.threads.add(threading.get_ident())
        if self._path is not None:
            disk.copy(self._path)

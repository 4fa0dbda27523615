"""A server of a benchmark's own, on a temporary folder, for when there is none to measure.

As a module it is that server: a process that serves the folder it is told until its stdin ends, so that it outlives nobody.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from statekeep.cli.connection import Target
from statekeep.cli.output import CommandFailed

if TYPE_CHECKING:
    from statekeep.bootstrap import ReadyInfo

_PAGE: Final = bytes(4096)
_SYNCS: Final = 101


class OwnServer(NamedTuple):
    """Where it is, and how long its disk takes."""

    target: Target
    sync_ms: float


class _Ready(msgspec.Struct, frozen=True):
    url: str
    organization_id: str
    token: str


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A new server with the settings that all servers have unless told otherwise, whatever the environment says. Nothing of it is left when the context ends.

    Its folder is where the system has temporary files. Raises CommandFailed where it does not start.
    """
    with TemporaryDirectory(prefix="statekeep-bench-") as folder:
        sync_ms = _measure_sync(Path(folder) / "sync")
        with _running(Path(folder) / "data") as ready:
            target = Target(
                url=ready.url, token=ready.token, organization=ready.organization_id, is_near=True
            )
            yield OwnServer(target, sync_ms)


@contextmanager
def _running(data_dir: Path) -> Iterator[_Ready]:
    # A Ctrl-C is for the benchmark, which ends the server when it needs it no more.
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            line = process.stdout.readline()
            if not line:
                raise CommandFailed("the server did not start; see above")
            yield msgspec.json.decode(line, type=_Ready)
        finally:
            process.terminate()


def _measure_sync(file: Path) -> float:
    """How long the disk takes to make a page durable, in milliseconds: the median."""
    sync = getattr(os, "fdatasync", os.fsync)
    took = []
    with file.open("wb", buffering=0) as output:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            output.write(_PAGE)
            sync(output.fileno())
            took.append(time.perf_counter() - began)
    file.unlink()
    return statistics.median(took) * 1000


def main() -> int:
    """Serve the folder that the command line names."""
    from statekeep import bootstrap
    from statekeep.logs import configure_logging
    from statekeep.settings import Settings

    configure_logging("warning", "auto")
    Thread(target=_end_with_stdin, daemon=True).start()
    return bootstrap.serve(Settings(data_dir=Path(sys.argv[1]), port=0), _tell)


def _end_with_stdin() -> None:
    # Nobody writes to it: this returns when whoever started the server is gone.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _tell(info: ReadyInfo) -> None:
    ready = _Ready(info.url, info.organization_id, info.token)
    sys.stdout.buffer.write(msgspec.json.encode(ready) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())

"""What the commands export and import do: bytes between a file and the server, never all of them in memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import httpx
from rich.console import Console

from statekeep.cli.api import Connection, connected, require_success
from statekeep.cli.output import CommandFailed, say
from statekeep.cli.progress import byte_progress

_PIECE_BYTES: Final = 256 * 1024
_STANDARD: Final = Path("-")


def export_to(output: Path, connection: Connection, *, machine: str | None, journal: str) -> None:
    """Write an export, whole or not at all where it is a file. Raises CommandFailed."""
    path = "/export" if machine is None else f"/machines/{machine}/export"
    with (
        connected(connection) as client,
        _writing(output) as file,
        client.stream("GET", path, params={"journal": journal}) as answer,
    ):
        require_success(answer)
        with byte_progress("Exported") as count:
            lines = _copy(answer.iter_bytes(), file, count)
    summary = {"file": str(output), "lines": lines}
    if output != _STANDARD:
        _tell(summary, f"{lines} lines in {output}")


def import_from(file: Path, connection: Connection) -> None:
    """Send an export to the server. Raises CommandFailed."""
    headers = {"content-type": "application/x-ndjson"}
    with connected(connection) as client, _reading(file) as source:
        with byte_progress("Imported") as count:
            answer = _post(client, _pieces(source, file, count), headers)
        require_success(answer)
        summary = answer.json()
    machines = ", ".join(summary["machines"]) or "no machines"
    _tell(summary, f"{machines}: {summary['instances']} instances, {summary['timers']} timers")


def _post(
    client: httpx.Client, content: Iterator[bytes], headers: dict[str, str]
) -> httpx.Response:
    with client.stream("POST", "/import", content=content, headers=headers) as answer:
        answer.read()
    return answer


def _copy(parts: Iterator[bytes], file: BinaryIO, count: Callable[[int], None]) -> int:
    """The number of lines. Raises CommandFailed where the end is missing, or is that of something else."""
    check = _EndCheck()
    for part in parts:
        check.add(part)
        file.write(part)
        count(len(part))
    return check.finish()


class _EndCheck:
    """Looks whether what passes by is a whole export. Keeps one line."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._line = bytearray()
        self._lines = 0

    def add(self, part: bytes) -> None:
        """The next bytes."""
        self._line += part
        # The last line may be the end, so it waits until there is another, complete or not.
        begin = self._line.rfind(b"\n", 0, -1) + 1
        self._sum.update(self._line[:begin])
        self._lines += self._line.count(b"\n", 0, begin)
        del self._line[:begin]

    def finish(self) -> int:
        """The number of lines, the end among them."""
        try:
            end = json.loads(self._line)
        except ValueError:
            end = None
        end = end if isinstance(end, dict) else {}
        if end.get("type") == "error":
            raise CommandFailed(f"the server ended the export early: {end.get('error')}")
        if (end.get("type"), end.get("sha256")) != ("end", self._sum.hexdigest()):
            raise CommandFailed("the export was cut off: try again")
        return self._lines + 1


@contextmanager
def _writing(output: Path) -> Iterator[BinaryIO]:
    """The file under another name until it is whole. Exports hold private things, so nobody else may read it."""
    if output == _STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = output.with_name(f"{output.name}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with _gzipped(file, output) as target:
                yield target
            file.flush()
            os.fsync(file.fileno())
        partial.replace(output)
    except OSError as error:
        raise CommandFailed(f"cannot write {output}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _gzipped(file: BinaryIO, output: Path) -> Iterator[BinaryIO]:
    if output.suffix != ".gz":
        yield file
        return
    # Level 6 takes half the time of 9, and is as small to a percent.
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, filename="") as target:
        yield cast(BinaryIO, target)


@contextmanager
def _reading(file: Path) -> Iterator[BinaryIO]:
    if file == _STANDARD:
        yield sys.stdin.buffer
        return
    with _opened(file) as plain:
        yield cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if file.suffix == ".gz" else plain


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise CommandFailed(f"cannot read {file}: {error.strerror}") from error


def _pieces(source: BinaryIO, file: Path, count: Callable[[int], None]) -> Iterator[bytes]:
    try:
        while piece := source.read(_PIECE_BYTES):
            yield piece
            count(len(piece))
    except (OSError, EOFError, zlib.error) as error:
        raise CommandFailed(f"cannot read {file}: {error}") from error


def _tell(summary: dict[str, Any], text: str) -> None:
    """For people on a terminal a sentence, for programs JSON."""
    say(text if Console().is_terminal else json.dumps(summary))

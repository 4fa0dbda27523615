"""Bundles authors' files with a process that stays warm."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from statekeep.bundling import protocol
from statekeep.bundling.bundle import BuildFailed, Bundle, Diagnostic
from statekeep.bundling.packing import pack
from statekeep.bundling.process import BundlerProcess
from statekeep.bundling.project import Dialect, Kind, configuration_of, root_of
from statekeep.bundling.protocol import Entry, FailedFrame
from statekeep.domain.limits import CODE_BYTES_MAX


def _nobody(_: str) -> None:
    return


class Bundler:
    """Builds entry files, again and again. To be entered as a context; its process is started when it is first needed.

    `on_progress` hears a line of text about what takes long: what Deno fetches.
    """

    def __init__(self, *, on_progress: Callable[[str], None] = _nobody) -> None:
        self._on_progress = on_progress
        self._process: BundlerProcess | None = None
        self._starting = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def bundle(self, entry: Path, dialect: Dialect, *, kind: Kind = Kind.MACHINE) -> Bundle:
        """One module of the file and all that it imports.

        The first build of an entry takes a few hundred milliseconds, and longer where Deno has to fetch; what was read is kept then, and building
        again takes a few milliseconds. Several entries may be built at once. Nothing is written to the project, but for a `deno.lock` that it has.

        Raises BuildFailed where the author's files make no bundle that a server would take, and BundlerUnavailable where that is not their fault;
        the next call starts anew then.
        """
        described = _entry(entry, dialect, kind)
        process = await self._running()
        outcome = await process.bundle(described)
        working_folder = Path.cwd()
        warnings = protocol.diagnostics_of(outcome.warnings, working_folder)
        inputs = _inputs(described, dialect, outcome.inputs)
        if isinstance(outcome, FailedFrame):
            errors = protocol.diagnostics_of(outcome.errors, working_folder)
            raise BuildFailed(errors, warnings=warnings, inputs=inputs)
        # Compressing is the work of a thread: other entries and their server go on.
        return await asyncio.to_thread(pack, outcome, inputs, warnings)

    def forget(self, entry: Path, dialect: Dialect, *, kind: Kind = Kind.MACHINE) -> None:
        """Free what is kept of an entry. Building it again begins anew."""
        if self._process is not None and entry.is_file():
            self._process.forget(_entry(entry, dialect, kind))

    async def _running(self) -> BundlerProcess:
        async with self._starting:
            if self._process is None or not self._process.is_alive:
                self._process = await self._start()
            return self._process

    async def _start(self) -> BundlerProcess:
        await self._stack.aclose()
        scratch = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="statekeep-"))
        process = await BundlerProcess.start(scratch, self._on_progress)
        self._stack.push_async_callback(process.close)
        return process


def _entry(entry: Path, dialect: Dialect, kind: Kind) -> Entry:
    if not entry.is_file():
        raise BuildFailed((Diagnostic(f"There is no file {entry}"),))
    # The bundler knows files by their real paths.
    path = entry.resolve()
    root = root_of(path, dialect)
    return Entry(str(path), str(root), dialect.value, kind.value, CODE_BYTES_MAX)


def _inputs(entry: Entry, dialect: Dialect, files: list[str]) -> tuple[Path, ...]:
    configuration = configuration_of(Path(entry.path), Path(entry.root), dialect)
    return tuple(sorted({*map(Path, files), *configuration}))

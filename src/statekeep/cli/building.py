"""Code from an author's files, built and looked at before it is sent anywhere."""

from __future__ import annotations

import gzip
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from statekeep.cli.options import CodeOptions
from statekeep.cli.output import CommandFailed, tell, warn
from statekeep.cli.progress import busy

if TYPE_CHECKING:
    from statekeep.bundling import Dialect, Kind

T = TypeVar("T")


def build_machine(code: CodeOptions, *, skip_validation: bool = False) -> bytes:
    """The code of a machine, gzipped for the upload. Raises Misused, and CommandFailed with the author's file and line."""
    from statekeep.bundling import Kind

    module = _module(code, Kind.MACHINE)
    if not skip_validation:
        _inspect(module, code.file)
    return gzip.compress(module, mtime=0)


def validate(code: CodeOptions) -> None:
    """Raises as `build_machine` does, and nothing more."""
    from statekeep.bundling import Kind

    _inspect(_module(code, Kind.MACHINE), code.file)


def build_migration(code: CodeOptions) -> bytes:
    """The same for a migration."""
    from statekeep.bundling import Kind, inspect_migration

    module = _module(code, Kind.MIGRATION)
    with _told_of_refusal(code.file), busy("Checking the migration"):
        _relay(_await(inspect_migration(module)))
    return gzip.compress(module, mtime=0)


def _inspect(module: bytes, file: Path) -> None:
    """Raises CommandFailed with the reason where a server would refuse the code of a machine."""
    from statekeep.bundling import inspect_machine

    with _told_of_refusal(file), busy("Checking the bundle"):
        facts = _await(inspect_machine(module))
    _relay(facts.output)


def _module(code: CodeOptions, kind: Kind) -> bytes:
    """The module, as a server keeps it."""
    from statekeep.bundling import Dialect

    file = code.file
    if code.js is not None:
        return _read(file)
    return _bundle(file, Dialect.DENO if code.node is None else Dialect.NODE, kind)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"cannot read {path}: {error.strerror}") from error


def _bundle(entry: Path, dialect: Dialect, kind: Kind) -> bytes:
    from statekeep.bundling import BuildFailed, Bundler, BundlerUnavailable

    async def run() -> bytes:
        with busy(f"Bundling {entry}") as progress:
            async with Bundler(on_progress=progress) as bundler:
                bundle = await bundler.bundle(entry, dialect, kind=kind)
        for warning in bundle.warnings:
            warn(str(warning))
        return bundle.code

    try:
        return _await(run())
    except BuildFailed as error:
        raise CommandFailed(f"{entry} could not be built:\n\n{error}") from error
    except BundlerUnavailable as error:
        raise CommandFailed(str(error)) from error


def _await(work: Coroutine[Any, Any, T]) -> T:
    # Commands that share a module with those that build should not wait for it.
    import asyncio

    return asyncio.run(work)


def _relay(lines: tuple[str, ...]) -> None:
    """What the code printed while it was loaded."""
    for line in lines:
        tell(line.rstrip("\n"))


@contextmanager
def _told_of_refusal(file: Path) -> Iterator[None]:
    from statekeep.domain.errors import InvalidCode

    try:
        yield
    except InvalidCode as error:
        stack = getattr(error, "stack", None)
        where = f"\n{stack}" if stack else ""
        raise CommandFailed(f"no server would take the bundle of {file}: {error}{where}") from error

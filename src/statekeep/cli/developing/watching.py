"""Hears of files that are saved."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

QUIET_MILLISECONDS: Final = 20
"""Changes with less than that between them are heard of together: an editor's save is several."""
_DEBOUNCE_MILLISECONDS: Final = 500
"""After so long they are heard of even where they do not end."""
_BEGUN_WITHIN_MILLISECONDS: Final = 250
"""The watcher says that nothing happened so often, and so, first of all, that it has begun."""


async def saves(paths: Iterable[Path]) -> AsyncGenerator[frozenset[Path], None]:
    """Which of the paths changed, whenever some did; first of all none, once changes are heard of.

    The paths are absolute. They need not exist: to be made is a change, as it is to be removed.
    """
    wanted = _with_missing_folders(paths)

    def is_wanted(_: Change, path: str) -> bool:
        return Path(path) in wanted

    # Folders rather than files: editors put another file in the place of the one that is saved.
    watcher = awatch(
        *folders_of(paths),
        watch_filter=is_wanted,
        recursive=False,
        debounce=_DEBOUNCE_MILLISECONDS,
        step=QUIET_MILLISECONDS,
        rust_timeout=_BEGUN_WITHIN_MILLISECONDS,
        yield_on_timeout=True,
    )
    has_begun = False
    async with aclosing(watcher):
        async for changes in watcher:
            if changes or not has_begun:
                has_begun = True
                yield frozenset(Path(path) for _, path in changes)


def folders_of(paths: Iterable[Path]) -> frozenset[Path]:
    """The folders to listen to: those of the paths, or what is there above them."""
    return frozenset(_nearest_folder(path) for path in paths)


def _nearest_folder(path: Path) -> Path:
    return next(folder for folder in path.parents if folder.is_dir())


def _with_missing_folders(paths: Iterable[Path]) -> frozenset[Path]:
    wanted = set(paths)
    for path in paths:
        wanted.update(folder for folder in path.parents if not folder.is_dir())
    return frozenset(wanted)

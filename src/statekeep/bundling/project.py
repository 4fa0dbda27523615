"""The project that an entry file belongs to: its folder, whose tools it was written for, the files that configure it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final


class Dialect(Enum):
    """Whose rules say what an import means."""

    NODE = "node"
    """Packages come from `node_modules`; `tsconfig.json` counts. Nothing is fetched."""
    DENO = "deno"
    """As Deno resolves them: import maps, `npm:`, `jsr:`, `https:`. Deno fetches what is not in its cache."""

    @classmethod
    def of(cls, entry: Path) -> Dialect:
        """Deno's where the nearest configuration above the file is Deno's, or where there is none; else Node's.

        A single file needs nothing but what the server provides, mostly, and `npm:` says where anything else comes from.
        """
        for folder in entry.resolve().parents:
            if _has_one_of(folder, _MARKS[cls.DENO]):
                return cls.DENO
            if _has_one_of(folder, _MARKS[cls.NODE]):
                return cls.NODE
        return cls.DENO


class Kind(Enum):
    """What is built."""

    MACHINE = "machine"
    """Imports XState from the server."""
    MIGRATION = "migration"
    """Imports nothing: what it needs is in the bundle."""


_MARKS: Final = {
    Dialect.NODE: ("package.json",),
    Dialect.DENO: ("deno.json", "deno.jsonc"),
}
_CONFIGURATION: Final = {
    Dialect.NODE: ("package.json", "tsconfig.json", "jsconfig.json"),
    Dialect.DENO: ("deno.json", "deno.jsonc", "deno.lock", "package.json"),
}


def root_of(entry: Path, dialect: Dialect) -> Path:
    """The nearest folder above the file that is a project of that dialect, or else the file's own. `entry` is absolute."""
    for folder in entry.parents:
        if _has_one_of(folder, _MARKS[dialect]):
            return folder
    return entry.parent


def configuration_of(entry: Path, root: Path, dialect: Dialect) -> Iterator[Path]:
    """The files from the entry's folder up to the root that say how to build."""
    for folder in entry.parents:
        for name in _CONFIGURATION[dialect]:
            if (folder / name).is_file():
                yield folder / name
        if folder == root:
            return


def _has_one_of(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in names)

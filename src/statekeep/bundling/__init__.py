"""From an author's file to a module that a server takes: bundling, and a look at the result before it is uploaded.

    async with Bundler() as bundler:
        bundle = await bundler.bundle(Path("src/turnstile.ts"), Dialect.NODE)
    facts = await inspect_machine(bundle.code)

What is built is told in values of `bundle.py`; what fails is a BuildFailed with the author's file and line. docs/bundling.md is for those who write
machines, docs/decisions/0012-esbuild-in-the-wheel.md says why it is done this way.
"""

from statekeep.bundling.bundle import (
    BuildFailed,
    Bundle,
    BundlerUnavailable,
    Diagnostic,
    Note,
    Place,
)
from statekeep.bundling.bundler import Bundler
from statekeep.bundling.inspection import MachineFacts, inspect_machine, inspect_migration
from statekeep.bundling.project import Dialect, Kind

__all__ = [
    "BuildFailed",
    "Bundle",
    "Bundler",
    "BundlerUnavailable",
    "Diagnostic",
    "Dialect",
    "Kind",
    "MachineFacts",
    "Note",
    "Place",
    "inspect_machine",
    "inspect_migration",
]

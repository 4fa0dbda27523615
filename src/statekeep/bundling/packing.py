"""From what the bundler made to what is uploaded: with its source map where there is room, and within the server's bounds."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from statekeep.bundling.bundle import BuildFailed, Bundle, Diagnostic, Note
from statekeep.bundling.protocol import BundledFrame
from statekeep.domain.limits import CODE_BYTES_MAX, CODE_GZIPPED_BYTES_MAX, KIB, MIB

_MAP_COMMENT: Final = b"//# sourceMappingURL=data:application/json;base64,"
_NO_ROOM: Final = (
    "With its source map the bundle is larger than a server takes: it goes without,"
    " so stacks will show lines of the bundle"
)


def pack(built: BundledFrame, inputs: tuple[Path, ...], warnings: tuple[Diagnostic, ...]) -> Bundle:
    """The bundle. CPU-bound. Raises BuildFailed where it is larger than servers take (SPEC 10), and tells what makes it so."""
    code = built.code.encode()
    for module, has_map in ((_with_map(code, built.map), True), (code, False)):
        gzipped = compress(module)
        if excess(max(built.bytes, len(module)), gzipped) is None:
            return Bundle(
                code=module,
                gzipped=gzipped,
                has_source_map=has_map,
                imports=tuple(built.provided),
                inputs=inputs,
                warnings=warnings if has_map else (*warnings, Diagnostic(_NO_ROOM)),
            )
    text = excess(built.bytes, gzipped)
    assert text is not None
    error = Diagnostic(text, notes=(Note(_told(built.weights)),))
    raise BuildFailed((error,), warnings=warnings, inputs=inputs)


def _with_map(code: bytes, source_map: str) -> bytes:
    return b"%b%b%b\n" % (code, _MAP_COMMENT, base64.b64encode(source_map.encode()))


def compress(module: bytes) -> bytes:
    """What is uploaded. Without the time, so that the same code is the same upload. CPU-bound."""
    return gzip.compress(module, mtime=0)


def excess(size: int, gzipped: bytes) -> str | None:
    """In what a bundle of this size is larger than servers take (SPEC 10), or None."""
    if size > CODE_BYTES_MAX:
        return f"The bundle has {_mib(size)} MiB; a server takes at most {_mib(CODE_BYTES_MAX)}"
    if len(gzipped) > CODE_GZIPPED_BYTES_MAX:
        return (
            f"The bundle has {_mib(len(gzipped))} MiB gzipped;"
            f" a server takes at most {_mib(CODE_GZIPPED_BYTES_MAX)}"
        )
    return None


def _mib(size: int) -> str:
    # Up: what is too large must not look as if it were not.
    return f"{-(-size * 100 // MIB) / 100:g}"


def _told(weights: Sequence[tuple[str, int]]) -> str:
    listed = ", ".join(f"{name} ({size // KIB} KiB)" for name, size in weights)
    return f"Most of it, before it is gzipped, comes from {listed}."

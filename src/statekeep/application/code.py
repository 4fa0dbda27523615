"""From an upload to a module: unpacked within its bound, and text."""

from __future__ import annotations

import gzip
import io
import zlib
from hashlib import sha256
from typing import NamedTuple

from statekeep.domain.errors import InvalidCode, TooLarge
from statekeep.domain.limits import CODE_BYTES_MAX, CODE_GZIPPED_BYTES_MAX, MIB
from statekeep.ports.store import Upload

_GZIP_MAGIC = b"\x1f\x8b"


class Code(NamedTuple):
    """An ES module as a host loads it."""

    module: bytes
    sha256: bytes


def is_gzipped(code: bytes) -> bool:
    """Whether the bytes are a gzip stream: no text begins as one does."""
    return code.startswith(_GZIP_MAGIC)


def require_code_size(code: bytes, *, gzipped: bool) -> None:
    """Raises TooLarge where uploaded code is over its bound (SPEC 10)."""
    bound = CODE_GZIPPED_BYTES_MAX if gzipped else CODE_BYTES_MAX
    if len(code) > bound:
        kind = "gzipped code" if gzipped else "code"
        raise TooLarge(f"{kind} has at most {bound // MIB} MiB")


def unpack(upload: Upload) -> Code:
    """The module in an upload. CPU-bound: some tens of milliseconds for the largest.

    Raises InvalidCode where it is empty, broken or not UTF-8, and TooLarge where it is over its bound, having unpacked no more than
    that.
    """
    require_code_size(upload.code, gzipped=upload.is_gzipped)
    module = _gunzip(upload.code) if upload.is_gzipped else upload.code
    try:
        text = module.decode()
    except UnicodeDecodeError as error:
        raise InvalidCode("the code is not UTF-8", parameter="file") from error
    if not text.strip():
        raise InvalidCode("the code is empty", parameter="file")
    return Code(module, sha256(module).digest())


def _gunzip(code: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(code)) as stream:
            module = stream.read(CODE_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidCode(
            "the code was announced as gzipped, and is not", parameter="file"
        ) from error
    require_code_size(module, gzipped=False)
    return module

from __future__ import annotations

import gzip
from hashlib import sha256

import pytest

from statekeep.application.code import is_gzipped, unpack
from statekeep.domain.errors import InvalidCode, TooLarge
from statekeep.domain.limits import CODE_BYTES_MAX, CODE_GZIPPED_BYTES_MAX
from statekeep.ports.store import Upload

CODE = b"export default 1;"


@pytest.mark.parametrize(
    "upload",
    [
        Upload(CODE, False),
        Upload(gzip.compress(CODE), True),
        Upload(gzip.compress(CODE[:5]) + gzip.compress(CODE[5:]), True),
    ],
    ids=["plain", "gzipped", "gzipped in two pieces"],
)
def test_the_module_comes_out_whole(upload: Upload) -> None:
    """With the hash of the module, however it was packed."""
    assert unpack(upload) == (CODE, sha256(CODE).digest())
    assert is_gzipped(upload.code) is upload.is_gzipped


def test_unpacking_stops_at_the_bound() -> None:
    """What is small may unpack to as much as is allowed, and no more."""
    assert len(unpack(Upload(gzip.compress(b"x" * CODE_BYTES_MAX), True)).module) == CODE_BYTES_MAX
    with pytest.raises(TooLarge):
        unpack(Upload(gzip.compress(b"x" * (CODE_BYTES_MAX + 1)), True))


@pytest.mark.parametrize(
    "upload",
    [
        Upload(b"x" * (CODE_BYTES_MAX + 1), False),
        Upload(b"\x1f\x8b" + b"x" * CODE_GZIPPED_BYTES_MAX, True),
    ],
    ids=["plain", "gzipped"],
)
def test_uploads_over_their_bound_are_not_even_unpacked(upload: Upload) -> None:
    """Each kind has its own."""
    with pytest.raises(TooLarge):
        unpack(upload)


@pytest.mark.parametrize(
    "upload",
    [
        Upload(b"", False),
        Upload(b"\n ", False),
        Upload(b"\xff", False),
        Upload(gzip.compress(b"\xff"), True),
        Upload(b"export", True),
        Upload(gzip.compress(CODE)[:-1], True),
        Upload(gzip.compress(CODE)[:12] + b"\x00" * 20, True),
        Upload(gzip.compress(CODE) + b"trailing", True),
    ],
    ids=["empty", "blank", "bytes", "gzipped bytes", "no gzip", "cut", "garbled", "followed"],
)
def test_what_is_no_text_is_no_code(upload: Upload) -> None:
    """InvalidCode says why."""
    with pytest.raises(InvalidCode):
        unpack(upload)

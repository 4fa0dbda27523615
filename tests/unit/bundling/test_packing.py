from __future__ import annotations

import base64
import gzip
import random

import pytest

from statekeep.bundling.bundle import BuildFailed, Diagnostic
from statekeep.bundling.packing import pack
from statekeep.bundling.protocol import BundledFrame
from statekeep.domain.limits import CODE_BYTES_MAX, KIB, MIB
from tests.support.source_maps import source_map_of


def noise(size: int) -> str:
    """Text that gzip makes a quarter smaller, and no more."""
    return base64.b64encode(random.Random(size).randbytes(size * 3 // 4)).decode()


def built(code: str, source_map: str = '{"version":3,"sources":["a.ts"]}', size: int = 0):
    return BundledFrame(
        bytes=size or len(code.encode()),
        code=code,
        map=source_map,
        provided=["npm:xstate@5"],
        weights=[("node_modules/huge/index.js", 700 * KIB), ("src/a.ts", 2_000)],
        warnings=[],
        inputs=[],
    )


def test_the_source_map_goes_with_the_code():
    bundle = pack(built("export {};\n"), (), ())

    assert bundle.has_source_map
    assert bundle.code.startswith(b"export {};\n//# sourceMappingURL=data:")
    assert source_map_of(bundle.code)["sources"] == ["a.ts"]
    assert gzip.decompress(bundle.gzipped) == bundle.code


def test_without_room_for_it_the_code_goes_alone():
    """And it is told: stacks will show lines of the bundle."""
    warned = Diagnostic("something else")
    code = noise(MIB)

    bundle = pack(built(code, noise(MIB)), (), (warned,))

    assert not bundle.has_source_map
    assert bundle.code == code.encode()
    assert bundle.warnings[0] == warned
    assert "source map" in bundle.warnings[1].text


def test_what_is_too_large_gzipped_is_refused_with_what_makes_it_so():
    with pytest.raises(BuildFailed) as failed:
        pack(built(noise(3 * MIB // 2)), (), ())

    assert str(failed.value) == (
        "The bundle has 1.14 MiB gzipped; a server takes at most 1\n"
        "Most of it, before it is gzipped, comes from node_modules/huge/index.js (700 KiB), src/a.ts (1 KiB)."
    )


def test_what_is_too_large_unpacked_is_refused():
    """Though it would be small gzipped; the bundler does not even hand it over."""
    with pytest.raises(BuildFailed, match=r"The bundle has 10\.01 MiB; a server takes at most 10"):
        pack(built("", size=CODE_BYTES_MAX + 1), (), ())


def test_code_of_exactly_the_bound_fits():
    """Then there is no room for a map."""
    assert not pack(built("x" * CODE_BYTES_MAX), (), ()).has_source_map


def test_the_same_code_is_the_same_upload():
    """gzip would put the time into it."""
    assert pack(built("x"), (), ()).gzipped == pack(built("x"), (), ()).gzipped
    assert pack(built("x"), (), ()).gzipped[4:8] == bytes(4)

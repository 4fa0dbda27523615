from __future__ import annotations

import pytest

from statekeep.bundling.project import Dialect, configuration_of, root_of


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app/src/deep").mkdir(parents=True)
    (tmp_path / "app/src/deep/machine.ts").touch()
    return tmp_path / "app"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], Dialect.DENO),
        (["package.json"], Dialect.NODE),
        (["deno.json"], Dialect.DENO),
        (["deno.jsonc", "package.json"], Dialect.DENO),
        (["deno.json", "src/package.json"], Dialect.NODE),
        (["package.json", "src/deno.jsonc"], Dialect.DENO),
    ],
)
def test_the_nearest_configuration_tells_whose_rules_hold(folder, files, expected):
    """Deno reads package.json too, so that its own file wins beside one."""
    for name in files:
        (folder / name).touch()

    assert Dialect.of(folder / "src/deep/machine.ts") is expected


def test_the_root_is_the_nearest_project(folder):
    """Of that dialect; without one it is the file's own folder."""
    entry = folder / "src/deep/machine.ts"
    assert root_of(entry, Dialect.NODE) == entry.parent

    (folder / "package.json").touch()
    (folder / "src/deno.json").touch()

    assert root_of(entry, Dialect.NODE) == folder
    assert root_of(entry, Dialect.DENO) == folder / "src"


def test_configuration_is_looked_for_up_to_the_root(folder):
    """And not above."""
    for name in ("../package.json", "package.json", "src/tsconfig.json", "src/deno.json"):
        (folder / name).touch()
    entry = folder / "src/deep/machine.ts"

    found = list(configuration_of(entry, folder, Dialect.NODE))

    assert found == [folder / "src/tsconfig.json", folder / "package.json"]

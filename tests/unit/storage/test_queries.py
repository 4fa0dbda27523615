"""Reading named queries."""

from __future__ import annotations

import sys

import pytest

from statekeep.storage.queries import load_queries


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package whose queries are the given text."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(text: str) -> str:
        folder = tmp_path / "package_of_queries"
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "queries.sql").write_text(text)
        return str(folder.name)

    yield make
    sys.modules.pop("package_of_queries", None)


def test_queries_are_found_by_name(package):
    """What stands before the first is for readers; comments inside stay."""
    text = "-- About.\n\n-- name: one\nSELECT 1;\n\n-- name: two_2\nSELECT\n  -- why\n  2;\n"
    assert load_queries(package(text)) == {"one": "SELECT 1;", "two_2": "SELECT\n  -- why\n  2;"}


def test_a_name_is_used_once(package):
    """The second would silently replace the first."""
    with pytest.raises(ValueError, match="same name"):
        load_queries(package("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n"))

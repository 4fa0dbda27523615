"""Stubs of migrations: one question for each state that is gone."""

from __future__ import annotations

import json

from statekeep.ports.snapshots import Place
from statekeep.runtimes.javascript.migration_stub import write_stub


def places(*paths: tuple[str, ...], history: tuple[tuple[str, ...], ...] = ()) -> list[Place]:
    return [Place(()), *map(Place, paths), *(Place(path, is_history=True) for path in history)]


def asked_about(stub: str) -> list[list[str]]:
    """The states in it."""
    lines = [line for line in stub.splitlines() if "() => todo(" in line]
    return [json.loads(line.split("todo(")[1].removesuffix(")],")) for line in lines]


def test_only_states_that_are_gone_are_asked_about() -> None:
    """History states are none, and the root always is."""
    before = places(("a",), ("a", "b"), ("c",), history=(("a", "h"),))
    after = places(("a",), ("d",), history=(("c",),))
    assert asked_about(write_stub("v1", "v2", before, after)) == [["a", "b"], ["c"]]


def test_nothing_is_gone() -> None:
    """Then it says so, and has no table."""
    stub = write_stub("v1", "v2", places(("a",)), places(("a",), ("b",)))
    assert "has every state" in stub
    assert asked_about(stub) == []


def test_guesses() -> None:
    """New states that are named alike come first."""
    before = places(("paid",), ("pain",), ("zzz",))
    after = places(("pain",), ("order", "payed"), ("order",))
    stub = write_stub("v1", "v2", before, after)
    assert '// Perhaps ["order", "payed"], ["pain"]' in stub
    assert stub.count("// Perhaps") == 1


def test_any_name_is_only_text() -> None:
    """It cannot end a comment or a string."""
    odd = ('x\n");', "\u2028`${y}")
    stub = write_stub("v1", "v2", places((odd[0],), odd), places((odd[0] + "!",)))
    assert asked_about(stub) == [[odd[0]], list(odd)]
    assert "\u2028" not in stub

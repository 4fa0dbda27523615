"""The real chance."""

from __future__ import annotations

from statekeep.system import SystemEntropy


def test_chance_has_the_length_that_was_asked_for():
    """And never comes twice."""
    values = {SystemEntropy().token_bytes(16) for _ in range(100)}
    assert len(values) == 100
    assert {len(value) for value in values} == {16}

"""The steps of a schema."""

from __future__ import annotations

import pytest

from statekeep.ports.store import StoreTooNew
from statekeep.storage.schema import SchemaStep, load_schema_steps, missing_steps

STEPS = [SchemaStep(number, "title", "") for number in (1, 2, 3)]


def test_a_new_database_takes_every_step():
    """In order."""
    assert missing_steps(STEPS, 0) == STEPS


def test_an_older_database_takes_what_it_lacks():
    """And a current one nothing."""
    assert missing_steps(STEPS, 2) == STEPS[2:]
    assert missing_steps(STEPS, 3) == []


def test_a_newer_database_is_refused():
    """Both versions are named."""
    with pytest.raises(StoreTooNew, match=r"schema 4 .* up to 3"):
        missing_steps(STEPS, 4)


def test_released_steps_are_numbered_without_gaps():
    """The number of the last is the version of the schema."""
    steps = load_schema_steps("statekeep.storage.sqlite")
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert steps[0].title == "initial"

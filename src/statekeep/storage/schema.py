"""The steps by which a database came to its present form.

Each step is a file `schema/NNNN_title.sql` next to the adapter, numbered from 1 without gaps. A released step is never edited: what has to change is
another step, so that every older database arrives at the same schema.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Final, NamedTuple

from statekeep.ports.store import StoreTooNew

_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")


class SchemaStep(NamedTuple):
    """One change of the schema. A database that has taken it is at version `number`."""

    number: int
    title: str
    sql: str


def load_schema_steps(package: str) -> Sequence[SchemaStep]:
    """All steps of a package, in order."""
    steps = []
    for file in files(package).joinpath("schema").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            sql = file.read_text(encoding="utf-8")
            steps.append(SchemaStep(int(match[1]), match[2], sql))
    steps.sort()
    assert [step.number for step in steps] == list(range(1, len(steps) + 1)), "steps have gaps"
    return steps


def missing_steps(steps: Sequence[SchemaStep], version: int) -> Sequence[SchemaStep]:
    """What a database at `version` has not taken yet. Raises StoreTooNew where it has taken more than there are."""
    if version > len(steps):
        raise StoreTooNew(
            f"the database has schema {version} and this release knows schemas up to {len(steps)}:"
            " a later release has opened it. Start that release, or restore a backup made before"
        )
    return steps[version:]

"""Counting: what a scrape later shows has to be right here."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from statekeep.domain.limits import METRIC_MACHINES_MAX
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import MachineName, OrganizationId, VersionId
from statekeep.ports.metrics import OTHER_MACHINES, EventOutcome, Histogram, Metrics


def version_of(machine: str) -> MachineVersion:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    names = (OrganizationId("org_a"), MachineName(machine))
    return MachineVersion(VersionId("ver_1"), 1, *names, then, None, {}, 5, b"h")


@pytest.mark.parametrize(
    ("value", "bucket"), [(0, 0), (1, 0), (1.1, 1), (2, 1), (2.5, 2), (1e9, 2)]
)
def test_a_bound_belongs_to_its_bucket(value, bucket):
    """`le` is less or equal; what is past all bounds is counted too."""
    histogram = Histogram((1.0, 2.0))
    histogram.observe(value)
    assert histogram.counts.index(1) == bucket
    assert (histogram.count, histogram.total) == (1, value)


def test_machines_are_told_apart():
    """By organization and name, then by outcome."""
    metrics = Metrics(per_machine=True)
    metrics.count_machine(version_of("door"), EventOutcome.ACCEPTED, 3)
    metrics.count_machine(version_of("door"), EventOutcome.REFUSED, 1)
    metrics.count_machine(version_of("gate"), EventOutcome.ACCEPTED, 1)
    assert metrics.by_machine == {
        ("org_a", "door"): [3, 1, 0, 0, 0],
        ("org_a", "gate"): [1, 0, 0, 0, 0],
    }


def test_there_is_a_bound_to_machines():
    """Those past it are counted together; those that were known before stay apart."""
    metrics = Metrics(per_machine=True)
    for number in range(METRIC_MACHINES_MAX + 5):
        metrics.count_machine(version_of(f"m{number}"), EventOutcome.ACCEPTED, 1)
    metrics.count_machine(version_of("m0"), EventOutcome.ACCEPTED, 1)
    assert metrics.by_machine is not None
    assert len(metrics.by_machine) == METRIC_MACHINES_MAX + 1
    assert metrics.by_machine[OTHER_MACHINES] == [5, 0, 0, 0, 0]
    assert metrics.by_machine["org_a", "m0"] == [2, 0, 0, 0, 0]


def test_machines_are_not_counted_unless_asked_for():
    """Each would be series of its own."""
    assert Metrics().by_machine is None

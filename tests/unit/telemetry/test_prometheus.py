"""The text that Prometheus reads."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from statekeep.domain.event import Origin
from statekeep.ports.metrics import EventOutcome, Gauges, Metrics
from statekeep.telemetry.prometheus import MetricsText

GAUGES = Gauges(
    mailbox_letters=1,
    writes_waiting=2,
    timers_held=3,
    residents=4,
    resident_bytes=5,
    hosts={"running": 6, "starting": 7, "retiring": 8},
    hosts_pinned=9,
    host_requests_waiting=10,
    sockets=11,
    watchers=12,
    instances_watched=13,
    database_bytes=14,
    wal_bytes=15,
)


def families(metrics: Metrics):
    text = MetricsText(metrics, lambda: GAUGES).render().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_names_are_as_prometheus_wants_them():
    """One prefix, base units at the end, no name twice, and each explained."""
    ours = [family for name, family in families(Metrics()).items() if name.startswith("statekeep")]
    assert len(ours) > 30
    for family in ours:
        assert re.fullmatch(r"statekeep_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_writes"))
        for sample in family.samples:
            assert (family.type == "counter") == sample.name.endswith("_total")


def test_gauges_are_looked_at_when_asked():
    """Each under its name."""
    found = families(Metrics())
    values = [
        sample.value
        for name in (
            *("mailbox_letters", "writes_waiting", "timers_held", "resident_instances"),
            *("resident_bytes", "hosts", "hosts_pinned", "host_requests_waiting", "sockets"),
            *("watchers", "watched_instances", "database_size_bytes", "database_wal_size_bytes"),
        )
        for sample in found[f"statekeep_{name}"].samples
    ]
    assert values == list(range(1, 16))


def test_histograms_are_cumulative():
    """Each bucket has what is under its bound; the last one has all."""
    metrics = Metrics()
    for size in (1, 1, 3, 1000):
        metrics.batch_writes.observe(size)
    samples = families(metrics)["statekeep_commit_batch_writes"].samples
    buckets = {s.labels["le"]: s.value for s in samples if s.name.endswith("_bucket")}
    assert (buckets["1.0"], buckets["2.0"], buckets["4.0"], buckets["+Inf"]) == (2, 2, 3, 4)
    assert {s.name[-4:]: s.value for s in samples if "le" not in s.labels} == {
        "ount": 4,
        "_sum": 1005,
    }


def test_creations_are_apart_from_events():
    """Though they are counted in one place."""
    metrics = Metrics()
    metrics.events[EventOutcome.ACCEPTED][Origin.CREATION] = 7
    metrics.events[EventOutcome.FAILED][Origin.TIMER] = 2
    found = families(metrics)
    events = {
        (s.labels["outcome"], s.labels["origin"]): s.value
        for s in found["statekeep_events"].samples
    }
    assert {key: value for key, value in events.items() if value} == {("failed", "timer"): 2}
    assert found["statekeep_creations"].samples[0].value == 7


def test_machines_are_there_when_asked_for():
    """Else not even the name is."""
    metrics = Metrics(per_machine=True)
    assert metrics.by_machine is not None
    metrics.by_machine["org_a", 'a "door"'] = [1, 0, 0, 0, 0]
    sample = families(metrics)["statekeep_machine_events"].samples[0]
    assert sample.labels == {"organization": "org_a", "machine": 'a "door"', "outcome": "accepted"}
    assert "statekeep_machine_events" not in families(Metrics())

"""The metrics as Prometheus reads them (the text format; names by its best practices: base units, `_total` for what only grows).

Nothing of prometheus_client is touched before somebody scrapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from statekeep import __version__
from statekeep.domain.event import Origin
from statekeep.ports.metrics import EventOutcome, Gauges, Histogram, Metrics

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

_STATUS_CLASSES: Final = range(1, 6)


class MetricsText:
    """Renders the metrics. `look` is called at each scrape, on the event loop."""

    def __init__(self, metrics: Metrics, look: Callable[[], Gauges]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_ServerCollector(metrics, look))
        # Memory, processor time and open files of the server; those of hosts are the system's to tell.
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self) -> bytes:
        """All of it, as text of CONTENT_TYPE."""
        return generate_latest(self._registry)


class _ServerCollector(Collector):
    def __init__(self, metrics: Metrics, look: Callable[[], Gauges]) -> None:
        self._metrics = metrics
        self._look = look

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not look for names that are taken."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family of ours."""
        yield _gauge("build_info", "The version that runs.", 1, version=__version__)
        yield from _event_families(self._metrics)
        yield from _store_families(self._metrics)
        yield from _timer_families(self._metrics)
        yield from _host_families(self._metrics)
        yield from _http_families(self._metrics)
        yield from _gauge_families(self._look())


def _event_families(metrics: Metrics) -> Iterator[Metric]:
    events = _labelled("events", "Events by what came of them.", "outcome", "origin")
    creations = _labelled("creations", "Creations of instances by what came of them.", "outcome")
    for outcome in EventOutcome:
        counts = metrics.events[outcome]
        creations.add_metric([outcome.name.lower()], counts[Origin.CREATION])
        for origin in _EVENT_ORIGINS:
            events.add_metric([outcome.name.lower(), origin.name.lower()], counts[origin])
    yield events
    yield creations
    if metrics.by_machine is not None:
        yield _machine_family(metrics.by_machine)
    yield _histogram(
        "event_duration_seconds",
        "From the mailbox of an instance until the event is durable.",
        metrics.event_seconds,
    )
    yield _histogram(
        "settle_duration_seconds",
        "From there until the instance had settled, where the sender had to wait for it.",
        metrics.settle_seconds,
    )
    yield _counter(
        "settle_timeouts",
        "Senders who got the newest state because settling took too long.",
        metrics.settle_timeouts,
    )


_EVENT_ORIGINS: Final = (
    Origin.CLIENT,
    Origin.TIMER,
    Origin.MESSAGE,
    Origin.CHILD,
    Origin.LOST_CHILD,
)
"""What is delivered. The others are parts of what an event did."""


def _machine_family(by_machine: dict[tuple[str, str], list[int]]) -> Metric:
    family = _labelled(
        "machine_events",
        "Events and creations by machine and by what came of them.",
        *("organization", "machine", "outcome"),
    )
    for (organization, machine), counts in by_machine.items():
        for outcome in EventOutcome:
            family.add_metric([organization, machine, outcome.name.lower()], counts[outcome])
    return family


def _store_families(metrics: Metrics) -> Iterator[Metric]:
    yield _histogram("commit_batch_writes", "Writes of one transaction.", metrics.batch_writes)
    yield _histogram(
        "commit_duration_seconds",
        "One transaction with its sync to the disk.",
        metrics.commit_seconds,
    )
    yield _counter("writes_failed", "Writes that did not happen.", metrics.writes_failed)


def _timer_families(metrics: Metrics) -> Iterator[Metric]:
    lateness = metrics.timer_lateness_seconds
    yield _counter("timers_fired", "Timers put into mailboxes, each try.", lateness.count)
    yield _histogram("timer_lateness_seconds", "How long after it was due each was.", lateness)
    yield _counter(
        "deliveries_failed",
        "Tries to deliver a timer or a message that failed and count.",
        metrics.timers_failed,
    )
    dead = _labelled("dead_letters", "Timers and messages that were given up.", "kind")
    dead.add_metric(["timer"], metrics.dead_timers)
    dead.add_metric(["message"], metrics.dead_messages)
    yield dead
    messages = _labelled("messages", "Tries to deliver a message between instances.", "outcome")
    messages.add_metric(["delivered"], metrics.messages_delivered)
    messages.add_metric(["failed"], metrics.messages_failed)
    yield messages


def _host_families(metrics: Metrics) -> Iterator[Metric]:
    yield _counter("host_starts", "Hosts that came up.", metrics.hosts_started)
    yield _counter(
        "host_restarts", "Those that took the place of one that had died.", metrics.hosts_restarted
    )
    yield _counter("host_start_failures", "Hosts that did not come up.", metrics.host_starts_failed)
    yield _counter(
        "host_deaths", "Hosts that ended without being told to, or were killed.", metrics.hosts_died
    )
    yield _histogram(
        "host_start_duration_seconds",
        "From its start until it had loaded its machine.",
        metrics.host_start_seconds,
    )
    yield _histogram(
        "host_request_duration_seconds",
        "What hosts are asked: a burst of events, a read, an effect.",
        metrics.host_request_seconds,
    )


def _http_families(metrics: Metrics) -> Iterator[Metric]:
    responses = _labelled("http_responses", "Answers to HTTP requests by class of status.", "code")
    for first in _STATUS_CLASSES:
        count = sum(metrics.http_responses[100 * first : 100 * first + 100])
        responses.add_metric([f"{first}xx"], count)
    yield responses
    yield _counter(
        "rate_limited_requests",
        "Requests and subscriptions that were one too many for a rate.",
        metrics.requests_limited,
    )
    exchanges = _labelled("token_exchanges", "Exchanges of tokens by what came of them.", "outcome")
    exchanges.add_metric(["issued"], metrics.tokens_exchanged)
    exchanges.add_metric(["refused"], metrics.exchanges_refused)
    yield exchanges


def _gauge_families(now: Gauges) -> Iterator[Metric]:
    yield _gauge("mailbox_letters", "Events that wait in mailboxes.", now.mailbox_letters)
    yield _gauge("writes_waiting", "Writes that wait for a transaction.", now.writes_waiting)
    yield _gauge(
        "timers_held",
        "Timers due within a minute and messages on their way.",
        now.timers_held,
    )
    yield _gauge("resident_instances", "Instances in memory.", now.residents)
    yield _gauge("resident_bytes", "Roughly what they take.", now.resident_bytes)
    hosts = GaugeMetricFamily("statekeep_hosts", "Host processes by state.", labels=["state"])
    for state, count in now.hosts.items():
        hosts.add_metric([state], count)
    yield hosts
    yield _gauge(
        "hosts_pinned",
        "Running hosts that keep children alive and cannot make room.",
        now.hosts_pinned,
    )
    yield _gauge(
        "host_requests_waiting", "Requests that wait for a host.", now.host_requests_waiting
    )
    yield _gauge("sockets", "Open realtime sockets.", now.sockets)
    yield _gauge(
        "watchers", "Subscriptions of sockets and streams of server-sent events.", now.watchers
    )
    yield _gauge("watched_instances", "Instances that somebody follows.", now.instances_watched)
    yield _gauge("database_size_bytes", "The database file.", now.database_bytes)
    yield _gauge("database_wal_size_bytes", "Its write-ahead log.", now.wal_bytes)


def _labelled(name: str, help_text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"statekeep_{name}", help_text, labels=labels)


def _counter(name: str, help_text: str, value: int) -> Metric:
    return CounterMetricFamily(f"statekeep_{name}", help_text, value=value)


def _gauge(name: str, help_text: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(f"statekeep_{name}", help_text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _histogram(name: str, help_text: str, histogram: Histogram) -> Metric:
    bounds = [*(str(bound) for bound in histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    return HistogramMetricFamily(
        f"statekeep_{name}", help_text, buckets=buckets, sum_value=histogram.total
    )

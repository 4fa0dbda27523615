"""Metrics and traces of a server as an operator starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.test_metrics import OPENS, TOKEN, Samples, samples_in
from tests.support.collector import Collector, collecting
from tests.support.deployed import OPEN_TO_ALL, deployment
from tests.support.server import RunningServer, server_process

EVENT = "POST /machines/{machine}/i/{instance}/events"
MACHINE = (
    OPEN_TO_ALL
    + """
export default createMachine({
  initial: "off",
  states: {
    off: { on: { on: "on", later: "later", work: "working" } },
    on: { on: { off: "off" } },
    later: { after: { 50: "on" } },
    working: { invoke: { id: "w", src: fromPromise(async () => 1), onDone: "on" } },
  },
});
"""
)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def scrape(server: RunningServer) -> Samples:
    answer = httpx.get(f"{server.url}/metrics", headers=OPENS, trust_env=False)
    assert answer.status_code == 200
    return samples_in(answer.text)


def await_sample(server: RunningServer, *name: str) -> float:
    """The sample once it is no longer 0."""
    for _ in range(300):
        value = scrape(server)[name]
        if value:
            return value
        time.sleep(0.05)
    pytest.fail(f"{name} stays 0")


def test_everything_real_is_counted(tmp_path, monkeypatch):
    """Transactions, hosts that start and die, timers, the disk: by the parts that have no stand-in."""
    monkeypatch.setenv("STATEKEEP_METRICS_TOKEN", TOKEN)
    with (
        server_process(tmp_path / "data", "--metrics-per-machine") as server,
        deployment(server) as user,
    ):
        user.deploy("lamp", MACHINE)
        for name in ("one", "two", "three"):
            user.create("lamp", name)
        user.sent("lamp", "one", {"type": "on"})
        user.sent("lamp", "two", {"type": "later"})
        user.sent("lamp", "three", {"type": "work"})
        assert await_sample(server, "statekeep_timers_fired_total") == 1
        os.kill(_host_of(server), signal.SIGKILL)
        assert await_sample(server, "statekeep_host_deaths_total") == 1
        user.sent("lamp", "one", {"type": "off"})
        samples = scrape(server)
    machine = ("machine=lamp", f"organization={server.organization_id}", "outcome=accepted")
    # Three creations, four events, a timer and the answer of a child.
    assert samples["statekeep_machine_events_total", *machine] == 9
    assert samples[("statekeep_settle_duration_seconds_count",)] == 1
    assert samples[("statekeep_commit_duration_seconds_count",)] >= 9
    assert samples[("statekeep_commit_batch_writes_sum",)] >= 9
    assert samples[("statekeep_host_starts_total",)] == 2
    assert samples[("statekeep_host_restarts_total",)] == 1
    assert samples[("statekeep_host_request_duration_seconds_count",)] >= 7
    assert samples["statekeep_hosts", "state=running"] == 1
    assert samples[("statekeep_resident_instances",)] == 3
    assert samples[("statekeep_resident_bytes",)] > 0
    assert (
        samples[("statekeep_database_size_bytes",)]
        + samples[("statekeep_database_wal_size_bytes",)]
        >= os.stat(tmp_path / "data" / "statekeep.db").st_size
    )


def _host_of(server: RunningServer) -> int:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    (pid,) = listed.stdout.split()
    return int(pid)


def test_traces_reach_the_collector_before_the_server_has_ended(tmp_path, collector):
    """Of an event, of the timer that it set, which is linked to it, and of nothing else."""
    options = ("--otlp-endpoint", collector.url, "--metrics-token", TOKEN)
    with server_process(tmp_path / "data", *options) as server, deployment(server) as user:
        user.deploy("lamp", MACHINE)
        user.create("lamp", "one")
        user.sent("lamp", "one", {"type": "later"})
        await_sample(server, "statekeep_timers_fired_total")
    (event,) = collector.roots(EVENT)
    (timer,) = collector.roots("timer")
    (link,) = timer.links
    assert (link.trace_id, link.span_id) == (event.trace_id, event.span_id)
    assert len(collector.roots("POST /machines/{machine}")) == 1
    wholes = [span for span in collector.spans if not span.parent_span_id]
    assert len(wholes) == 3


def test_nothing_is_sent_and_nothing_loaded_unless_asked_for(tmp_path, collector, monkeypatch):
    """Variables of OpenTelemetry may be set for other programs: they turn nothing on."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    with server_process(tmp_path / "data") as server, deployment(server) as user:
        user.deploy("lamp", MACHINE)
        user.create("lamp", "one")
        user.sent("lamp", "one", {"type": "on"})
        maps = Path(f"/proc/{server.process.pid}/maps")
        loaded = maps.read_text() if maps.exists() else ""
    assert collector.exports == []
    assert "protobuf" not in loaded
    assert "opentelemetry" not in loaded


def test_the_server_imports_neither_library_by_itself():
    """An unconfigured start pays nothing for them."""
    code = "import sys, statekeep.bootstrap; print([n for n in sys.modules if n.startswith(('opentelemetry', 'prometheus'))])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"


def test_traces_without_their_packages_are_refused_in_words(tmp_path):
    """With what to install."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from statekeep.cli.main import main\n"
        "sys.argv = ['statekeep', 'serve', '--port', '0', '--data-dir', sys.argv[1],"
        " '--otlp-endpoint', 'http://127.0.0.1:1']\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "statekeep[otel]" in ended.stderr
    assert "Traceback" not in ended.stderr

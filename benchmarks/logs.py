"""What a line of output per event costs, and how soon it can be read.

    python benchmarks/logs.py [--runs 12] [--seconds 1] [--json]

Two XState 5 machines on one server, alike but for their action: it does nothing, or writes one line with console.log. Events as in
benchmarks/event_path.py, the machines in short turns, so that a moody machine is moody to both; figures are medians, ratios are of a run. The
server's own time on the processor is told as well, which does not depend on who else is at work. An
organization may write 1 MiB of logs a second: what comes on top is dropped, which is measured too, as both have to be cheap.

Then one event after the other, each with the time until GET /logs has its line. Needs wrk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import event_path
import httpx
from event_path import LUA, Load, Phase, Target, await_health, free_port, wrk

INSTANCES = 1_000
READ_BACK = 50
"""Events whose lines are waited for."""
PHASES = [Phase(32, INSTANCES), Phase(32, 1), Phase(1, 1)]
ACTIONS = {"quiet": "", "loud": 'console.log("toggled for the", context.public.count, "th time")'}


def code(action: str) -> str:
    """The machine of benchmarks/event_path.py with one more action."""
    return event_path.MACHINE.replace('actions: "bump"', 'actions: ["bump", "say"]').replace(
        "actions: { bump", f"actions: {{ say: ({{ context }}) => {{ {action} }}, bump"
    )


@contextmanager
def server(folder: Path) -> Iterator[tuple[dict[str, Target], httpx.Client]]:
    """Ours, with both machines and their instances, and a client of its admin."""
    port = free_port()
    data_dir = folder / "data"
    command = [sys.executable, "-m", "statekeep", "serve", "--port", str(port)]
    with (
        (folder / "statekeep.log").open("w") as log,
        event_path._running([*command, "--data-dir", str(data_dir)], port, log) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        await_health(url)
        credentials = json.loads((data_dir / "credentials.json").read_text())
        headers = {"authorization": f"Bearer {credentials['token']}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as admin:
            token = event_path.deploy(admin)
            targets = {}
            for name, action in ACTIONS.items():
                deploy(admin, name, code(action))
                targets[name] = Target(url, f"/machines/{name}/i/k%d/events", token, process.pid)
                create(targets[name], name)
            yield targets, admin


def deploy(admin: httpx.Client, machine: str, source: str) -> None:
    """Publish a machine."""
    admin.post("/machines", json={"slug": machine}).raise_for_status()
    begun = admin.post(f"/machines/{machine}/v").json()
    file = ("machine.js", source.encode(), "application/javascript")
    admin.post(begun["codeUploadUrl"], files={"file": file}).raise_for_status()
    version = f"/machines/{machine}/v/{begun['machineVersionId']}"
    body = {"clientInfo": "benchmark", "makeCurrent": True}
    admin.put(version, json=body).raise_for_status()


def create(target: Target, machine: str) -> None:
    """All instances of a machine."""
    headers = {"authorization": f"Bearer {target.token}"}
    with httpx.Client(base_url=target.url, headers=headers, timeout=60) as user:
        for n in range(INSTANCES):
            user.post(f"/machines/{machine}", json={"slug": f"k{n}"}).raise_for_status()


class Measured(NamedTuple):
    """What wrk saw, and what an event took of the server's processor time, its hosts excepted."""

    load: Load
    cpu_us: float


def loaded(script: Path, target: Target, phase: Phase, seconds: int) -> Measured:
    """One turn."""
    before = cpu_seconds(target.pid)
    load = wrk(script, target, phase, seconds)
    return Measured(load, (cpu_seconds(target.pid) - before) / load.requests * 1e6)


def cpu_seconds(pid: int) -> float:
    """Of all threads of a process, in the kernel and outside."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All phases of both machines, `runs` times, and how soon lines are there."""
    script = folder / "load.lua"
    script.write_text(LUA)
    loads: dict[str, dict[str, list[Measured]]] = {str(phase): {} for phase in PHASES}
    with server(folder) as (targets, admin):
        for run in range(options.runs):
            for phase in PHASES:
                # Who is first has the warmer disk.
                for name in sorted(targets, reverse=run % 2 == 0):
                    load = loaded(script, targets[name], phase, options.seconds)
                    loads[str(phase)].setdefault(name, []).append(load)
        # Until the bucket is full again.
        time.sleep(20)
        delays = [seconds_until_visible(targets["loud"], admin) for _ in range(READ_BACK)]
    sizes = {file.name: file.stat().st_size for file in (folder / "data").glob("logs.db*")}
    return {
        "phases": {phase: summary(by_name) for phase, by_name in loads.items()},
        "visible_after_ms": {
            "p50": round(statistics.median(delays) * 1e3),
            "max": round(max(delays) * 1e3),
        },
        "log_file_bytes": sum(sizes.values()),
    }


def seconds_until_visible(target: Target, admin: httpx.Client) -> float:
    """From before an event to an answer that has its line."""
    headers = {"authorization": f"Bearer {target.token}"}
    since = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    begun = time.perf_counter()
    url = f"{target.url}/machines/loud/i/k1/events"
    httpx.post(url, json={"event": "toggle"}, headers=headers).raise_for_status()
    query = {"from": since, "machine": "loud", "instance": "k1"}
    while not admin.get("/logs", params=query).raise_for_status().json()["logs"]:
        time.sleep(0.005)
    return time.perf_counter() - begun


def summary(by_name: dict[str, list[Measured]]) -> dict[str, Any]:
    """Medians, and ratios within each run."""
    pairs = list(zip(by_name["loud"], by_name["quiet"], strict=True))
    ratios = [loud.load.rps / quiet.load.rps for loud, quiet in pairs]
    figures = {
        name: {
            "rps": round(statistics.median(run.load.rps for run in runs)),
            "p50_ms": round(statistics.median(run.load.p50 for run in runs), 3),
            "p99_ms": round(statistics.median(run.load.p99 for run in runs), 3),
            "cpu_us": round(statistics.median(run.cpu_us for run in runs), 1),
        }
        for name, runs in by_name.items()
    }
    return {
        **figures,
        "loud_of_quiet": round(statistics.median(ratios), 3),
        "of_each_run": [round(ratio, 2) for ratio in ratios],
        "cpu_loud_of_quiet": round(
            statistics.median(loud.cpu_us / quiet.cpu_us for loud, quiet in pairs), 3
        ),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="statekeep-benchmark-") as folder:
        result = measure(options, Path(folder))
    print(json.dumps(result, indent=None if options.json else 2))


if __name__ == "__main__":
    main()

"""What one event costs from the socket to the disk and back, beside what it could cost at best.

    python benchmarks/event_path.py [--runs 3] [--seconds 5] [--peer DIR] [--json]

One POST is one event to one XState 5 machine that asks its `allowWrite`, durable with fsync before the answer. Load comes from wrk (one thread,
keep-alive connections, closed loop) on the same machine. All phases of a run follow each other and runs are repeated, so that a
moody machine is moody to all; figures are medians, ratios are taken within the run.

- `statekeep`: a real `statekeep serve` on a new data folder.
- `echo`: the same JSON through the same HTTP stack with nothing behind it (benchmarks/http_stack.py).
- `peer`: with --peer, a hand-written Node.js server from DIR: `node server.mjs DATABASE PORT`, which has to take the same requests at
  /machines/toggle/i/NAME. Nothing of it is in this repository.

- `commits`: bare group commits of rows like those that an event writes, by SQLite without anything around it, in batches of 1 and of 32
  (benchmarks/store_commits.py, which looks closer).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
from rich.console import Console
from rich.table import Table
from store_commits import Lane, Work, bare, run_bare

from statekeep.client import sign_token
from statekeep.domain.names import InstanceId

HERE = Path(__file__).parent
INSTANCES = 1_000
CREATED = 3_000
"""Instances made to measure creation."""
EVENT = '{"event":{"type":"toggle"}}'
MACHINE = """
import { assign, createMachine } from "npm:xstate@5";
export default createMachine({
  id: "toggle",
  initial: "off",
  context: { public: { count: 0 } },
  states: {
    off: { on: { toggle: { target: "on", actions: "bump" } } },
    on: { on: { toggle: { target: "off", actions: "bump" } } },
  },
}, {
  actions: { bump: assign({ public: ({ context }) => ({ count: context.public.count + 1 }) }) },
});
export const allowRead = ({ authContext }) => authContext.sub === "me";
export const allowWrite = ({ authContext }) => authContext.sub === "me";
"""
LUA = """
local pattern, count, body = nil, 1, nil
function init(args)
  pattern, count, body = args[1], tonumber(args[2]), args[3]
  wrk.headers["content-type"] = "application/json"
  if args[4] then wrk.headers["authorization"] = "Bearer " .. args[4] end
  math.randomseed(os.time())
  made = 0
end
local cache = {}
function request()
  local n = math.random(0, count - 1)
  if count < 0 then n = made; made = made + 1 end
  local known = cache[n]
  if known then return known end
  local path, text = pattern, body
  if pattern:find("%%d") then path = string.format(pattern, n) end
  if body:find("%%d") then text = string.format(body, n) end
  local made_request = wrk.format("POST", path, nil, text)
  if count > 0 then cache[n] = made_request end
  return made_request
end
function done(summary, latency, requests)
  local e = summary.errors
  print(string.format('JSON {"requests":%d,"rps":%.1f,"p50":%.3f,"p99":%.3f,"errors":%d}', summary.requests,
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""


class Load(msgspec.Struct):
    """What wrk saw. Latencies in ms."""

    requests: int
    rps: float
    p50: float
    p99: float
    errors: int


class Target(NamedTuple):
    """Something that takes events. `pattern` has one %d for the instance, or none."""

    url: str
    pattern: str
    token: str | None
    pid: int


class Phase(NamedTuple):
    """One way to load a target."""

    connections: int
    instances: int

    def __str__(self) -> str:
        return f"c={self.connections} over {self.instances:,}"


CREATIONS = "creations c=32"
PHASES = [Phase(1, INSTANCES), Phase(1, 1), Phase(32, INSTANCES), Phase(32, 1)]


def wrk(script: Path, target: Target, phase: Phase, seconds: int) -> Load:
    """Load a target and fail where it answered anything but 2xx."""
    arguments = [
        target.pattern,
        str(phase.instances),
        EVENT,
        *([target.token] if target.token else []),
    ]
    return _wrk(script, target.url, phase.connections, seconds, arguments)


def _wrk(script: Path, url: str, connections: int, seconds: float, arguments: list[str]) -> Load:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "--latency"]
    output = subprocess.run(
        [*command, "-s", str(script), url, "--", *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = re.search(r"JSON (\{.*\})", output)
    assert found is not None, output
    load = msgspec.json.decode(found[1], type=Load)
    assert load.errors == 0, output
    return load


@contextmanager
def statekeep(folder: Path) -> Iterator[Target]:
    """Our server with the machine deployed and its instances made."""
    port = free_port()
    data_dir = folder / "data"
    command = [sys.executable, "-m", "statekeep", "serve", "--port", str(port)]
    with (
        (folder / "statekeep.log").open("w") as log,
        _running([*command, "--data-dir", str(data_dir)], port, log) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        await_health(url)
        credentials = json.loads((data_dir / "credentials.json").read_text())
        headers = {"authorization": f"Bearer {credentials['token']}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as admin:
            token = deploy(admin)
        with httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}) as user:
            for n in range(INSTANCES):
                made = user.post("/machines/toggle", json={"slug": f"k{n}"})
                made.raise_for_status()
        yield Target(url, "/machines/toggle/i/k%d/events", token, process.pid)


def await_health(url: str) -> None:
    """Wait until a server that listens is ready."""
    while not httpx.get(f"{url}/healthz", timeout=60).is_success:
        time.sleep(0.05)


def deploy(admin: httpx.Client) -> str:
    """Publish the machine; returns a token of an end user."""

    def expect(method: str, path: str, body: Any = None) -> Any:
        answer = admin.request(method, path, json=body)
        answer.raise_for_status()
        return json.loads(answer.content) if answer.content else None

    expect("POST", "/machines", {"slug": "toggle"})
    begun = expect("POST", "/machines/toggle/v")
    file = ("machine.js", MACHINE.encode(), "application/javascript")
    admin.post(begun["codeUploadUrl"], files={"file": file}).raise_for_status()
    version = f"/machines/toggle/v/{begun['machineVersionId']}"
    expect("PUT", version, {"clientInfo": "benchmark", "makeCurrent": True})
    key = expect("POST", "/keys", {"name": "benchmark", "use": "production"})
    return user_token(key)


def user_token(key: Any) -> str:
    """A token of an end user, good for a day, by a key as the API made it."""
    return sign_token(key["id"], key["key"], {"sub": "me"}, expires=timedelta(days=1))


@contextmanager
def echo() -> Iterator[Target]:
    """The HTTP stack alone."""
    port = free_port()
    command = [sys.executable, str(HERE / "http_stack.py"), "echo", str(port)]
    with _running(command, port, None) as process:
        yield Target(f"http://127.0.0.1:{port}", "/events", None, process.pid)


@contextmanager
def peer(source: Path, folder: Path) -> Iterator[Target]:
    """The hand-written Node.js server."""
    port = free_port()
    command = ["node", str(source / "server.mjs"), str(folder / "peer.db"), str(port)]
    with _running(command, port, None) as process:
        url = f"http://127.0.0.1:{port}"
        yield Target(url, "/machines/toggle/i/k%d", None, process.pid)


@contextmanager
def _running(command: list[str], port: int, log: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise SystemExit(f"{command[:3]} does not listen")
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def creations(script: Path, target: Target, seconds: int, run: int) -> Load:
    """Instances made by 32 connections. The peer makes one where an event finds none."""
    if target.token is None:
        arguments = [f"/machines/toggle/i/c{run}-%d", "-1", EVENT]
    else:
        arguments = ["/machines/toggle", "-1", f'{{"slug":"c{run}-%d"}}', target.token]
    return _wrk(script, target.url, 32, seconds, arguments)


def bare_commits(folder: Path, batch: int, seconds: float) -> Load:
    """Rows of events per second, and how long a batch took, on the disk that the server used."""
    folder.mkdir()
    lane = Lane("sqlite")
    work = Work([InstanceId(number + 1) for number in range(INSTANCES)])
    with bare(folder, INSTANCES) as write:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            run_bare(lane, write, work, batch)
    took = statistics.quantiles(lane.seconds, n=100)
    count = len(lane.seconds) * batch
    return Load(count, count / sum(lane.seconds), took[49] * 1e3, took[98] * 1e3, 0)


def hot_count(target: Target) -> int:
    """How many events the hot instance counted."""
    headers = {"authorization": f"Bearer {target.token}"}
    state = httpx.get(f"{target.url}/machines/toggle/i/k0", headers=headers).json()
    count: int = state["publicContext"]["count"]
    return count


def memory_mib(pid: int) -> dict[str, int]:
    """Proportional set size of a process and of its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {
        "server": _pss_mib(pid),
        "hosts": sum(_pss_mib(int(child)) for child in children),
    }


def _pss_mib(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def foreign_cpu() -> float:
    """Load average of the last minute: what else the machine was doing, roughly."""
    return os.getloadavg()[0]


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All phases of all targets, `runs` times."""
    script = folder / "load.lua"
    script.write_text(LUA)
    loads: dict[str, dict[str, list[Load]]] = {}
    before = foreign_cpu()
    with ExitStack() as stack:
        ours = stack.enter_context(statekeep(folder))
        targets = {"statekeep": ours, "echo": stack.enter_context(echo())}
        if options.peer is not None:
            targets["peer"] = stack.enter_context(peer(options.peer, folder))
        memory = {"before": memory_mib(ours.pid)}
        lost = 0
        for run in range(options.runs):
            for phase in PHASES:
                for name, target in targets.items():
                    if name == "echo" and phase.instances == 1:
                        continue
                    is_hot = name == "statekeep" and phase.instances == 1
                    counted = hot_count(ours) if is_hot else 0
                    load = wrk(script, target, phase, options.seconds)
                    loads.setdefault(name, {}).setdefault(str(phase), []).append(load)
                    if is_hot:
                        lost += max(0, load.requests - (hot_count(ours) - counted))
            for name in targets.keys() - {"echo"}:
                created = creations(script, targets[name], options.seconds, run)
                loads[name].setdefault(CREATIONS, []).append(created)
            for batch in (1, 32):
                done = bare_commits(folder / f"bare-{run}-{batch}", batch, options.seconds)
                loads.setdefault("commits", {}).setdefault(f"batches of {batch}", []).append(done)
        memory["after"] = memory_mib(ours.pid)
    events = sum(
        load.requests
        for phase, runs in loads["statekeep"].items()
        if phase != CREATIONS
        for load in runs
    )
    made = sum(load.requests for load in loads["statekeep"][CREATIONS])
    size = sum(file.stat().st_blocks * 512 for file in (folder / "data").glob("statekeep.db*"))
    return {
        "phases": {
            name: {phase: _summary(runs) for phase, runs in phases.items()}
            for name, phases in loads.items()
        },
        "lost_updates": lost,
        "memory_mib": memory,
        "disk_bytes_per_entry": round(size / (events + made + INSTANCES)),
        "load_average_before": round(before, 2),
    }


def _summary(runs: list[Load]) -> dict[str, float]:
    rates = [run.rps for run in runs]
    return {
        "rps": round(statistics.median(rates)),
        "rps_min": round(min(rates)),
        "rps_max": round(max(rates)),
        "p50_ms": round(statistics.median(run.p50 for run in runs), 3),
        "p99_ms": round(statistics.median(run.p99 for run in runs), 3),
    }


def show(result: dict[str, Any]) -> None:
    """As tables."""
    table = Table("target", "phase", "per second", "min-max", "p50 ms", "p99 ms")
    for name, phases in result["phases"].items():
        for phase, row in phases.items():
            spread = f"{row['rps_min']:,}-{row['rps_max']:,}"
            latencies = (f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.1f}")
            table.add_row(name, phase, f"{row['rps']:,}", spread, *latencies)
    console = Console()
    console.print(table)
    for name, ratio in ratios(result).items():
        console.print(f"{name}: {ratio:.2f}")
    for name in ("lost_updates", "memory_mib", "disk_bytes_per_entry", "load_average_before"):
        console.print(f"{name}: {result[name]}")


def ratios(result: dict[str, Any]) -> dict[str, float]:
    """What the figures are judged by."""
    phases = result["phases"]
    many, hot, one = (str(phase) for phase in (PHASES[2], PHASES[3], PHASES[1]))
    ours = phases["statekeep"]
    found = {
        "of the echo, c=32": ours[many]["rps"] / phases["echo"][many]["rps"],
        "hot instance of our own over many": ours[hot]["rps"] / ours[many]["rps"],
    }
    if "peer" in phases:
        theirs = phases["peer"]
        found |= {
            "of the peer, c=32 over many": ours[many]["rps"] / theirs[many]["rps"],
            "of the peer, hot": ours[hot]["rps"] / theirs[hot]["rps"],
            "of the peer, creations": ours[CREATIONS]["rps"] / theirs[CREATIONS]["rps"],
            "p50 of one connection, of the peer's": ours[one]["p50_ms"] / theirs[one]["p50_ms"],
            "p99 at c=32, of the peer's": ours[many]["p99_ms"] / theirs[many]["p99_ms"],
        }
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--peer", type=lambda text: Path(text).resolve())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="statekeep-benchmark-") as folder:
        result = measure(options, Path(folder))
    if options.json:
        print(json.dumps({**result, "ratios": ratios(result)}))
    else:
        show(result)


if __name__ == "__main__":
    main()

"""Exports and imports between real servers, with the command, while everything goes on."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.deployed import OPEN_TO_ALL, Deployment, deployment
from tests.support.ledger import await_that
from tests.support.server import RunningServer, server_process

COMMAND_SECONDS_MAX = 120

TELLER = (
    OPEN_TO_ALL
    + """
const counter = { type: "statebacked.instance", id: "counter", machineName: "counter", machineInstanceName: "all" };
export default createMachine({
  context: { public: { told: 0 } },
  on: {
    tell: {
      actions: [
        sendTo(counter, ({ event }) => ({ type: "count", n: event.n })),
        assign({ public: ({ context }) => ({ told: context.public.told + 1 }) }),
      ],
    },
  },
});
"""
)
COUNTER = (
    OPEN_TO_ALL
    + """
export default createMachine({
  context: { public: { seen: [] } },
  on: { count: { actions: assign({ public: ({ context, event }) => ({ seen: [...context.public.seen, event.n] }) }) } },
});
"""
)
PARENT = (
    OPEN_TO_ALL
    + """
export default createMachine({
  id: "parent",
  initial: "idle",
  context: { public: {} },
  states: {
    idle: { on: { start: "busy", wait: "waiting", hire: "boss" } },
    busy: { invoke: { id: "never", src: fromPromise(() => new Promise(() => {})), onError: "failed" } },
    waiting: { after: { 2000: "late" } },
    boss: {
      invoke: { id: "worker", src: { type: "statebacked.invoke", machineName: "worker", machineInstanceName: "w" }, onDone: "done" },
      on: { order: { actions: sendTo("worker", { type: "finish" }) } },
    },
    failed: {}, late: {}, done: {},
  },
});
"""
)
WORKER = (
    OPEN_TO_ALL
    + """
export default createMachine({
  initial: "working",
  states: { working: { on: { finish: "finished" } }, finished: { type: "final" } },
});
"""
)


class Server(NamedTuple):
    """A server with its folder, and somebody who uses it."""

    running: RunningServer
    data_dir: Path
    user: Deployment


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Server]:
    """Where things are exported."""
    data_dir = tmp_path / "source"
    with server_process(data_dir) as running, deployment(running) as user:
        yield Server(running, data_dir, user)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Server]:
    """Where they are imported."""
    data_dir = tmp_path / "target"
    with server_process(data_dir) as running, deployment(running) as user:
        yield Server(running, data_dir, user)


def command(data_dir: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[bytes]:
    """`statekeep` with these arguments, for the server of that folder."""
    done = subprocess.run(
        [sys.executable, "-m", "statekeep", *arguments, "--data-dir", str(data_dir)],
        capture_output=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == status, done.stderr.decode()
    return done


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def test_an_export_under_load_is_of_one_moment(
    source: Server, target: Server, tmp_path: Path
) -> None:
    """Journals end where their instances stand, and every message is either still with its sender or with its receiver: never both, and never neither.

    On the other server each of them arrives, once.
    """
    source.user.deploy("counter", COUNTER)
    source.user.create("counter", "all")
    source.user.deploy("teller", TELLER)
    tellers = [f"t{number}" for number in range(8)]
    for teller in tellers:
        source.user.create("teller", teller)
    is_over = threading.Event()

    def tell(teller: str, first: int) -> None:
        n = first
        while not is_over.is_set():
            source.user.sent("teller", teller, {"type": "tell", "n": n})
            n += len(tellers)

    file = tmp_path / "under-load.ndjson"
    with ThreadPoolExecutor(len(tellers)) as clients:
        telling = [clients.submit(tell, teller, n) for n, teller in enumerate(tellers)]
        try:
            await_that(lambda: bool(seen(source)), "something is counted")
            for _ in range(4):
                command(source.data_dir, "export", "--output", str(file), "--overwrite")
                require_one_moment(lines_of(file))
        finally:
            is_over.set()
        for client in telling:
            client.result()
    told = told_in(lines_of(file))
    assert told
    summary = json.loads(command(target.data_dir, "import", str(file)).stdout)
    assert (summary["instances"], summary["changedVersionIds"]) == (len(tellers) + 1, {})
    await_that(lambda: len(seen(target)) >= len(told), "all messages arrive")
    assert sorted(seen(target)) == sorted(told)


def seen(server: Server) -> list[int]:
    found: list[int] = server.user.read("counter", "all")["publicContext"]["seen"]
    return found


def require_one_moment(lines: list[dict[str, Any]]) -> None:
    instance: dict[str, Any] = {}
    revisions: list[int] = []
    counted: Counter[int] = Counter()
    for line in lines:
        match line["type"]:
            case "instance" | "end":
                assert revisions == list(range(1, instance.get("revision", 0) + 1))
                instance, revisions = line, []
            case "entry":
                revisions.append(line["revision"])
                if line["event"]["type"] == "count":
                    counted[line["event"]["n"]] += 1
            case "timer":
                counted[line["event"]["n"]] += 1
    assert counted == Counter(told_in(lines))


def told_in(lines: list[dict[str, Any]]) -> list[int]:
    events = [line["event"] for line in lines if line["type"] == "entry"]
    return [event["n"] for event in events if event["type"] == "tell"]


def test_instances_go_on_where_they_were(source: Server, target: Server, tmp_path: Path) -> None:
    """Timers fire, children that nobody can answer for any more have failed, persistent ones answer, and what happened before is known."""
    for machine, code in (("worker", WORKER), ("parent", PARENT)):
        source.user.deploy(machine, code)
    for instance in ("busy", "waiting", "boss"):
        source.user.create("parent", instance)
    source.user.sent("parent", "waiting", {"type": "wait"})
    source.user.sent("parent", "boss", {"type": "hire"})
    await_that(lambda: "w" in instances_of(source, "worker"), "the child is made")
    with ThreadPoolExecutor(1) as client:
        starting = client.submit(source.user.send, "parent", "busy", {"type": "start"})
        await_that(lambda: source.user.admin("parent", "busy")["state"] == "busy", "it began")
        file = tmp_path / "export.ndjson.gz"
        command(source.data_dir, "export", "-o", str(file))
        source.running.process.send_signal(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            starting.result()
    assert file.stat().st_mode & 0o077 == 0
    assert gzip.decompress(file.read_bytes()).startswith(b'{"type":"header"')
    command(target.data_dir, "import", str(file))
    assert state_of(target, "boss") == "boss"
    await_that(lambda: state_of(target, "busy") == "failed", "the child is lost")
    await_that(lambda: state_of(target, "waiting") == "late", "the timer fires")
    target.user.sent("parent", "boss", {"type": "order"})
    await_that(lambda: state_of(target, "boss") == "done", "the child has ended")
    types = [entry["event"]["type"] for entry in target.user.journal("parent", "boss")]
    assert types == ["xstate.init", "hire", "order", "xstate.done.actor.worker"]


def state_of(server: Server, instance: str) -> Any:
    return server.user.read("parent", instance)["state"]


def instances_of(server: Server, machine: str) -> list[str]:
    answer = httpx.get(
        f"{server.running.url}/machines/{machine}/i",
        headers={"authorization": f"Bearer {server.running.token}"},
    )
    return [instance["slug"] for instance in answer.json()["instances"]]


def test_half_an_export_is_no_export(source: Server, target: Server, tmp_path: Path) -> None:
    """The command says so and ends with 1, and nothing is there. Standard input and output do as well as files."""
    source.user.deploy("counter", COUNTER)
    source.user.create("counter", "all")
    whole = command(source.data_dir, "export", "--machine", "counter").stdout
    half = tmp_path / "half.ndjson"
    half.write_bytes(whole[: len(whole) // 2])
    failed = command(target.data_dir, "import", str(half), status=1)
    assert b"it is not JSON" in failed.stderr
    assert machines_of(target) == []
    packed = tmp_path / "half.gz"
    packed.write_bytes(gzip.compress(whole)[:-200])
    assert b"cannot read" in command(target.data_dir, "import", str(packed), status=1).stderr
    assert machines_of(target) == []
    missing = command(source.data_dir, "export", "--machine", "none", status=1)
    assert b"there is no machine none" in missing.stderr
    done = subprocess.run(
        [sys.executable, "-m", "statekeep", "import", "-", "--api-url", target.running.url],
        input=whole,
        env={**os.environ, "STATEKEEP_TOKEN": target.running.token},
        capture_output=True,
        timeout=COMMAND_SECONDS_MAX,
        check=True,
    )
    assert json.loads(done.stdout)["machines"] == ["counter"]
    again = command(target.data_dir, "import", str(tmp_path / "none"), status=1)
    assert b"cannot read" in again.stderr


def machines_of(server: Server) -> list[str]:
    answer = httpx.get(
        f"{server.running.url}/machines",
        headers={"authorization": f"Bearer {server.running.token}"},
    )
    return [machine["slug"] for machine in answer.json()["machines"]]


def test_a_kill_amid_an_import_leaves_nothing(source: Server, tmp_path: Path) -> None:
    """Not even the ids: after the next start the same import succeeds and keeps them."""
    source.user.deploy("counter", COUNTER)
    for number in range(300):
        source.user.create("counter", f"c{number}")
    whole = httpx.get(
        f"{source.running.url}/export",
        headers={"authorization": f"Bearer {source.running.token}"},
    ).content
    data_dir = tmp_path / "killed"
    with server_process(data_dir) as running:
        admin = {"authorization": f"Bearer {running.token}"}

        def most_of_it() -> Iterator[bytes]:
            yield whole[: len(whole) * 3 // 4]
            # What was sent is staged by now, or some of it is: that much is taken only as it is read.
            await_that(lambda: staged_instances(data_dir) > 0, "something is staged")
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
            yield whole[len(whole) * 3 // 4 :]

        with pytest.raises(httpx.TransportError):
            httpx.post(f"{running.url}/import", content=most_of_it(), headers=admin, timeout=60)
    with server_process(data_dir) as running, deployment(running) as user:
        server = Server(running, data_dir, user)
        assert machines_of(server) == []
        await_that(lambda: staged_instances(data_dir) == 0, "what was left is removed")
        admin = {"authorization": f"Bearer {running.token}"}
        answer = httpx.post(f"{running.url}/import", content=whole, headers=admin, timeout=60)
        assert answer.json()["changedVersionIds"] == {}
        assert answer.json()["instances"] == 300
        assert user.sent("counter", "c7", {"type": "count", "n": 1})["publicContext"] == {
            "seen": [1]
        }


def staged_instances(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / "statekeep.db")) as database:
        query = "SELECT count(*) FROM instances JOIN staged_machines USING (machine_id)"
        count: int = database.execute(query).fetchone()[0]
    return count

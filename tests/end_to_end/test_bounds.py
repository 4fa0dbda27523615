"""Bounds that hold: author code that loops, hoards, floods or dies harms its own event and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from statekeep.domain.limits import HOSTS_MAX as HOSTS_DEFAULT_MAX
from tests.support.deployed import OPEN_TO_ALL, Deployment, deployment
from tests.support.server import RunningServer, server_process

HOSTS_MAX = 3

MACHINE = (
    OPEN_TO_ALL
    + """
const count = ({ context }) => ({ public: { n: context.public.n + 1 } });
export default createMachine({
  context: { public: { n: 0 } },
  initial: "idle",
  states: {
    idle: {
      on: {
        call: "calling",
        spinLater: { actions: () => { Promise.resolve().then(() => { for (;;); }); } },
      },
    },
    calling: {
      invoke: {
        id: "call",
        src: fromPromise(() => new Promise(() => {})),
        onDone: "idle",
        onError: "failed",
      },
    },
    failed: {},
  },
  on: {
    count: { actions: assign(count) },
    loop: { actions: assign(() => { for (;;); }) },
    hoard: { actions: assign(() => { const all = []; for (;;) all.push(new Array(1e4).fill({})); }) },
    buffers: {
      actions: assign(() => { const all = []; for (;;) all.push(new Uint8Array(1e7).fill(1)); }),
    },
    grow: { actions: assign(() => ({ filling: "x".repeat(500_000) })) },
    restless: { actions: sendTo(({ self }) => self, { type: "restless" }) },
    throw: { actions: assign(() => { throw new Error("the author's words"); }) },
  },
});
"""
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data_dir = tmp_path_factory.mktemp("bounds") / "data"
    with server_process(data_dir, "--step-timeout", "1s", "--hosts-max", str(HOSTS_MAX)) as running:
        yield running


@pytest.fixture(scope="module")
def user(server: RunningServer) -> Iterator[Deployment]:
    with deployment(server) as user:
        user.deploy("bounds", MACHINE)
        user.deploy("other", MACHINE)
        user.create("other", "bystander")
        yield user


@pytest.fixture
def instance(user: Deployment, request: pytest.FixtureRequest) -> str:
    name = request.node.name.translate({ord("["): "-", ord("]"): None, ord(" "): "-"})
    user.create("bounds", name)
    user.sent("bounds", name, {"type": "count"})
    return str(name)


def count_of(state: dict[str, Any]) -> int:
    n: int = state["publicContext"]["n"]
    return n


@pytest.mark.parametrize("kind", ["loop", "hoard", "buffers", "restless", "throw"])
def test_an_event_that_does_harm_fails_alone(user: Deployment, instance: str, kind: str) -> None:
    """It fails with 422 and changes nothing; its neighbours, of the same instance, of others, of other machines, are answered."""
    user.create("bounds", f"{instance}-beside")
    with ThreadPoolExecutor(4) as clients:
        harm = clients.submit(user.send, "bounds", instance, {"type": kind})
        same = clients.submit(user.sent, "bounds", instance, {"type": "count"})
        beside = clients.submit(user.sent, "bounds", f"{instance}-beside", {"type": "count"})
        elsewhere = clients.submit(user.sent, "other", "bystander", {"type": "count"})
        assert elsewhere.result()["tags"] == []
        answer = harm.result()
        assert (answer.status_code, answer.json()["code"]) == (422, "machine-error"), answer.text
        assert count_of(same.result()) == 2
        assert count_of(beside.result()) == 1
    assert count_of(user.read("bounds", instance)) == 2
    assert [entry["event"]["type"] for entry in user.journal("bounds", instance)] == [
        "xstate.init",
        "count",
        "count",
    ]


def test_the_authors_words_are_told_and_nothing_of_ours(user: Deployment, instance: str) -> None:
    """The answer has the author's message, and no stack."""
    error = user.send("bounds", instance, {"type": "throw"}).json()
    assert "the author's words" in error["error"]
    assert ".ts" not in str(error)


def test_a_loop_between_requests_is_ended(user: Deployment, instance: str) -> None:
    """A promise's callback that never returns keeps nobody from being served: the host is ended and a new one goes on."""
    user.sent("bounds", instance, {"type": "spinLater"})
    assert count_of(user.sent("bounds", instance, {"type": "count"})) == 2


def test_too_large(user: Deployment, instance: str) -> None:
    """A context or an event over its bound is 413 and changes nothing."""
    assert user.send("bounds", instance, {"type": "grow"}).status_code == 413
    flood = {"type": "count", "filling": "x" * (1 << 20)}
    assert user.send("bounds", instance, flood).status_code == 413
    assert len(user.journal("bounds", instance)) == 2
    assert count_of(user.sent("bounds", instance, {"type": "count"})) == 2


def test_many_clients_of_one_instance_make_one_history(user: Deployment, instance: str) -> None:
    """64 clients at once: every answered event counted once, every answer a state of its own, in one line."""
    with ThreadPoolExecutor(64) as clients:
        states = list(
            clients.map(lambda _: user.sent("bounds", instance, {"type": "count"}), range(640))
        )
    assert sorted(map(count_of, states)) == list(range(2, 642))
    by_time = sorted(states, key=lambda state: float(state["ts"]))
    assert [count_of(state) for state in by_time] == list(range(2, 642))
    assert count_of(user.read("bounds", instance)) == 641
    assert len(user.journal("bounds", instance)) == 642


def test_a_host_killed_from_outside_is_replaced(
    server: RunningServer, user: Deployment, instance: str
) -> None:
    """Whoever waited for a promise of the dead host is answered once its error event was handled."""
    with ThreadPoolExecutor(1) as clients:
        call = clients.submit(user.sent, "bounds", instance, {"type": "call"})
        while user.read("bounds", instance)["state"] != "calling":
            time.sleep(0.01)
        for pid in host_pids(server):
            os.kill(pid, signal.SIGKILL)
        assert call.result()["state"] == "failed"
    assert count_of(user.sent("bounds", instance, {"type": "count"})) == 2


def test_more_versions_than_hosts(server: RunningServer, user: Deployment) -> None:
    """Versions beyond the pool's bound take turns: all their instances answer, and the pool stays within its bound."""
    versions = [user.new_version("bounds", f"{MACHINE}\n// {n}") for n in range(2 * HOSTS_MAX)]
    for n, version in enumerate(versions):
        user.create("bounds", f"of-version-{n}", machineVersionId=version)
    with ThreadPoolExecutor(len(versions)) as clients:
        states = list(
            clients.map(
                lambda n: user.sent("bounds", f"of-version-{n}", {"type": "count"}),
                range(len(versions)),
            )
        )
    assert [count_of(state) for state in states] == [1] * len(versions)
    assert len(host_pids(server)) <= HOSTS_MAX


def test_a_second_server_on_the_same_data_refuses(
    server: RunningServer, user: Deployment, tmp_path: Path
) -> None:
    """It says who has the folder and what to do, and exits with 1."""
    [data_dir] = [
        argument
        for argument in _command_line(server.process.pid)
        if argument.endswith(f"{os.sep}data")
    ]
    command = [sys.executable, "-m", "statekeep", "serve", "--port", "0", "--data-dir", data_dir]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert str(server.process.pid) in second.stderr
    assert "Stop that server first" in second.stderr


def test_a_server_that_is_told_to_stop_answers_first(tmp_path: Path) -> None:
    """SIGTERM lets whoever waits for a child have the newest state, and the status is 0."""
    with (
        server_process(tmp_path / "data", "--drain-timeout", "1s") as stopping,
        deployment(stopping) as user,
        ThreadPoolExecutor(1) as clients,
    ):
        user.deploy("bounds", MACHINE)
        user.create("bounds", "one")
        call = clients.submit(user.sent, "bounds", "one", {"type": "call"})
        while user.read("bounds", "one")["state"] != "calling":
            time.sleep(0.01)
        stopping.process.terminate()
        assert call.result()["state"] == "calling"
        assert stopping.process.wait(30) == 0
    with server_process(tmp_path / "data") as again, deployment(again, user.token) as user:
        while user.read("bounds", "one")["state"] != "failed":
            time.sleep(0.01)


def host_pids(server: RunningServer) -> list[int]:
    """The Deno processes of a server."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [pid for pid in map(int, children.split()) if "deno" in _command_line(pid)[0]]


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return [""]  # It has ended since it was listed.


@pytest.mark.slow
def test_many_versions_and_many_instances(tmp_path: Path) -> None:
    """200 versions and 10,000 instances: everything answers, the pool and the memory stay within their bounds."""
    versions, instances = 200, 10_000
    with server_process(tmp_path / "data") as server, deployment(server) as user:
        user.deploy("bounds", MACHINE)
        ids = [user.new_version("bounds", f"{MACHINE}\n// {n}") for n in range(versions)]
        with ThreadPoolExecutor(16) as clients:
            peak = clients.submit(_peak_memory_mib, server, lambda: not ids)
            for n, version in enumerate(ids):
                user.create("bounds", f"v{n}", machineVersionId=version)
            names = [f"n{n}" for n in range(instances)]
            list(clients.map(lambda name: user.create("bounds", name), names))
            states = list(
                clients.map(lambda name: user.sent("bounds", name, {"type": "count"}), names)
            )
            assert set(map(count_of, states)) == {1}
            for n in range(versions):
                assert count_of(user.sent("bounds", f"v{n}", {"type": "count"})) == 1
            hosts = len(host_pids(server))
            ids.clear()
        assert hosts <= HOSTS_DEFAULT_MAX
        assert peak.result() < 1_500
        sys.stdout.write(f"peak memory {peak.result()} MiB with {hosts} hosts at the end\n")


def _peak_memory_mib(server: RunningServer, is_over: Callable[[], bool]) -> int:
    """The most that the server and its hosts took together, shared pages counted once."""
    peak = 0
    while not is_over():
        peak = max(peak, sum(map(_pss_mib, [server.process.pid, *host_pids(server)])))
        time.sleep(0.2)
    return peak


def _pss_mib(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0  # It has ended since it was listed.
    return int(text.split("Pss:")[1].split()[0]) // 1024

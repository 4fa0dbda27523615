"""Messages between instances are applied exactly once, however often the process is killed while they go round."""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.deployed import OPEN_TO_ALL, Deployment, deployment
from tests.support.ledger import await_that
from tests.support.server import server_process

RING: Final = "ring"
INSTANCES: Final = [f"r{n}" for n in range(5)]
STEPS: Final = 12
CLIENTS: Final = 4

MACHINE: Final = (
    OPEN_TO_ALL
    + """
import { enqueueActions } from "npm:xstate@5";
const next = ({ context }) => ({
  type: "statebacked.instance", id: "next", machineName: "ring", machineInstanceName: context.next,
});

export default createMachine({
  id: "ring",
  context: ({ input }) => input,
  on: {
    pass: {
      actions: enqueueActions(({ enqueue, event }) => {
        if (event.left > 0) enqueue.sendTo(next, { type: "pass", n: event.n, left: event.left - 1 });
        // Some go by way of a timer of the machine's own, and some wait before they leave.
        else if (event.left === 0) enqueue.raise({ type: "end", n: event.n }, { delay: 20 });
      }),
    },
    end: {},
  },
});
"""
)
"""`pass` goes on to the next instance as often as it says, and ends with a timer."""


class Starters:
    """Clients that start rounds until told to stop. Knows which were started and which of them were answered."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.started: dict[int, int] = {}
        self.answered: set[int] = set()

    def run(self, user: Deployment) -> None:
        """One client, until the server is gone."""
        while True:
            with self._lock:
                n, first = next(self._numbers), self._random.randrange(len(INSTANCES))
                self.started[n] = first
            try:
                answer = user.send(RING, INSTANCES[first], {"type": "pass", "n": n, "left": STEPS})
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                with self._lock:
                    self.answered.add(n)


def applied_in(user: Deployment) -> Counter[tuple[str, int, int]]:
    """How often each step of each round was taken: instance, round, steps left (-1 for its end)."""
    counts: Counter[tuple[str, int, int]] = Counter()
    for instance in INSTANCES:
        for entry in user.journal(RING, instance):
            event = entry["event"]
            if "n" in event:
                counts[instance, event["n"], event.get("left", -1)] += 1
    return counts


def expected_of(n: int, first: int) -> list[tuple[str, int, int]]:
    """Every step of a round that was started at an instance."""
    places = [INSTANCES[(first + step) % len(INSTANCES)] for step in range(STEPS + 1)]
    steps = [(place, n, STEPS - step) for step, place in enumerate(places)]
    return [*steps, (places[-1], n, -1)]


def kill_repeatedly(data_dir: Path, kills: int) -> None:
    """Rounds, kill, start again; then count every step."""
    seed = int(os.environ.get("STATEKEEP_SEED", random.randrange(1 << 32)))
    sys.stdout.write(
        f"STATEKEEP_SEED={seed} repeats the choices of this run, though not its timing\n"
    )
    starters, moments = Starters(seed), random.Random(seed)
    with server_process(data_dir) as server, deployment(server) as user:
        user.deploy(RING, MACHINE)
        for n, instance in enumerate(INSTANCES):
            user.create(RING, instance, context={"next": INSTANCES[(n + 1) % len(INSTANCES)]})
        token = user.token
    for _ in range(kills):
        with (
            server_process(data_dir) as server,
            deployment(server, token) as user,
            ThreadPoolExecutor(CLIENTS) as clients,
        ):
            running = [clients.submit(starters.run, user) for _ in range(CLIENTS)]
            # The one place where a time decides: any moment will do, and no two runs pick the same.
            time.sleep(moments.uniform(0.05, 1.0))
            server.process.kill()
            server.process.wait()
            for starter in running:
                starter.result()
    with server_process(data_dir) as server, deployment(server, token) as user:
        check_rounds(user, starters)
    assert len(starters.answered) > kills, "there was load"


def check_rounds(user: Deployment, starters: Starters) -> None:
    """Every round that began has come to its end, and each of its steps was taken once, where it belongs."""

    def begun() -> set[int]:
        return {n for _, n, left in applied_in(user) if left == STEPS}

    def is_over() -> bool:
        return begun() == {n for _, n, left in applied_in(user) if left == -1}

    await_that(is_over, "every round comes to its end")
    counts = applied_in(user)
    assert starters.answered <= begun() <= set(starters.started), "what was answered has begun"
    expected = [step for n in begun() for step in expected_of(n, starters.started[n])]
    assert counts == Counter(expected), "each step once"


def test_killed_while_messages_go_round(tmp_path: Path) -> None:
    """Nothing is lost and nothing applied twice."""
    kill_repeatedly(tmp_path / "data", 4)


@pytest.mark.slow
def test_killed_many_times_while_messages_go_round(tmp_path: Path) -> None:
    """The same for longer."""
    kill_repeatedly(tmp_path / "data", 30)

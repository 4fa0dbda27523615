"""Every promise holds when the process is killed at any moment, again and again, under load."""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.deployed import Deployment, deployment
from tests.support.ledger import LEDGER, MACHINE, check_promises, recording
from tests.support.server import server_process

CLIENTS = 8
INSTANCES = [f"i{n}" for n in range(4)]
KINDS = ["add", "add", "add", "call", "wind"]
OPTIONS = ("--allow-private-network",)


class Senders:
    """Clients that send numbered events until told to stop. Knows what was sent and what was answered."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self.sent: defaultdict[str, set[int]] = defaultdict(set)
        self.answered: defaultdict[str, set[int]] = defaultdict(set)

    def run(self, user: Deployment) -> None:
        """One client, until it is told to stop or the server is gone."""
        while not self.stopping.is_set():
            instance, event = self._next()
            try:
                answer = user.send(LEDGER, instance, event)
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                with self._lock:
                    self.answered[instance].add(event["n"])

    def _next(self) -> tuple[str, dict[str, Any]]:
        with self._lock:
            instance = self._random.choice(INSTANCES)
            n = next(self._numbers)
            self.sent[instance].add(n)
            return instance, {"type": self._random.choice(KINDS), "n": n}


def kill_repeatedly(data_dir: Path, kills: int) -> None:
    """Load, kill, start again; then look at everything."""
    seed = int(os.environ.get("STATEKEEP_SEED", random.randrange(1 << 32)))
    note = f"STATEKEEP_SEED={seed} repeats the choices of this run, though not its timing\n"
    sys.stdout.write(note)
    senders, moments = Senders(seed), random.Random(seed)
    with recording() as recorder:
        with server_process(data_dir, *OPTIONS) as server, deployment(server) as user:
            user.deploy(LEDGER, MACHINE)
            for instance in INSTANCES:
                user.create(LEDGER, instance, context={"recorder": recorder.url})
            token = user.token
        for _ in range(kills):
            with (
                server_process(data_dir, *OPTIONS) as server,
                deployment(server, token) as user,
                ThreadPoolExecutor(CLIENTS) as clients,
            ):
                running = [clients.submit(senders.run, user) for _ in range(CLIENTS)]
                # The one place where a time decides: any moment will do, and no two runs pick the same.
                time.sleep(moments.uniform(0.05, 1.0))
                server.process.kill()
                server.process.wait()
                for sender in running:
                    sender.result()
        with server_process(data_dir, *OPTIONS) as server, deployment(server, token) as user:
            for instance in INSTANCES:
                check_promises(
                    user,
                    instance,
                    sent=senders.sent[instance],
                    answered=senders.answered[instance],
                    effects=recorder.numbers,
                )
    assert sum(map(len, senders.answered.values())) > kills, "there was load"


def test_killed_under_load(tmp_path: Path) -> None:
    """What was answered is applied once, effects have their transition and happen once at most, timers and promises end."""
    kill_repeatedly(tmp_path / "data", 4)


@pytest.mark.slow
def test_killed_under_load_many_times(tmp_path: Path) -> None:
    """The same for longer."""
    kill_repeatedly(tmp_path / "data", 40)

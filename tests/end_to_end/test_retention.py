"""A machine that keeps its last transitions only, and those who follow its instances."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from websockets.asyncio.client import connect

from tests.support.deployed import OPEN_TO_ALL, Deployment, deployment
from tests.support.ledger import await_that
from tests.support.server import RunningServer, server_process

COUNTER = (
    OPEN_TO_ALL
    + """
export default createMachine({
  context: { public: { n: 0 } },
  on: { add: { actions: assign({ public: ({ context }) => ({ n: context.public.n + 1 }) }) } },
});
"""
)


def stream(server: RunningServer, user: Deployment, since: int) -> tuple[int, Any]:
    """The status of a stream from there on, and the first state, or what is wrong."""
    url = f"{server.url}/machines/counter/i/one/stream"
    query = {"token": user.token, "since": str(since)}
    with httpx.stream("GET", url, params=query, timeout=30, trust_env=False) as answer:
        if answer.status_code != 200:
            return answer.status_code, json.loads(answer.read())
        for line in answer.iter_lines():
            if line.startswith("data: "):
                return 200, json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended")


async def subscribe(server: RunningServer, user: Deployment, since: int) -> Any:
    """What a socket hears first."""
    message = {
        "type": "subscribe-to-instance",
        "requestId": "r",
        "machineName": "counter",
        "machineInstanceName": "one",
        "since": since,
    }
    async with connect(f"ws{server.url[4:]}/rt?token={user.token}") as socket:
        await socket.send(json.dumps(message))
        return json.loads(await asyncio.wait_for(socket.recv(), 30))


def test_old_transitions_go_and_readers_know(tmp_path):
    """By what was chosen for the machine while the server runs; across a kill, what is left is whole, and the instance goes on."""
    with server_process(tmp_path / "data") as server, deployment(server) as user:
        user.deploy("counter", COUNTER)
        user.create("counter", "one")
        for _ in range(30):
            user.sent("counter", "one", {"type": "add"})
        assert len(user.journal("counter", "one")) == 31
        httpx.put(
            f"{server.url}/machines/counter/retention",
            json={"journal": {"maxEntries": 5}},
            headers={"authorization": f"Bearer {server.token}"},
            trust_env=False,
        ).raise_for_status()
        await_that(lambda: len(user.journal("counter", "one")) == 5, "old transitions go")
        token = user.token
        server.process.kill()
        server.process.wait()
    with server_process(tmp_path / "data") as server, deployment(server, token) as user:
        assert len(user.journal("counter", "one")) == 5
        status, error = stream(server, user, 25)
        assert (status, error["code"]) == (410, "history-gone")
        assert "since 26" in error["error"]
        told = asyncio.run(subscribe(server, user, 0))
        assert (told["type"], told["status"], told["code"]) == ("error", 410, "history-gone")
        status, state = stream(server, user, 26)
        assert (status, state["publicContext"]) == (200, {"n": 26})
        assert asyncio.run(subscribe(server, user, 26))["revision"] == 27
        assert user.sent("counter", "one", {"type": "add"})["publicContext"] == {"n": 31}


def test_the_server_has_a_default(tmp_path):
    """For machines for which nothing was chosen, whenever they were made."""
    with server_process(tmp_path / "data") as server, deployment(server) as user:
        user.deploy("counter", COUNTER)
        user.create("counter", "one")
        for _ in range(10):
            user.sent("counter", "one", {"type": "add"})
        token = user.token
    options = ("--journal-max-entries", "3", "--journal-max-age", "30d", "--logs-kept-for", "7d")
    with (
        server_process(tmp_path / "data", *options) as server,
        deployment(server, token) as user,
    ):
        await_that(lambda: len(user.journal("counter", "one")) == 3, "old transitions go")
        answer = httpx.get(
            f"{server.url}/machines/counter/retention",
            headers={"authorization": f"Bearer {server.token}"},
            trust_env=False,
        ).json()
        bounds = {"maxAge": "30d", "maxEntries": 3}
        effective = {"journal": bounds, "logs": {"maxAge": "7d"}}
        assert answer == {"retention": {}, "effective": effective}

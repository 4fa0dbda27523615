"""What a machine could not handle, mended and tried again, with a real server and a real host."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.deployed import OPEN_TO_ALL, Deployment, deployment
from tests.support.ledger import await_that
from tests.support.server import RunningServer, server_process

FRAGILE = (
    OPEN_TO_ALL
    + """
export default createMachine({
  id: "fragile",
  context: { isMended: false, public: { rung: 0 } },
  on: {
    wind: { actions: raise({ type: "ring" }, { delay: 1 }) },
    mend: { actions: assign({ isMended: true }) },
    ring: {
      actions: assign({
        public: ({ context }) => {
          if (!context.isMended) throw new Error("broken");
          return { rung: context.public.rung + 1 };
        },
      }),
    },
  },
});
"""
)


@pytest.fixture
def server(tmp_path):
    with server_process(tmp_path / "data", "--delivery-retry-after", "10ms") as server:
        yield server


def ask(server: RunningServer, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {server.token}"}
    answer = httpx.request(
        method, server.url + path, json=body, headers=headers, trust_env=False, timeout=30
    )
    assert answer.is_success, answer.text
    return answer


def dead_letters(server: RunningServer) -> list[Any]:
    letters: list[Any] = ask(server, "GET", "/machines/fragile/dead-letters").json()["deadLetters"]
    return letters


def wind(user: Deployment, server: RunningServer, *names: str) -> None:
    """Let the timers of these instances become dead letters."""
    for name in names:
        user.create("fragile", name)
        user.sent("fragile", name, {"type": "wind"})
    await_that(lambda: len(dead_letters(server)) == len(names), "the timers are given up")


def rung(user: Deployment) -> list[int]:
    """How often the timers of the three instances have fired."""
    names = ("one", "two", "three")
    return [user.read("fragile", name)["publicContext"]["rung"] for name in names]


def test_a_timer_is_retried_once_its_machine_is_mended(server):
    """It is applied, once, and is no dead letter any more."""
    with deployment(server) as user:
        user.deploy("fragile", FRAGILE)
        wind(user, server, "one")
        [letter] = dead_letters(server)
        assert (letter["kind"], letter["tries"], letter["event"]["type"]) == ("timer", 5, "ring")
        assert "broken" in letter["failure"]
        user.sent("fragile", "one", {"type": "mend"})
        ask(server, "POST", f"/machines/fragile/dead-letters/{letter['id']}/retry")
        await_that(
            lambda: user.read("fragile", "one")["publicContext"]["rung"] == 1, "the timer fires"
        )
        assert dead_letters(server) == []
        types = [entry["event"]["type"] for entry in user.journal("fragile", "one")]
        assert types[1:] == ["wind", "mend", "ring"]


def test_dead_letters_outlive_the_server(tmp_path):
    """And can be retried in the next one, all at once, or thrown away."""
    options = ("--delivery-retry-after", "10ms")
    with server_process(tmp_path / "data", *options) as server, deployment(server) as user:
        user.deploy("fragile", FRAGILE)
        wind(user, server, "one", "two", "three")
        token = user.token
    with (
        server_process(tmp_path / "data", *options) as server,
        deployment(server, token) as user,
    ):
        discarded, *_ = dead_letters(server)
        ask(server, "DELETE", f"/machines/fragile/dead-letters/{discarded['id']}")
        for name in ("one", "two", "three"):
            user.sent("fragile", name, {"type": "mend"})
        answer = ask(server, "POST", "/machines/fragile/dead-letters/retry", {})
        assert answer.json() == {"retried": 2}
        await_that(lambda: sorted(rung(user)) == [0, 1, 1], "both timers fire")
        assert dead_letters(server) == []

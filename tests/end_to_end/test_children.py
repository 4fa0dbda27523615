"""Instances that make others and talk to them, with the author's own tools: @statebacked/machine as it is published, in a bundle with its own XState."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.deno import run_deno
from tests.support.deployed import Deployment, deployment
from tests.support.ledger import await_that
from tests.support.server import RunningServer, server_process

OPTIONS = ("--delivery-retry-after", "100ms")

XSTATE_4 = """
import { assign, createMachine, sendParent, sendTo } from "npm:xstate@4.38.3";
import { persistentInvocableSource, sendTo as tell, spawnPersistentInstance } from "npm:@statebacked/machine@0.6.0";
"""
XSTATE_5 = """
import { assign, createMachine, sendParent, sendTo } from "npm:xstate@5.33.3";
import { persistentInvocableSource, sendTo as tell, spawnPersistentInstance } from "npm:@statebacked/machine@0.6.0";
"""

YARD_4 = (
    XSTATE_4
    + """
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  predictableActionArguments: true,
  context: { public: {}, boat: null },
  initial: "empty",
  states: {
    empty: { on: { ORDER: "building", HIRE: "hiring" } },
    building: {
      entry: [
        assign({ boat: () => spawnPersistentInstance({ machineName: "mast" }, { name: "mast", context: { made: "of wood" } }) }),
        assign({ public: (ctx) => ({ mast: ctx.boat.machineInstanceName }) }),
        tell((ctx) => ctx.boat, { type: "OIL" }),
      ],
      invoke: {
        id: "hull",
        src: persistentInvocableSource({ machineName: "hull" }),
        data: { length: (_, event) => event.length },
        onDone: { target: "launched", actions: assign({ public: ({ public: it }, event) => ({ ...it, hull: event.data }) }) },
      },
      on: { KEEL_LAID: { actions: sendTo("hull", { type: "PLANK", planks: 12 }) } },
    },
    launched: { type: "final" },
    hiring: {
      invoke: {
        id: "crew",
        src: persistentInvocableSource({ machineName: "nobody" }),
        onError: { target: "alone", actions: assign({ public: (_, event) => ({ why: event.data.message }) }) },
      },
    },
    alone: {},
  },
});
"""
)
YARD_5 = (
    XSTATE_5
    + """
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  context: { public: {}, boat: null },
  initial: "empty",
  states: {
    empty: { on: { ORDER: "building", HIRE: "hiring" } },
    building: {
      entry: [
        assign({ boat: () => spawnPersistentInstance({ machineName: "mast" }, { name: "mast", context: { made: "of wood" } }) }),
        assign({ public: ({ context }) => ({ mast: context.boat.machineInstanceName }) }),
        sendTo(({ context }) => context.boat, { type: "OIL" }),
      ],
      invoke: {
        id: "hull",
        src: persistentInvocableSource({ machineName: "hull" }),
        input: ({ event }) => ({ length: event.length }),
        onDone: { target: "launched", actions: assign({ public: ({ context, event }) => ({ ...context.public, hull: event.output }) }) },
      },
      on: { KEEL_LAID: { actions: sendTo("hull", { type: "PLANK", planks: 12 }) } },
    },
    launched: { type: "final" },
    hiring: {
      invoke: {
        id: "crew",
        src: persistentInvocableSource({ machineName: "nobody" }),
        onError: { target: "alone", actions: assign({ public: ({ event }) => ({ why: event.error.message }) }) },
      },
    },
    alone: {},
  },
});
"""
)
PARENT_ONLY = """
export const allowRead = () => true;
export const allowWrite = ({ authContext }) => authContext.stateBackedSender?.machineName === "yard";
"""
HULL_4 = (
    XSTATE_4
    + PARENT_ONLY
    + """
export default createMachine({
  predictableActionArguments: true,
  context: { length: 0, planks: 0 },
  initial: "keel",
  states: {
    keel: { entry: sendParent({ type: "KEEL_LAID" }), on: { PLANK: { target: "done", actions: assign({ planks: (_, event) => event.planks }) } } },
    done: { type: "final", data: ({ length, planks }) => ({ length, planks }) },
  },
});
"""
)
HULL_5 = (
    XSTATE_5
    + PARENT_ONLY
    + """
export default createMachine({
  context: ({ input }) => ({ length: input.length, planks: 0 }),
  initial: "keel",
  states: {
    keel: { entry: sendParent({ type: "KEEL_LAID" }), on: { PLANK: { target: "done", actions: assign({ planks: ({ event }) => event.planks }) } } },
    done: { type: "final" },
  },
  output: ({ context: { length, planks } }) => ({ length, planks }),
});
"""
)
MAST = (
    XSTATE_5
    + PARENT_ONLY
    + """
export default createMachine({
  context: ({ input }) => ({ public: { made: input.made } }),
  initial: "dry",
  states: { dry: { on: { OIL: "oiled" } }, oiled: {} },
});
"""
)
HORN = (
    XSTATE_5
    + """
export const allowRead = () => true;
export const allowWrite = () => true;
const ship = { type: "statebacked.instance", id: "ship", machineName: "ship", machineInstanceName: "s" };
export default createMachine({
  context: {},
  on: {
    SOUND: { actions: tell(ship, (_, event) => ({ type: "SOUNDED", n: event.n }), { delay: (_, event) => event.delay }) },
  },
});
"""
)
SHIP = (
    XSTATE_4
    + """
export const allowRead = () => true;
export const allowWrite = ({ authContext: { stateBackedSender: sender } }) => sender?.machineInstanceName !== "stranger";
export default createMachine({
  predictableActionArguments: true,
  context: { public: { heard: [] } },
  on: { SOUNDED: { actions: assign({ public: ({ public: { heard } }, { n }) => ({ heard: [...heard, n] }) }) } },
});
"""
)


@cache
def bundled(source: str) -> str:
    """As authors upload it: one module with all that it imports."""
    with tempfile.NamedTemporaryFile("w", suffix=".js") as file:
        file.write(source)
        file.flush()
        options = "--quiet --no-config --no-lock --platform browser"
        return run_deno("bundle", *options.split(), file.name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with server_process(tmp_path / "data", *OPTIONS) as server:
        yield server


@pytest.fixture
def user(server: RunningServer) -> Iterator[Deployment]:
    with deployment(server) as user:
        yield user


def kinds(user: Deployment, machine: str, instance: str) -> list[str]:
    """The events that an instance took."""
    return [entry["event"]["type"] for entry in user.journal(machine, instance)]


def await_state(user: Deployment, machine: str, instance: str, state: str) -> Any:
    """What can be read once the instance is in that state."""
    await_that(lambda: user.read(machine, instance)["state"] == state, f"{instance} is {state}")
    return user.read(machine, instance)


def admin_call(server: RunningServer, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {server.token}"}
    answer = httpx.request(method, f"{server.url}{path}", json=body, headers=headers)
    return answer.raise_for_status()


def await_said(server: RunningServer, instance: str, text: str) -> None:
    """Until the log of an instance has these words."""

    def is_said() -> bool:
        path = f"/logs?from=2020-01-01T00:00:00.000Z&instance={instance}"
        logs = admin_call(server, "GET", path).json()["logs"]
        return any(text in entry["log"] for entry in logs)

    await_that(is_said, f"{instance} says {text!r}")


COUPLES = {
    "4 and 5": (YARD_4, HULL_5, "done.invoke.hull"),
    "5 and 4": (YARD_5, HULL_4, "xstate.done.actor.hull"),
}


@pytest.mark.parametrize("couple", COUPLES)
def test_a_parent_and_its_children(user: Deployment, couple: str) -> None:
    """A parent makes them, they talk, and it hears of the end of the one that it waits for, whatever majors of XState they are of."""
    yard, hull, done = COUPLES[couple]
    for machine, source in {"yard": yard, "hull": hull, "mast": MAST}.items():
        user.deploy(machine, bundled(source))
    user.create("yard", "y")
    user.sent("yard", "y", {"type": "ORDER", "length": 9})
    launched = await_state(user, "yard", "y", "launched")
    assert launched["done"]
    assert launched["publicContext"]["hull"] == {"length": 9, "planks": 12}
    assert kinds(user, "yard", "y") == ["xstate.init", "ORDER", "KEEL_LAID", done]
    mast = launched["publicContext"]["mast"]
    assert await_state(user, "mast", mast, "oiled")["publicContext"] == {"made": "of wood"}
    assert user.send("mast", mast, {"type": "OIL"}).status_code == 403
    assert kinds(user, "mast", mast) == ["xstate.init", "OIL"]


@pytest.mark.parametrize("yard", [YARD_4, YARD_5], ids=["XState 4", "XState 5"])
def test_a_child_that_cannot_be_made(server: RunningServer, user: Deployment, yard: str) -> None:
    """After five tries its parent gets the error event, with the reason, and the log speaks of a dead letter; of the first try at once."""
    user.deploy("yard", bundled(yard))
    user.create("yard", "y")
    user.sent("yard", "y", {"type": "HIRE"})
    alone = await_state(user, "yard", "y", "alone")
    assert alone["publicContext"] == {"why": "there is no machine nobody"}
    await_said(server, "y", "was given up and is a dead letter now: there is no machine nobody")
    await_said(server, "y", "was not taken and is tried again, 4 times at the most: there is no")


def heard(user: Deployment, expected: list[int]) -> Callable[[], bool]:
    return lambda: user.read("ship", "s")["publicContext"] == {"heard": expected}


def deploy_ship(user: Deployment) -> None:
    user.deploy("horn", bundled(HORN))
    user.deploy("ship", bundled(SHIP))
    for horn in ("h", "stranger"):
        user.create("horn", horn)
    user.create("ship", "s")


def test_a_receiver_may_refuse_a_sender(server: RunningServer, user: Deployment) -> None:
    """Its allowWrite sees who sends. What it refuses it never gets; what others send it does."""
    deploy_ship(user)
    user.sent("horn", "stranger", {"type": "SOUND", "n": 1, "delay": 0})
    user.sent("horn", "h", {"type": "SOUND", "n": 2, "delay": 0})
    await_said(server, "stranger", "an event to ship/s was given up and is a dead letter now")
    await_that(heard(user, [2]), "the second is heard")
    assert kinds(user, "ship", "s") == ["xstate.init", "SOUNDED"]


def test_a_paused_receiver_gets_its_messages_later(server: RunningServer, user: Deployment) -> None:
    """They are tried again while it is paused."""
    deploy_ship(user)
    admin_call(server, "PUT", "/machines/ship/i/s/status", {"status": "paused"})
    user.sent("horn", "h", {"type": "SOUND", "n": 1, "delay": 0})
    assert kinds(user, "ship", "s") == ["xstate.init"]
    admin_call(server, "PUT", "/machines/ship/i/s/status", {"status": "running"})
    await_that(heard(user, [1]), "it is heard")


def test_a_delayed_message_outlives_a_kill(tmp_path: Path) -> None:
    """It arrives after the next start, once."""
    with server_process(tmp_path / "data", *OPTIONS) as server, deployment(server) as user:
        deploy_ship(user)
        user.sent("horn", "h", {"type": "SOUND", "n": 1, "delay": 1_000})
        server.process.kill()
        server.process.wait()
        token = user.token
    with server_process(tmp_path / "data", *OPTIONS) as server, deployment(server, token) as user:
        await_that(heard(user, [1]), "it is heard")
        user.sent("horn", "h", {"type": "SOUND", "n": 2, "delay": 0})
        await_that(heard(user, [1, 2]), "the second is heard, and the first not again")


LIGHTHOUSE = """
import { actions, createMachine } from "npm:xstate@4.38.3";
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  predictableActionArguments: true,
  context: {},
  on: { HAIL: { actions: actions.respond((_, { n }) => ({ type: "SOUNDED", n })) } },
});
"""


def test_respond_reaches_whoever_sent(user: Deployment) -> None:
    """Instances of any machine, without a word about them in the event."""
    user.deploy("lighthouse", LIGHTHOUSE)
    user.create("lighthouse", "l")
    hailing = SHIP.replace(
        "on: {",
        """on: {
          CALL: { actions: tell({ type: "statebacked.instance", id: "l", machineName: "lighthouse", machineInstanceName: "l" }, { type: "HAIL", n: 7 }) },""",
    )
    user.deploy("boat", bundled(hailing))
    user.create("boat", "b")
    user.sent("boat", "b", {"type": "CALL"})
    await_that(lambda: user.read("boat", "b")["publicContext"] == {"heard": [7]}, "it is answered")
    assert kinds(user, "lighthouse", "l") == ["xstate.init", "HAIL"]

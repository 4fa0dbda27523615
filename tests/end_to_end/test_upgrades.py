"""Upgrades of busy instances on a real server, across majors of XState."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.deployed import Deployment, deployment
from tests.support.server import RunningServer

OLD = """
import { assign, createMachine } from "npm:xstate@4";
export const allowRead = () => true;
export const allowWrite = ({ event }) => event?.type !== "new";
export default createMachine({
  predictableActionArguments: true,
  id: "old",
  initial: "a",
  context: { public: { seen: [] } },
  states: {
    a: { on: { flip: "b" } },
    b: { on: { flip: "a" }, after: { 600: "late" } },
    late: {},
  },
  on: { add: { actions: assign({ public: ({ public: { seen } }, { n }) => ({ seen: [...seen, n] }) }) } },
});
"""
NEW = """
import { assign, createMachine } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = ({ event }) => event?.type !== "old";
export default createMachine({
  id: "new",
  initial: "a",
  context: { public: { seen: [] } },
  states: {
    a: { on: { flip: "c" } },
    c: { on: { flip: "a" }, after: { 600: "late" } },
    late: {},
  },
  on: {
    add: { actions: assign({ public: ({ context: { public: { seen } }, event: { n } }) => ({ seen: [...seen, n] }) }) },
  },
});
"""
EVENTS = 1_000
THERE = """
export const upgradeState = ([state]) => [state === "b" ? "c" : state];
export const upgradeContext = (before, after, context) => { console.log("there"); return context; };
"""
BACK = """
export const upgradeState = ([state]) => [state === "c" ? "b" : state];
export const upgradeContext = (before, after, context) => context;
"""


@pytest.fixture
def user(running_server: RunningServer) -> Iterator[Deployment]:
    with deployment(running_server) as user:
        yield user


@pytest.fixture
def versions(user: Deployment) -> tuple[str, str]:
    """Of machine `m`, with migrations there and back."""
    old, new = user.deploy("m", OLD), user.new_version("m", NEW)
    user.migrate("m", old, new, THERE)
    user.migrate("m", new, old, BACK)
    return old, new


def test_events_under_way_are_applied_once_and_in_order(
    user: Deployment, versions: tuple[str, str]
) -> None:
    """However often the instance goes from one version to the other meanwhile."""
    user.create("m", "busy", machineVersionId=versions[0])
    with ThreadPoolExecutor(16) as clients:
        events = [
            clients.submit(user.sent, "m", "busy", {"type": "add", "n": n}) for n in range(EVENTS)
        ]
        targets = itertools.cycle(reversed(versions))
        while not events[-1].done():
            target = next(targets)
            user.desire("m", "busy", target)
            while user.admin("m", "busy")["machineVersion"]["id"] != target:
                if events[-1].done():
                    break
        answers = [event.result() for event in events]
    journal = user.journal("m", "busy")
    seen = [entry["event"]["n"] for entry in journal if entry["event"]["type"] == "add"]
    assert sorted(seen) == list(range(EVENTS))
    assert user.read("m", "busy")["publicContext"] == {"seen": seen}
    for n, answer in enumerate(answers):
        assert answer["publicContext"]["seen"] == seen[: seen.index(n) + 1]
    upgrades = [e["event"] for e in journal if e["event"]["type"] == "statebacked.upgrade"]
    assert len(upgrades) > 2
    pairs = [(it["fromMachineVersionId"], it["toMachineVersionId"]) for it in upgrades]
    assert pairs == list(itertools.islice(itertools.cycle([versions, versions[::-1]]), len(pairs)))


def test_a_timer_keeps_its_time_from_xstate_4_to_5(
    user: Deployment, versions: tuple[str, str]
) -> None:
    """It was set by the old version and fires in the new one, of which it brings the upgrade about."""
    old, new = versions
    user.create("m", "waiting", machineVersionId=old)
    flipped = user.sent("m", "waiting", {"type": "flip"})
    user.desire("m", "waiting", new)
    while (state := user.read("m", "waiting"))["state"] != "late":
        pass
    assert 500 < state["ts"] - flipped["ts"] < 5_000
    types = [entry["event"]["type"] for entry in user.journal("m", "waiting")]
    assert types == ["xstate.init", "flip", "statebacked.upgrade", "xstate.after.600.new.c"]


def test_the_new_version_is_asked_about_the_event(
    user: Deployment, versions: tuple[str, str]
) -> None:
    """The upgrade stands, whatever it says."""
    old, new = versions
    user.create("m", "one", machineVersionId=old)
    assert user.send("m", "one", {"type": "new"}).status_code == 403
    user.desire("m", "one", new)
    assert user.send("m", "one", {"type": "old"}).status_code == 403
    assert user.admin("m", "one")["machineVersion"]["id"] == new
    assert user.send("m", "one", {"type": "new"}).status_code == 200

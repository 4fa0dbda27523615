"""The example does what its first lines say. Run with XState itself, so that only the machine is in question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from statekeep.cli.example import SOURCE
from tests.support.deno import run_module

COIN = {"type": "coin", "cents": 100}
PUSH = {"type": "push"}
REFUND = {"type": "refund"}
ADA = {"sub": "ada"}
ATTENDANT = {"sub": "bob", "role": "attendant"}

# Events, or milliseconds that pass; then state, credit, entries and takings.
VISITS: list[tuple[list[Any], list[Any]]] = [
    ([PUSH], ["locked", 0, 0, 0]),
    ([COIN], ["unlocked", 100, 0, 100]),
    ([COIN, PUSH], ["locked", 0, 1, 100]),
    ([{"type": "coin", "cents": 60}], ["locked", 60, 0, 60]),
    ([{"type": "coin", "cents": 60}] * 2, ["unlocked", 120, 0, 120]),
    ([COIN, COIN, PUSH], ["unlocked", 100, 1, 200]),
    ([COIN, COIN, PUSH, PUSH], ["locked", 0, 2, 200]),
    ([COIN, 19_999], ["unlocked", 100, 0, 100]),
    ([COIN, 20_000], ["locked", 0, 0, 0]),
    ([COIN, PUSH, 20_000], ["locked", 0, 1, 100]),
    ([COIN, REFUND], ["locked", 0, 0, 0]),
    ([{"type": "coin"}, {"type": "coin", "cents": -5}], ["locked", 0, 0, 0]),
    ([{"type": "coin", "cents": "100"}], ["locked", 0, 0, 0]),
]
WRITES: list[tuple[dict[str, Any], bool]] = [
    ({"type": "initialization", "context": {}, "authContext": ADA}, True),
    ({"type": "initialization", "context": {"public": {}}, "authContext": ADA}, False),
    ({"type": "initialization", "context": {}, "authContext": {}}, False),
    ({"type": "event", "event": COIN, "context": {}, "authContext": ADA}, True),
    ({"type": "event", "event": COIN, "context": {}, "authContext": {}}, False),
    ({"type": "event", "event": REFUND, "context": {}, "authContext": ADA}, False),
    ({"type": "event", "event": REFUND, "context": {}, "authContext": ATTENDANT}, True),
]
READS: list[tuple[dict[str, Any], bool]] = [
    ({"authContext": ADA}, True),
    ({"authContext": {}}, False),
]

RUN = """
import machine, { allowRead, allowWrite } from %(source)s;
import { createActor, SimulatedClock } from "npm:xstate@5";

console.log = () => {};
const visits = (%(visits)s as (object | number)[][]).map((steps) => {
  const clock = new SimulatedClock();
  const actor = createActor(machine, { clock }).start();
  for (const step of steps) {
    if (typeof step === "number") clock.increment(step);
    else actor.send(step as Parameters<typeof actor.send>[0]);
  }
  const { value, context } = actor.getSnapshot();
  return [value, context.public.creditCents, context.public.entries, context.takingsCents];
});
const writes = (%(writes)s as Parameters<typeof allowWrite>[0][]).map(allowWrite);
const reads = (%(reads)s as Parameters<typeof allowRead>[0][]).map(allowRead);
console.info(JSON.stringify({ visits, writes, reads }));
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, list[Any]]:
    """What came of all of the above; that its types are right was checked first."""
    cases: dict[str, Sequence[tuple[Any, Any]]] = {
        "visits": VISITS,
        "writes": WRITES,
        "reads": READS,
    }
    inputs = {name: json.dumps([given for given, _ in rows]) for name, rows in cases.items()}
    source = RUN % {**inputs, "source": json.dumps(SOURCE.as_uri())}
    results: dict[str, list[Any]] = json.loads(run_module(source))
    return results


@pytest.mark.parametrize("number", range(len(VISITS)))
def test_the_turnstile_lets_in_who_paid(seen, number):
    """As often as was paid for, and nobody after 20 seconds; what is no money changes nothing."""
    assert seen["visits"][number] == VISITS[number][1]


@pytest.mark.parametrize("number", range(len(WRITES)))
def test_only_somebody_may_do_something(seen, number):
    """Money goes back by an attendant only, and nobody starts with money of their own making."""
    assert seen["writes"][number] is WRITES[number][1]


@pytest.mark.parametrize("number", range(len(READS)))
def test_only_somebody_may_see_something(seen, number):
    """Whoever has a subject may."""
    assert seen["reads"][number] is READS[number][1]

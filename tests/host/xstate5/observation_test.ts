/** Which transitions an observed machine tells of. */

import assert from "node:assert/strict";
import * as xstate from "xstate5";
import { xstate5Driver } from "../../../src/statekeep/runtimes/javascript/host/xstate5/driver.ts";
import { Instance } from "./support.ts";

const { createMachine, fromPromise, raise } = xstate;

const machine = createMachine({
  id: "m",
  initial: "a",
  on: { "*": { guard: ({ event }) => event.type === "odd" }, reset: ".a" },
  states: {
    a: {
      on: {
        go: [{ guard: "never", target: "c" }, { target: "b", actions: raise({ type: "on" }) }],
      },
      after: { 10: "c" },
    },
    b: { on: { on: { target: "c" } } },
    c: {
      initial: "x",
      invoke: { id: "call", src: fromPromise(() => Promise.resolve()), onDone: "a", onError: "a" },
      always: [{ guard: () => false, target: "a" }, { guard: () => true, target: "d" }],
      states: { x: {} },
    },
    d: {
      type: "parallel",
      states: {
        left: { initial: "l", states: { l: { on: { both: "m" } }, m: {} } },
        right: { initial: "l", states: { l: { on: { both: "m" } }, m: {} } },
      },
    },
  },
}, { guards: { never: () => false } });

class Observed extends Instance {
  override readonly driver = xstate5Driver(machine, true);
}

const instance = () => new Observed(machine).begin();
const states = () => new Observed(machine).driver.chart.states;
const position = (...path: string[]) => states().findIndex((it) => it.path.join() === path.join());

Deno.test("the outline of an observed machine has its transitions, with guards and targets", () => {
  const [root, a, , c] = states();
  assert.deepEqual(root!.transitions, [
    { event: "*", guard: true },
    { event: "reset", targets: [["a"]] },
  ]);
  assert.deepEqual(a!.transitions, [
    { event: "go", guard: "never", targets: [["c"]] },
    { event: "go", targets: [["b"]] },
    { event: "xstate.after.10.m.a", targets: [["c"]] },
  ]);
  assert.deepEqual(c!.transitions!.map(({ event }) => event), [
    "xstate.done.actor.call",
    "xstate.error.actor.call",
    "",
    "",
  ]);
});

Deno.test("each microstep of a macrostep is told, in order", () => {
  const taken = instance().step("go").decided.taken;
  assert.deepEqual(taken, [[position("a"), 1], [position("b"), 0], [position("c"), 3]]);
});

Deno.test("transitions of parallel states are told together, and none where nothing is taken", () => {
  const it = instance().step("go");
  assert.deepEqual(it.step("nothing").decided.taken, []);
  assert.deepEqual(it.step("both").decided.taken, [
    [position("d", "left", "l"), 0],
    [position("d", "right", "l"), 0],
  ]);
  assert.deepEqual(it.step("odd").decided.taken, [[0, 0]]);
});

Deno.test("a machine that is not observed tells nothing", () => {
  const it = Instance.create(machine);
  assert.equal(it.step("go").decided.taken, undefined);
  assert.equal(it.driver.chart.states[0]!.transitions, undefined);
});

/** Which transitions an observed machine of XState 4 tells of. */

import assert from "node:assert/strict";
import type {
  Decided,
  LiveInstance,
} from "../../../src/statekeep/runtimes/javascript/host/driver.ts";
import { xstate4Driver } from "../../../src/statekeep/runtimes/javascript/host/xstate4/driver.ts";
import { createMachine } from "xstate4";

const definition = (predictableActionArguments: boolean) =>
  createMachine({
    id: "m",
    predictableActionArguments,
    initial: "a",
    on: { "*": { cond: (_, event) => event.type === "odd", actions: [] }, reset: ".a" },
    states: {
      a: {
        on: { go: [{ cond: "never", target: "c" }, { target: "b" }] },
        after: { 10: "c" },
      },
      b: { always: { target: "c" } },
      c: {
        invoke: { id: "call", src: "call", onDone: "a", onError: "a" },
        always: [{ cond: () => false, target: "a" }, { target: "d" }],
      },
      d: {
        type: "parallel",
        states: {
          left: { initial: "l", states: { l: { on: { both: "m" } }, m: {} } },
          right: { initial: "l", states: { l: { on: { both: "m" } }, m: {} } },
        },
      },
    },
  }, { guards: { never: () => false }, services: { call: () => Promise.resolve() } });

const surroundings = {
  name: "observed",
  eventForRoot() {},
  childrenChanged() {},
  warn() {},
};

function begin(predictable: boolean, isObserved = true) {
  const driver = xstate4Driver(definition(predictable), isObserved);
  const { live } = driver.initial(surroundings, {});
  const step = (type: string): Decided => {
    const decided = live.step({ type });
    live.snapshot();
    (live as LiveInstance).mark();
    return decided;
  };
  live.snapshot();
  live.mark();
  const { states } = driver.chart;
  const position = (...path: string[]) => states.findIndex((it) => it.path.join() === path.join());
  return { states, step, position };
}

Deno.test("XState 4: the outline of an observed machine has its transitions", () => {
  const [root, a, , c] = begin(true).states;
  assert.deepEqual(root!.transitions, [
    { event: "reset", targets: [["a"]] },
    { event: "*", guard: true },
  ]);
  assert.deepEqual(a!.transitions, [
    { event: "go", guard: "never", targets: [["c"]] },
    { event: "go", targets: [["b"]] },
    { event: "xstate.after(10)#m.a", targets: [["c"]] },
  ]);
  assert.deepEqual(c!.transitions!.map(({ event }) => event), [
    "done.invoke.call",
    "error.platform.call",
    "",
    "",
  ]);
});

for (const predictable of [true, false]) {
  Deno.test(`XState 4: each microstep is told (predictable: ${predictable})`, () => {
    const { step, position } = begin(predictable);
    const through = [[position("a"), 1], [position("b"), 0], [position("c"), 3]];
    assert.deepEqual(step("go").taken, through);
    assert.deepEqual(step("nothing").taken, []);
    assert.deepEqual(step("both").taken, [
      [position("d", "left", "l"), 0],
      [position("d", "right", "l"), 0],
    ]);
    assert.deepEqual(step("odd").taken, [[0, 1]]);
  });
}

Deno.test("XState 4: a machine that is not observed tells nothing", () => {
  const { step, states } = begin(true, false);
  assert.equal(step("go").taken, undefined);
  assert.equal(states[0]!.transitions, undefined);
});

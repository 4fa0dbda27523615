/** What XState 4 does that the driver is built upon. Where one of these changes, so must the driver. */

import { assign, createMachine, interpret, raise, State } from "xstate4";
import { assert, assertEquals } from "./support.ts";

// deno-lint-ignore no-explicit-any
type Any = any;

const make = (config: Any, options: Any = {}): Any =>
  createMachine({ id: "m", ...config }, options);

const raising = (isPredictable: boolean, note: Any) =>
  make({
    predictableActionArguments: isPredictable,
    context: { n: 0 },
    initial: "a",
    states: { a: { on: { GO: { target: "b", actions: ["inc", note, raise("IN")] } } }, b: {} },
    on: { IN: { actions: ["inc", note] } },
  }, { actions: { inc: assign({ n: (context: Any) => context.n + 1 }) } });

Deno.test("delays vanish from a restored machine unless it was prepared", () => {
  const delayed = () =>
    make({ initial: "a", states: { a: { on: { GO: "b" } }, b: { after: { 10: "a" } } } });
  const actionsOf = (machine: Any) =>
    machine.transition(State.from("a", {}), "GO").actions.map((action: Any) => action.type);
  assertEquals(actionsOf(delayed()), []);
  const prepared = delayed();
  prepared._init();
  assertEquals(actionsOf(prepared), ["xstate.send"]);
});

Deno.test("with predictable arguments a recorder is told each action with its context and event", () => {
  const machine = raising(true, () => {});
  const told: unknown[] = [];
  machine.transition(machine.initialState, { type: "GO" }, undefined, (...args: Any[]) => {
    told.push([args[1].n, args[2].name]);
  });
  assertEquals(told, [[1, "GO"], [2, "IN"]]);
});

Deno.test("without them the last context and the first event are given to all, by XState's interpreter, too", () => {
  const seen: unknown[] = [];
  const machine = raising(false, (context: Any, event: Any) => seen.push([context.n, event.type]));
  interpret(machine).start().send({ type: "GO" });
  assertEquals(seen, [[2, "GO"], [2, "GO"]]);
});

Deno.test("the recorder is not told of the initial state", () => {
  const machine = make({ predictableActionArguments: true, entry: () => {} });
  const state = machine.getInitialState(machine.initialStateValue, {});
  assertEquals(state.actions.length, 1);
});

Deno.test("an interpreter started from a state executes its actions again", () => {
  const seen: string[] = [];
  const machine = make({
    predictableActionArguments: true,
    on: { GO: { actions: () => seen.push("x") } },
  });
  const service = interpret(machine).start();
  service.send("GO");
  interpret(machine).start(service.getSnapshot());
  assertEquals(seen, ["x", "x"]);
});

Deno.test("activities get the context that was, with predictable arguments", () => {
  for (const [isPredictable, n] of [[true, 0], [false, 1]]) {
    let seen: unknown;
    const machine = make({
      predictableActionArguments: isPredictable,
      context: { n: 0 },
      initial: "a",
      states: {
        a: { on: { GO: { target: "b", actions: assign({ n: 1 }) } } },
        b: { activities: "act" },
      },
    }, { activities: { act: (context: Any) => void (seen = context.n) } });
    interpret(machine).start().send("GO");
    assert(seen === n, `${isPredictable}: ${seen}`);
  }
});

/** Machines of other copies of XState 5 than ours: what works, and what is refused. */

import assert from "node:assert/strict";
import * as ours from "xstate5";
import { unimplemented } from "../../../src/statekeep/runtimes/javascript/host/xstate5/driver.ts";
import { bundle } from "../support/bundle.ts";
import { Instance, tick } from "./support.ts";

// deno-lint-ignore no-explicit-any
type Any = any;

async function copy(version: string, minify = false): Promise<typeof ours> {
  return await import(`data:text/javascript;base64,${
    btoa(
      unescape(encodeURIComponent(await bundle(`export * from "npm:xstate@${version}"`, minify))),
    )
  }`);
}

const never = () => new Promise(() => {});

/** A little of everything that goes through a copy's insides. */
async function exercise(xstate: Any) {
  const {
    assign,
    createMachine,
    fromCallback,
    fromObservable,
    fromPromise,
    fromTransition,
    sendTo,
  } = xstate;
  const machine = createMachine({
    id: "m",
    context: ({ spawn }: Any) => ({ n: 0, sum: spawn("sum", { id: "sum", systemId: "sum" }) }),
    invoke: [
      { id: "promise", src: fromPromise(() => Promise.resolve(1)), onDone: { actions: "count" } },
      { id: "never", src: fromPromise(never) },
      { id: "callback", src: fromCallback(({ receive }: Any) => receive(() => {})) },
      {
        id: "observable",
        src: fromObservable(() => ({ subscribe: () => ({ unsubscribe() {} }) })),
      },
      {
        id: "machine",
        src: createMachine({ initial: "a", states: { a: { after: { 1: "b" } }, b: {} } }),
      },
    ],
    initial: "a",
    states: { a: { after: { 10: "b" }, on: { go: "b" } }, b: { entry: ["count", "act"] } },
    on: { add: { actions: sendTo("sum", { type: "add" }) } },
  }, {
    actions: { count: assign({ n: ({ context }: Any) => context.n + 1 }), act: () => {} },
    actors: { sum: fromTransition((n: number) => n + 1, 0) },
  });
  const instance = Instance.create(machine);
  assert.equal(instance.timers.length, 1);
  instance.perform();
  const kinds = Object.fromEntries(instance.live.children().map(({ id, kind }) => [id, kind]));
  assert.deepEqual(kinds, {
    sum: "reducer",
    promise: "promise",
    never: "promise",
    callback: "callback",
    observable: "observable",
    machine: "machine",
  });
  await tick(10);
  assert.deepEqual(instance.due.sort(), ["callback", "never", "observable"]);
  instance.deliver().send("add").send("go");
  assert.equal(instance.context.n, 2);
  assert.equal(instance.live.value, "b");
  assert.deepEqual(instance.timers, [{ cancel: "xstate.after.10.m.a" }]);
  instance.take(instance.decided);
  instance.restart();
  assert.equal(instance.context.sum.getSnapshot().context, 1);
  assert.equal(instance.context.n, 2);
  instance.live.dispose();
}

Deno.test("our copy works", () => exercise(ours));

for (const version of ["5.19.0", "5.20.2", "5.25.0", "5.33.3"]) {
  Deno.test(`a bundled copy of ${version} works`, async () => exercise(await copy(version)));
}

Deno.test("a bundled and minified copy works", async () => exercise(await copy("5.33.3", true)));

for (const version of ["5.0.0", "5.18.2"]) {
  Deno.test(`a copy of ${version} is refused with a way out`, async () => {
    const { createMachine } = await copy(version);
    assert.throws(() => new Instance(createMachine({})), /older than 5\.19.*[Uu]pgrade.*external/s);
  });
}

Deno.test("what is used and not implemented is named", () => {
  const machine = ours.createMachine({
    entry: ["there", "noAction", { type: "noAction2" }],
    invoke: { src: "noActor" },
    initial: "a",
    states: {
      a: { after: { noDelay: "b", 10: "b" }, always: { guard: "noGuard", target: "b" } },
      b: { exit: ours.assign({}) },
    },
  }, { actions: { there: () => {} } } as Any);
  const names = unimplemented(machine as Any).map((text) => /"(\w+)"/.exec(text)![1]);
  assert.deepEqual(names.sort(), ["noAction", "noAction2", "noActor", "noDelay", "noGuard"]);
});

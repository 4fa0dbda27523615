/** Machines of other copies of XState 4: bundled with the author's code, minified, older. */

import { assert, assertEquals, assertThrows, TestHost, tick } from "./support.ts";
import { bundle } from "../support/bundle.ts";
import { xstate4Driver } from "../../../src/statekeep/runtimes/javascript/host/xstate4/driver.ts";

// deno-lint-ignore no-explicit-any
type Any = any;

/** An author's module: an assign that spawns, children that spawn in turn, an action, a guard, a delay, history. */
const source = (version: string) => `
import { Machine, assign, spawn, send, sendParent } from "npm:xstate@${version}";
const inner = Machine({
  id: "inner",
  context: {},
  initial: "a",
  states: {
    a: {
      entry: assign({ ref: () => spawn(Promise.resolve("from the inner machine"), "p") }),
      on: { "done.invoke.p": "b" },
    },
    b: { on: { NEXT: { actions: sendParent((_, e) => ({ type: "TOLD", text: "next" })) } } },
  },
});
export const seen = [];
export default Machine({
  id: "m",
  predictableActionArguments: true,
  context: { n: 0, texts: [] },
  initial: "off",
  states: {
    off: { tags: ["dark"], on: { ON: { target: "on", actions: [assign({ n: c => c.n + 1 }), (c, e) => seen.push([c.n, e.type])] } } },
    on: {
      entry: assign({ kid: () => spawn(inner, "kid"), call: () => spawn(cb => void cb("CALLED"), "call") }),
      initial: "x",
      states: {
        x: { after: { 50: "y" } },
        y: { invoke: { id: "job", src: () => Promise.resolve(5), onDone: "z" } },
        z: {},
        back: { type: "history" },
      },
      on: { OFF: "off" },
    },
  },
  on: {
    TELL: { actions: send("NEXT", { to: c => c.kid }) },
    TOLD: { actions: assign({ texts: (c, e) => [...c.texts, e.text] }) },
  },
});
`;

/** Imported from a file, as blobs and data URLs make a bundle's stack traces unreadable. */
async function load(code: string): Promise<Any> {
  const path = await Deno.makeTempFile({ suffix: ".mjs" });
  await Deno.writeTextFile(path, code);
  try {
    return await import(`file://${path}`);
  } finally {
    await Deno.remove(path);
  }
}

// From 4.32 on a recorder is known; before that, predictable arguments are not.
for (const version of ["4.38.3", "4.33.6", "4.30.6", "4.20.2"]) {
  Deno.test(`a minified bundle with XState ${version} spawns, invokes, delays and restores`, async () => {
    const { default: machine, seen } = await load(await bundle(source(version), true));
    assertEquals(xstate4Driver(machine).xstate, "bundled");
    const host = TestHost.start(machine);
    host.send("ON");
    assertEquals(seen, [[1, "ON"]]);
    const kinds = host.live.children().map(({ id, kind, due }) => [id, kind, due]);
    assertEquals(kinds, [["kid", "machine", true], ["call", "callback", true]]);
    assertEquals(host.inbox.map(({ event, childId }) => [event.type, childId]), [[
      "CALLED",
      "call",
    ]]);
    await host.settle();
    assertEquals(host.live.children()[0].due, false);
    host.send("TELL");
    host.pump();
    host.advance(50);
    await host.settle();
    assertEquals(host.live.value, { on: "z" });
    assertEquals((host.live.context as Any).texts, ["next"]);
    host.send("OFF");
    host.restore();
    assertEquals([host.live.value, host.live.tags], ["off", ["dark"]]);
    host.send("ON");
    assertEquals(seen.length, 2);
    host.live.dispose();
  });
}

Deno.test("a bundle with a copy that is too old to be read fails the event that spawns, and says why", async () => {
  const { default: machine } = await load(await bundle(source("4.10.0"), true));
  const host = TestHost.start(machine);
  assertThrows(() => host.live.step({ type: "ON" }), "would never start");
  host.live.rollBack();
  assertEquals([host.live.value, host.live.children()], ["off", []]);
});

Deno.test("machines of two copies in one bundle work together", async () => {
  const mixed = `
    import { createMachine, assign, spawn } from "npm:xstate@4.38.3";
    import { createMachine as older, assign as olderAssign, spawn as olderSpawn } from "npm:xstate@4.33.6";
    const kid = older({ context: {}, entry: olderAssign({ p: () => olderSpawn(new Promise(() => {}), "p") }) });
    export default createMachine({ context: {}, entry: assign({ kid: () => spawn(kid, "kid") }) });`;
  const { default: machine } = await load(await bundle(mixed));
  const host = TestHost.start(machine);
  assertEquals(host.live.children(), [{ id: "kid", kind: "machine", due: true }]);
});

Deno.test("our own copy is told from others, and its version is the one that is pinned", async () => {
  const { createMachine } = await import("xstate4");
  const { xstate } = xstate4Driver(createMachine({ predictableActionArguments: true }));
  const config = new URL("../../../src/statekeep/runtimes/javascript/deno.json", import.meta.url);
  const { imports } = JSON.parse(await Deno.readTextFile(config));
  assertEquals(`npm:xstate@${xstate}`, imports.xstate4);
});

Deno.test("author code that throws leaves nothing behind on the stacks of services", async () => {
  const { createMachine, assign, spawn } = await import("xstate4");
  const fail = () => {
    throw new Error("thrown by an assign");
  };
  const kid: Any = createMachine({
    predictableActionArguments: true,
    context: {},
    on: { FAIL: { actions: assign(fail as Any) } },
  });
  const host = TestHost.start(createMachine({
    predictableActionArguments: true,
    context: {} as Any,
    entry: assign({ kid: () => spawn(kid, "kid") }),
    on: {
      FAIL: { actions: (context: Any) => context.kid.send("FAIL") },
      SPAWN: { actions: assign({ p: () => spawn(Promise.resolve(1), "p") as Any }) },
    },
  }));
  host.send("FAIL");
  assert(String(host.errors[0]).includes("thrown by an assign"));
  host.send("SPAWN");
  assertEquals(host.live.children().map(({ id }) => id), ["kid", "p"]);
  await tick();
  assertEquals(host.inbox.map(({ event }) => event.type), ["done.invoke.p"]);
});

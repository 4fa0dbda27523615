/** What an instance of XState 4 does without children: state, context, timers, snapshots. */

import { actions, assign, createMachine, raise, send, sendParent } from "xstate4";
import { isXState4 } from "../../../src/statekeep/runtimes/javascript/host/xstate4/driver.ts";
import { assert, assertEquals, assertThrows, TestHost, xstate4Driver } from "./support.ts";

const { cancel, choose, log, pure } = actions;
// deno-lint-ignore no-explicit-any
type Any = any;

const machine = (config: Any, options: Any = {}): Any =>
  createMachine({ predictableActionArguments: true, id: "m", ...config }, options);

const counter = () =>
  machine({
    context: { n: 0 },
    initial: "a",
    states: {
      a: { tags: "first", on: { GO: { target: "b", actions: "inc" } } },
      b: { on: { BACK: "a" } },
    },
  }, { actions: { inc: assign({ n: (context: Any) => context.n + 1 }) } });

Deno.test("only machines of XState 4 are taken for such", () => {
  assert(isXState4(counter()));
  for (const other of [undefined, null, {}, () => {}, { __xstatenode: true }, "machine"]) {
    assert(!isXState4(other), String(other));
  }
});

Deno.test("a broken definition is refused when it is loaded", () => {
  const broken = machine({ initial: "a", states: { a: { on: { GO: "nowhere" } } } });
  assertThrows(() => xstate4Driver(broken), "nowhere");
  const noInitial = machine({ initial: "x", states: { a: {} } });
  assertThrows(() => xstate4Driver(noInitial), "Initial state 'x' not found");
});

Deno.test("given context is merged over the machine's own", () => {
  const host = TestHost.start(machine({ context: { a: 1, b: { c: 1 } } }), { b: { d: 2 }, e: 3 });
  assertEquals(host.live.context, { a: 1, b: { d: 2 }, e: 3 });
  assertEquals(TestHost.start(machine({})).live.context, {}, "no context");
  const lazy = machine({ context: () => ({ made: true }) });
  assertEquals(TestHost.start(lazy, { given: 1 }).live.context, { made: true, given: 1 }, "lazy");
});

Deno.test("instances share nothing that an assign can mutate", () => {
  const mutating = machine({
    context: { list: [] },
    entry: assign((context: Any) => (context.list.push(1), context)),
  });
  TestHost.start(mutating);
  assertEquals(TestHost.start(mutating).live.context, { list: [1] });
});

Deno.test("a snapshot has what is needed and nothing else", () => {
  const host = TestHost.start(counter());
  assertEquals(host.snapshot, { value: "a", context: { n: 0 } });
  assertEquals(host.live.tags, ["first"]);
  host.send("GO");
  assertEquals(host.snapshot, { value: "b", context: { n: 1 }, event: { type: "GO" } });
  const { text, contextText } = host.live.snapshot();
  assertEquals(JSON.parse(text).context, JSON.parse(contextText));
});

Deno.test("the context is its own JSON after every step", () => {
  const host = TestHost.start(machine({
    context: { at: new Date(0), f: () => 1, u: undefined, list: [undefined] },
    on: { LOOK: { actions: assign({ type: (context: Any) => typeof context.at }) } },
  }));
  assertEquals(host.live.context, { at: "1970-01-01T00:00:00.000Z", list: [null] });
  assert(!("f" in (host.live.context as object)));
  host.send("LOOK");
  assertEquals((host.live.context as Any).type, "string");
});

Deno.test("a context that is no JSON fails the event", () => {
  const cycle: Any = {};
  cycle.self = cycle;
  for (const [wrong, text] of [[cycle, "circular"], [1n, "BigInt"]] as const) {
    const host = TestHost.start(
      machine({ context: {}, on: { GO: { actions: assign({ wrong }) } } }),
    );
    assertThrows(() => host.send("GO"), text);
    host.live.rollBack();
    assertEquals(host.live.context, {});
  }
});

Deno.test("what an assign mutates before it throws is gone after a roll-back", () => {
  const host = TestHost.start(machine({
    context: { list: [1], deep: { n: 1 } },
    initial: "a",
    states: { a: { on: { GO: "b" } }, b: {} },
    on: {
      FAIL: {
        actions: [
          assign((context: Any) => {
            context.list.push("poison");
            context.deep.n = "poison";
            throw new Error("thrown by an assign");
          }),
        ],
      },
    },
  }));
  host.send("GO");
  const before = host.text;
  assertThrows(() => host.live.step({ type: "FAIL" }), "thrown by an assign");
  host.live.rollBack();
  assertEquals(host.live.context, { list: [1], deep: { n: 1 } });
  assertEquals(host.live.value, "b");
  assert(host.live.snapshot().text === before);
  assert(!before.includes("poison"));
});

Deno.test("a roll-back undoes steps, and what an authoriser did to the context", () => {
  const host = TestHost.start(counter());
  host.live.step({ type: "GO" });
  host.live.snapshot();
  (host.live.context as Any).n = "poison";
  host.live.rollBack();
  assertEquals([host.live.value, host.live.context], ["a", { n: 0 }]);
  host.restore();
  (host.live.context as Any).n = "poison";
  host.live.rollBack();
  assertEquals(host.live.context, { n: 0 });
});

Deno.test("custom actions wait to be performed, with the context and event of their step", () => {
  const seen: unknown[] = [];
  const note = (name: string) => (context: Any, event: Any) =>
    seen.push([name, context.n, event.type]);
  const host = TestHost.start(machine({
    context: { n: 0 },
    initial: "a",
    states: {
      a: { exit: note("exit a"), on: { GO: { target: "b", actions: ["inc", note("go")] } } },
      b: {
        entry: ["inc", note("enter b"), raise("NEXT")],
        on: { NEXT: { actions: note("next") } },
      },
    },
  }, { actions: { inc: assign({ n: (context: Any) => context.n + 1 }) } }));
  const { effects } = host.live.step({ type: "GO" });
  host.live.snapshot();
  assertEquals(seen, []);
  assert(effects.every((effect) => !effect.touchesChildren));
  effects.forEach((effect) => effect.run());
  assertEquals(seen, [["exit a", 0, "GO"], ["go", 1, "GO"], ["enter b", 2, "GO"], [
    "next",
    2,
    "NEXT",
  ]]);
});

Deno.test("an action sees the state of its step as it was decided", () => {
  let saw: unknown;
  const host = TestHost.start(machine({
    predictableActionArguments: false,
    context: {},
    initial: "a",
    states: { a: { on: { GO: { target: "b", actions: ["set", "look"] } } }, b: {} },
  }, {
    actions: {
      set: assign({ at: () => new Date(0) }),
      look: (context: Any, _: Any, { state }: Any) => {
        saw = [context.at instanceof Date, state.value, state.history.value, state.changed];
      },
    },
  }));
  // Performed after the snapshot, which makes JSON of the context and forgets the state before.
  host.send("GO");
  assertEquals(saw, [true, "b", "a", true]);
  assertEquals(host.live.context, { at: "1970-01-01T00:00:00.000Z" });
});

Deno.test("an action that throws is told to the host and stops nothing", () => {
  const seen: string[] = [];
  const fail = () => {
    throw new Error("thrown by an action");
  };
  const host = TestHost.start(
    machine({ on: { GO: { actions: [fail, () => seen.push("after")] } } }),
  );
  host.send("GO");
  assertEquals([String(host.errors), seen], ["Error: thrown by an action", ["after"]]);
});

Deno.test("an action without an implementation is warned of", () => {
  const host = TestHost.start(machine({ on: { GO: { actions: ["missing"] } } }));
  host.send("GO");
  assertEquals(host.decided.effects, []);
  assert(host.warnings[0].includes('"missing"'), host.warnings[0]);
});

Deno.test("what a machine sends itself is a further step, not an effect", () => {
  const host = TestHost.start(machine({
    initial: "a",
    states: {
      a: { on: { GO: { target: "b", actions: [send({ type: "ON", n: 1 } as Any), raise("IN")] } } },
      b: { on: { IN: "c" } },
      c: { on: { ON: { target: "d", actions: assign({ n: (_: Any, e: Any) => e.n }) } } },
      d: {},
    },
  }));
  const { selfSends, effects } = host.live.step({ type: "GO" });
  assertEquals([host.live.value, selfSends, effects], ["c", [{ type: "ON", n: 1 }], []]);
  host.live.step(selfSends[0]);
  assertEquals([host.live.value, host.live.context], ["d", { n: 1 }]);
});

Deno.test("delayed sends, raises and after are timers, in order", () => {
  const host = TestHost.start(machine({
    initial: "a",
    states: {
      a: {
        after: { 1000: "b", soon: { target: "b" } },
        entry: [
          send("LATER", { delay: 10 }),
          send({ type: "NAMED", n: 1 } as Any, { delay: 20, id: "x" }),
          raise("RAISED" as Any, { delay: 30 }),
          cancel("x"),
        ],
      },
      b: {},
    },
  }, { delays: { soon: () => 5 } }));
  const after = (delay: string | number, n: number) => {
    const type = `xstate.after(${delay})#m.a`;
    return { set: type, event: { type }, after: { path: ["a"], n, delay } };
  };
  assertEquals(host.decided.timers, [
    { set: "LATER", delay: 10, event: { type: "LATER" } },
    { set: "x", delay: 20, event: { type: "NAMED", n: 1 } },
    { set: "", delay: 30, event: { type: "RAISED" } },
    { cancel: "x" },
    { ...after(1000, 0), delay: 1000 },
    { ...after("soon", 1), delay: 5 },
  ]);
  host.advance(5);
  assertEquals(host.live.value, "b");
  const cancelled = ["xstate.after(1000)#m.a", "xstate.after(soon)#m.a"];
  assertEquals(host.decided.timers, cancelled.map((id) => ({ cancel: id })));
});

Deno.test("a delay that is a function is named by its place in the list", () => {
  const delay = (context: Any) => context.ms;
  const host = TestHost.start(machine({
    context: { ms: 7 },
    initial: "a",
    states: { a: { after: [{ delay: 5, target: "b" }, { delay, target: "b" }] }, b: {} },
  }));
  const type = "xstate.after(m.a:delay[1])#m.a";
  assertEquals(host.decided.timers[1], {
    set: type,
    delay: 7,
    event: { type },
    after: { path: ["a"], n: 1, delay: "delay[1]" },
  });
});

Deno.test("timers of a restored instance work, which needs the machine to be prepared", () => {
  const delayed = machine({
    initial: "a",
    states: { a: { on: { GO: "b" } }, b: { after: { 10: "a" } } },
  });
  const driver = xstate4Driver(delayed);
  const host = new TestHost(delayed);
  const live = driver.restore(host, { value: "a", context: {} });
  assertEquals(live.step({ type: "GO" }).timers.length, 1);
});

Deno.test("a finished machine has an output, no timers, no self-sends", () => {
  const host = TestHost.start(machine({
    context: { n: 3 },
    initial: "a",
    states: {
      a: { on: { END: { target: "z", actions: [send("X"), send("Y", { delay: 5 })] } } },
      z: {
        type: "final",
        data: { n: (context: Any) => context.n, why: (_: Any, e: Any) => e.type },
      },
    },
  }));
  host.send("END");
  const { timers, selfSends, effects } = host.decided;
  assertEquals([timers, selfSends, effects], [[], [], []]);
  assert(host.live.isDone);
  assertEquals([host.snapshot.status, host.snapshot.output], ["done", { n: 3, why: "END" }]);
  host.restore();
  assert(host.live.isDone);
  assertEquals(JSON.parse(host.live.snapshot().text), host.snapshot);
});

Deno.test("sending to the parent that there is not is warned of", () => {
  const host = TestHost.start(machine({ on: { GO: { actions: sendParent("UP") } } }));
  host.send("GO");
  assertEquals(host.decided.effects, []);
  assert(host.warnings[0].includes("UP"), host.warnings[0]);
});

Deno.test("a strict machine fails events that it does not know", () => {
  const host = TestHost.start(machine({ strict: true, on: { KNOWN: { actions: () => {} } } }));
  assertThrows(() => host.live.step({ type: "UNKNOWN" }), "does not accept event 'UNKNOWN'");
  host.live.rollBack();
  host.send("KNOWN");
});

Deno.test("handles() tells whether a transition would be taken now", () => {
  const host = TestHost.start(machine({
    context: { ok: false },
    initial: "a",
    states: {
      a: { on: { GO: { cond: (context: Any) => context.ok, target: "b" }, NO: undefined } },
      b: {},
    },
    on: { SET: { actions: assign({ ok: true }) } },
  }));
  const handles = (type: string) => host.live.handles({ type });
  assertEquals([handles("GO"), handles("SET"), handles("OTHER")], [false, true, false]);
  host.send("SET");
  assert(handles("GO"));
});

Deno.test("errors of children need a handler for errors, as with XState's interpreter", () => {
  const at = (on: Any) => TestHost.start(machine({ on })).live;
  const error = { type: "error.platform.x", data: "why" };
  assert(!at({ "*": { actions: () => {} } }).handles(error), "a wildcard alone gets none");
  assert(!at({ "error.platform.y": { actions: () => {} } }).handles(error));
  assert(at({ "error.platform.x": { actions: () => {} } }).handles(error));
  const both = { "error.platform.y": { actions: () => {} }, "*": { actions: () => {} } };
  assert(at(both).handles(error), "beside a handler of another error it does");
  assertThrows(() => at({}).step(error), "error.platform.x");
});

const withHistory = (history: "deep" | "shallow", target?: string) =>
  machine({
    initial: "off",
    states: {
      off: { on: { ON: "on.hist", PLAIN: "on", NEXT: "off" } },
      on: {
        initial: "a",
        states: {
          a: { on: { GO: "b" } },
          b: { initial: "b1", states: { b1: { on: { GO: "b2" } }, b2: {} } },
          hist: { type: "history", history, target },
        },
        on: { OFF: "off" },
      },
    },
  });

Deno.test("history comes back from JSON", () => {
  for (const [kind, value] of [["deep", { on: { b: "b2" } }], ["shallow", { on: { b: "b1" } }]]) {
    const host = TestHost.start(withHistory(kind as "deep"));
    for (const event of ["PLAIN", "GO", "GO", "OFF"]) host.send(event);
    assertEquals(host.snapshot.history, [{ path: ["on"], value: { b: "b2" } }]);
    host.restore();
    host.send("ON");
    assertEquals(host.live.value, value, kind as string);
  }
});

Deno.test("the past of states above one with history comes back, too", () => {
  const nested = machine({
    initial: "off",
    states: {
      off: { on: { ON: "on.p.hist", PLAIN: "on", NEXT: "off" } },
      on: {
        initial: "p",
        states: {
          p: {
            initial: "a",
            states: { a: { on: { GO: "b" } }, b: {}, hist: { type: "history" } },
          },
          q: {},
        },
        on: { OFF: "off", SIDE: "on.q" },
      },
    },
  });
  const host = TestHost.start(nested);
  for (const event of ["PLAIN", "GO", "OFF"]) host.send(event);
  host.restore();
  // XState derives what lies below from what lies above, at each transition.
  for (const event of ["NEXT", "ON"]) host.send(event);
  assertEquals(host.live.value, { on: { p: "b" } });
});

Deno.test("no history is kept where no history state asks, nor before the first transition", () => {
  const host = TestHost.start(counter());
  host.send("GO");
  assertEquals(host.snapshot.history, undefined);
  // Only then does XState take the default target.
  for (const [events, value] of [[[], { on: { b: "b1" } }], [["NEXT"], { on: "a" }]] as const) {
    const fresh = TestHost.start(withHistory("deep", "b"));
    for (const event of events) fresh.send(event);
    assertEquals(fresh.snapshot.history === undefined, events.length === 0);
    fresh.restore();
    fresh.send("ON");
    assertEquals(fresh.live.value, value, events.join());
  }
});

Deno.test("a snapshot that the machine cannot take is refused", () => {
  const driver = xstate4Driver(withHistory("deep"));
  const host = new TestHost(counter());
  const restore = (snapshot: Any) => () => driver.restore(host, { context: {}, ...snapshot });
  for (
    const [snapshot, text] of [
      [{ value: "gone" }, 'no state "gone"'],
      [{ value: { on: { b: "gone" } } }, 'no state "on.b.gone"'],
      [{ value: { on: "hist" } }, 'no state "on.hist"'],
      [{ value: "constructor" }, 'no state "constructor"'],
      [{ value: "on" }, "not a whole state"],
      [{ value: {} }, "one must be active"],
      [{ value: { off: "x" } }, "which has no states"],
      [{ value: "off", history: [{ path: ["on"], value: "gone" }] }, 'no state "on.gone"'],
      [{ value: "off", history: [{ path: ["gone"], value: "a" }] }, 'no state "gone"'],
      [{ value: "off", history: [{ path: ["on"], nodes: [] }] }, "not of XState 4"],
    ] as [Any, string][]
  ) assertThrows(restore(snapshot), text);
  const parallel = machine({ type: "parallel", states: { a: {}, b: {} } });
  const take = (value: Any) => () => xstate4Driver(parallel).restore(host, { value, context: {} });
  assertThrows(take({ a: {} }), "all must be active");
  take({ a: {}, b: {} })();
});

Deno.test("parallel regions keep their order over a restart, since it decides who goes first", () => {
  const seen: string[] = [];
  const region = (name: string) => ({ on: { GO: { actions: () => seen.push(name) } } });
  const parallel = machine({ type: "parallel", states: { a: region("a"), b: region("b") } });
  const host = new TestHost(parallel);
  host.live = host.driver.restore(host, { value: { b: {}, a: {} }, context: {} });
  host.send("GO");
  host.restore();
  host.send("GO");
  assertEquals(seen, ["b", "a", "b", "a"]);
});

Deno.test("choose, pure and log work", () => {
  const lines: unknown[] = [];
  const { log: real } = console;
  const host = TestHost.start(machine({
    context: { n: 0 },
    on: {
      GO: {
        actions: [
          choose([{ cond: (context: Any) => context.n === 0, actions: assign({ n: 1 }) }]),
          pure((context: Any) => context.n === 1 ? [assign({ n: 2 })] as Any : undefined),
          log((context: Any) => context.n, "n is"),
        ],
      },
    },
  }));
  console.log = (...values) => lines.push(values);
  try {
    host.send("GO");
  } finally {
    console.log = real;
  }
  assertEquals(lines, [["n is", 2]]);
});

Deno.test("a snapshot without a context, an event or JSON in the event is taken", () => {
  const host = TestHost.start(machine({ on: { GO: { actions: () => {} } } }));
  const cycle: Any = { type: "GO" };
  cycle.self = cycle;
  host.send(cycle);
  assertEquals(host.snapshot.event, { type: "GO" });
});

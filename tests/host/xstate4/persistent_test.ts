/** Instances of their own: children that are made, events that are sent, all told to the server and none of it done here. */

import * as xstate from "xstate4";
import { persistentInvocableSource, sendTo, spawnPersistentInstance } from "../support/author.ts";
import { bundle } from "../support/bundle.ts";
import { assert, assertEquals, assertThrows, TestHost } from "./support.ts";

// deno-lint-ignore no-explicit-any
type Any = any;

const { actions, assign, createMachine, send, sendParent, spawn } = xstate;
const { cancel, choose, escalate, pure, sendUpdate, stop } = actions;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const address = (machineInstanceName: string, machineName = "letters") => ({
  machineName,
  machineInstanceName,
});
const parent = { ...address("home", "homes"), id: "me" };

const machine = (config: Any, options: Any = {}) =>
  createMachine({ id: "m", ...config }, options) as Any;

/** A machine that does `list` on "go". */
const doing = (list: Any, more: Any = {}) =>
  machine({ context: { name: "ann" }, on: { go: { actions: list } }, ...more }, more.options);

const ops = (host: TestHost) => host.decided.timers as Any[];

/** What "go" decides. */
function decide(list: Any, more: Any = {}, event: Any = "go"): Any[] {
  const host = TestHost.start(doing(list, more));
  host.send(event);
  assertEquals(host.decided.effects, []);
  assertEquals(host.live.children(), []);
  return ops(host);
}

const spawning = (descriptor: Any = address("x"), options?: Any) =>
  assign({ ref: () => spawnPersistentInstance(descriptor, options) });

/** A parent of the usual shape: it makes one child in an assign and invokes another. */
const post = (isPredictable: boolean, { createMachine, assign, send }: Any = xstate) =>
  createMachine({
    id: "m",
    predictableActionArguments: isPredictable,
    context: { owner: "ann" },
    initial: "closed",
    states: {
      closed: { on: { open: "open" } },
      open: {
        entry: [
          assign({
            first: ({ owner }: Any) =>
              spawnPersistentInstance({ machineName: "letters" }, { context: { owner } }),
          }),
          sendTo("second", { type: "hello" }),
          sendTo((context: Any) => context.first, { type: "hello" }, { delay: 200, id: "later" }),
        ],
        invoke: {
          id: "second",
          src: persistentInvocableSource({ machineName: "letters", machineInstanceName: "second" }),
          data: { owner: ({ owner }: Any) => owner, kind: "letter" },
          onDone: "closed",
        },
        on: { close: "closed", again: { actions: send("hello", { to: "second" }) } },
      },
    },
    on: { tell: { actions: sendTo("second", { type: "hello" }) } },
  });

async function copy(version: string): Promise<Any> {
  const code = await bundle(`export * from "npm:xstate@${version}"`, true);
  return await import(`data:text/javascript,${encodeURIComponent(code)}`);
}

for (const version of ["4.38.3", "4.33.6", "4.30.6", "4.20.2"]) {
  Deno.test(`children are made and sent to by a bundled copy of ${version}`, async () => {
    const host = TestHost.start(post(true, await copy(version)));
    host.send("open");
    const isSpawn = (op: Any) => "spawn" in op;
    assertEquals(ops(host).map(isSpawn), [true, true, false, false]);
    assertEquals(Object.keys(host.snapshot.children!).length, 2);
    host.restore();
    host.send("again");
    assertEquals(ops(host), [{ send: "hello", to: address("second"), event: { type: "hello" } }]);
    host.send("close");
    assertEquals(Object.keys(host.snapshot.children!).length, 1);
  });
}

for (const version of ["own", "4.38.3", "4.20.2"]) {
  Deno.test(`respond reaches the instance that sent, with ${version} XState`, async () => {
    const { actions: { respond }, createMachine } = version === "own"
      ? xstate
      : await copy(version);
    const host = TestHost.start(createMachine({
      id: "m",
      on: {
        ask: { actions: [respond("told"), respond({ type: "late" }, { delay: 50 })] },
        told: {},
        late: {},
      },
    }));
    host.send("ask", address("asker", "askers"));
    const to = address("asker", "askers");
    assertEquals(ops(host), [
      { send: "told", to, event: { type: "told" } },
      { send: "late", to, event: { type: "late" }, delay: 50 },
    ]);
    assertEquals(host.decided.selfSends, []);
    // Whoever is no instance cannot be sent to: then XState takes the machine itself.
    host.restore();
    host.send("ask");
    assertEquals(host.decided.selfSends, [{ type: "told" }]);
  });
}

for (const isPredictable of [true, false]) {
  Deno.test(`children are made before they are sent to (predictable: ${isPredictable})`, () => {
    const host = TestHost.start(post(isPredictable), { owner: "eve" });
    host.send("open");
    const { first } = host.snapshot.context as Any;
    assertEquals(first.type, "statebacked.instance");
    assert(UUID.test(first.id) && UUID.test(first.machineInstanceName));
    const context = { owner: "eve" };
    const to = address(first.machineInstanceName);
    const second = {
      spawn: "second",
      to: address("second"),
      context: { ...context, kind: "letter" },
    };
    assertEquals(
      ops(host).slice(0, 2).sort((a) => a.spawn === "second" ? 1 : -1),
      [{ spawn: first.id, to, context }, second],
    );
    const sends = ops(host).slice(2).sort((a) => a.delay ? 1 : -1);
    assertEquals(sends, [
      { send: "", to: address("second"), event: { type: "hello" } },
      { send: "later", to, event: { type: "hello" }, delay: 200 },
    ]);
    assertEquals(host.decided.effects, []);
    assertEquals(host.warnings, []);
  });
}

Deno.test("an invoked child is known until its state is left, one that was spawned for ever", () => {
  const host = TestHost.start(post(true));
  host.send("open");
  const { first } = host.snapshot.context as Any;
  const spawned = { [first.id]: { kind: "instance", ...address(first.machineInstanceName) } };
  const invoked = { second: { kind: "instance", ...address("second") } };
  assertEquals(host.snapshot.children, { ...spawned, ...invoked });
  host.restore();
  host.send("again");
  assertEquals(ops(host), [{ send: "hello", to: address("second"), event: { type: "hello" } }]);
  host.send("close");
  assertEquals(ops(host), []);
  assertEquals(host.snapshot.children, spawned);
  host.send("tell");
  assertEquals(ops(host), []);
});

Deno.test("the done event of a child is handled like that of any other", () => {
  const host = TestHost.start(post(true));
  host.send("open");
  host.send({ type: "done.invoke.second", data: 1 });
  assertEquals(host.snapshot.value, "closed");
});

Deno.test("a child that could not be made is none, whether its error is handled or not", () => {
  const host = TestHost.start(post(true));
  host.send("open");
  assertEquals(host.live.lost("second", "no such machine"), null);
  assertEquals(Object.keys(host.snapshot.children!).length, 2);
  host.text = host.live.snapshot().text;
  assertEquals(Object.keys(host.snapshot.children!).length, 1);
});

Deno.test("targets may be ids, references and functions; events and delays too", () => {
  const ref = { type: "statebacked.instance", id: "any", ...address("other", "others") };
  const hello = { type: "hello", name: "ann" };
  const to = address("other", "others");
  const event = ({ name }: Any) => ({ type: "hello", name });
  const delays = { soon: 5, byName: ({ name }: Any) => name.length };
  for (
    const [action, rest] of [
      [sendTo(ref, hello), {}],
      [sendTo(() => ref, event), {}],
      [sendTo(ref, event, { delay: "soon" }), { delay: 5 }],
      [sendTo(ref, event, { delay: "byName", id: "x" }), { delay: 3, send: "x" }],
      [sendTo(ref, event, { delay: ({ name }: Any) => name.length * 2 }), { delay: 6 }],
      [pure(() => [sendTo(ref, hello), sendTo(ref, hello)].slice(1)), {}],
      [choose([{ cond: () => true, actions: sendTo(ref, hello) as Any }]), {}],
      [send(event, { to: () => ref as Any, id: "y" }), { send: "y" }],
    ] as [Any, Any][]
  ) {
    assertEquals(decide(action, { options: { delays } }), [{
      send: "",
      to,
      event: hello,
      ...rest,
    }]);
  }
});

Deno.test("a child is found by its name from the step in which it is made", () => {
  const make = spawning(address("x"), { name: "kid" });
  const [spawned, sent] = decide([make, sendTo("kid", { type: "hello" })]);
  assertEquals(spawned, { spawn: "kid", to: address("x"), context: {} });
  assertEquals(sent, { send: "", to: address("x"), event: { type: "hello" } });
  const host = TestHost.start(doing(make, {
    on: {
      go: { actions: make },
      tell: { actions: send("hello", { to: "kid" }) },
      drop: { actions: stop("kid") },
    },
  }));
  host.send("go");
  host.restore();
  host.send("tell");
  assertEquals(ops(host), [{ send: "hello", to: address("x"), event: { type: "hello" } }]);
  host.send("drop");
  host.send("tell");
  assertEquals(ops(host), []);
  assertEquals(host.snapshot.children, undefined);
});

Deno.test("a child that runs here goes before an instance of the same id", () => {
  const got: Any[] = [];
  const local = assign({
    here: () => spawn((_: Any, receive: Any) => receive((it: Any) => got.push(it)), "kid"),
  });
  const host = TestHost.start(doing([spawning(undefined, { name: "kid" })], {
    on: {
      go: { actions: spawning(undefined, { name: "kid" }) },
      here: { actions: local },
      tell: { actions: send("hello", { to: "kid" }) },
    },
  }));
  host.send("go");
  host.send("here");
  host.send("tell");
  assertEquals(ops(host), []);
  assertEquals(got, [{ type: "hello" }]);
  host.live.dispose();
});

Deno.test("what is spawned may have a version, a context and a name", () => {
  const [op] = decide(
    spawning({ ...address("x"), machineVersionId: "ver_1" }, { name: "kid", context: { a: [1] } }),
  );
  assertEquals(op, { spawn: "kid", to: address("x"), version: "ver_1", context: { a: [1] } });
});

Deno.test("events to the parent are sent, and cancelled by their ids", () => {
  const sends = [sendParent("one"), sendParent("two", { delay: 10, id: "t" }), cancel("t")];
  const host = new TestHost(doing(sends as Any));
  Object.assign(host, { parent });
  host.begin();
  host.send("go");
  const { id: _, ...to } = parent;
  assertEquals(ops(host), [
    { send: "one", to, event: { type: "one" } },
    { send: "t", to, event: { type: "two" }, delay: 10 },
    { cancel: "t" },
  ]);
  assertEquals(host.snapshot.parent, parent);
});

Deno.test("XState's own messages to a parent are for parents in the same process", () => {
  const host = new TestHost(doing([sendUpdate(), escalate("no")] as Any));
  Object.assign(host, { parent });
  host.begin();
  host.send("go");
  assertEquals(ops(host), []);
  assertEquals(host.warnings.length, 2);
});

Deno.test("without a parent nothing is sent to it, with a warning", () => {
  const host = TestHost.start(doing(sendParent("one")));
  host.send("go");
  assertEquals(ops(host), []);
  assert(/parent/.test(host.warnings[0]!));
});

Deno.test("a step that is given up leaves no child", () => {
  const throws = assign(() => {
    throw new Error("no");
  });
  const named = spawning(undefined, { name: "kid" });
  const tell = sendTo("kid", { type: "hello" });
  const host = TestHost.start(doing([named, throws] as Any, {
    on: { go: { actions: named }, fail: { actions: [named, throws] }, tell: { actions: tell } },
  }));
  assertThrows(() => host.live.step({ type: "fail" }), "no");
  host.live.rollBack();
  host.live.step({ type: "go" });
  host.live.rollBack();
  host.send("tell");
  assertEquals(ops(host), []);
  assertEquals(host.snapshot.children, undefined);
  assertEquals(host.snapshot.context, { name: "ann" });
});

Deno.test("a finished machine sends what it sent at once, and nothing later", () => {
  const ref = { type: "statebacked.instance", id: "any", ...address("other") };
  const host = TestHost.start(machine({
    initial: "a",
    states: {
      a: { on: { go: "b" } },
      b: {
        type: "final",
        entry: [sendTo(ref, { type: "now" }), sendTo(ref, { type: "later" }, { delay: 9 })],
        data: { result: 1 },
      },
    },
  }));
  host.send("go");
  assertEquals(ops(host), [{ send: "", to: address("other"), event: { type: "now" } }]);
  assertEquals(host.live.output, { result: 1 });
});

Deno.test("spawning is possible within assign only", () => {
  assertThrows(() => spawnPersistentInstance(address("x")), "only within assign");
  const host = TestHost.start(doing(() => spawnPersistentInstance(address("x"))));
  host.send("go");
  assert(String(host.errors[0]).includes("only within assign"));
});

Deno.test("names are checked", () => {
  const wrong = ["", ".", "..", "a/b", "a b", "x".repeat(129), "é", 5];
  for (const name of [...wrong, "a.b"] as Any[]) {
    assertThrows(() => decide(spawning(address("x", name))), "no name of a machine");
  }
  for (const name of wrong as Any[]) {
    assertThrows(() => decide(spawning(address(name))), "no name of an instance");
    const ref = { type: "statebacked.instance", id: "any", ...address(name) };
    assertThrows(() => decide(sendTo(ref, { type: "x" })), "no name of an instance");
  }
  decide(spawning(address("a.b:c@d|e~f+g_-")));
  assertThrows(() => decide(spawning(address("x"), { name: 7 })), "name of a persistent child");
  const src = { type: "statebacked.invoke", ...address("x", "a b") };
  assertThrows(() => new TestHost(machine({ invoke: { id: "k", src } })), "no name of a machine");
});

Deno.test("an instance may be invoked by the name of a service", () => {
  const invoking = machine(
    { initial: "a", states: { a: { on: { go: "b" } }, b: { invoke: { id: "k", src: "kid" } } } },
    { services: { kid: persistentInvocableSource(address("x")) } },
  );
  const host = TestHost.start(invoking);
  host.send("go");
  assertEquals(ops(host), [{ spawn: "k", to: address("x"), context: {} }]);
});

Deno.test("what cannot be an instance's child says so", async () => {
  const src = persistentInvocableSource(address("x"));
  assertThrows(() => decide(assign({ k: () => spawn(src, "k") })), "use spawnPersistentInstance");
  const host = TestHost.start(
    machine({ invoke: { id: "inner", src: machine({ invoke: { src } }) } }),
  );
  await host.settle();
  assertEquals(host.dropped.map(({ type }) => type), ["error.platform.inner"]);
  assert(String(host.errors[0]).includes("not a child machine"));
});

Deno.test("an invocation that forwards all events is refused", () => {
  const src = persistentInvocableSource(address("x"));
  assertThrows(
    () => new TestHost(machine({ invoke: { id: "k", src, autoForward: true } })),
    "autoForward",
  );
});

Deno.test("a machine without predictable arguments makes no child of a state that it only passes", () => {
  const src = persistentInvocableSource(address("x"));
  const passing = machine({
    initial: "a",
    states: { a: { on: { go: "b" } }, b: { invoke: { id: "k", src }, always: "c" }, c: {} },
  });
  const host = TestHost.start(passing);
  host.send("go");
  assertEquals(ops(host), []);
});

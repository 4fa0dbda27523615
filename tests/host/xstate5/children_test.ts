/** Children of an instance: told apart, waited for, restored or lost. */

import assert from "node:assert/strict";
import * as xstate from "xstate5";
import { Instance, tick } from "./support.ts";

const { assign, createMachine, fromCallback, fromEventObservable, fromObservable } = xstate;
const { fromPromise, fromTransition, sendTo, sendParent, spawnChild, stopChild } = xstate;

// deno-lint-ignore no-explicit-any
type Any = any;

const machine = (config: Any, implementations: Any = {}) =>
  createMachine({ id: "m", ...config }, implementations) as Any;

/** A machine that invokes `src` while in "on". */
const invoking = (src: Any, more: Any = {}) =>
  machine({
    context: {},
    initial: "off",
    states: {
      off: { on: { start: "on" } },
      on: {
        invoke: { id: "c", src: "c", onDone: "good", onError: "bad", ...more.invoke },
        on: { leave: "off", ...more.on },
      },
      good: {},
      bad: {},
    },
  }, { actors: { c: src } });

const ticks = (...values: unknown[]) => ({
  subscribe(observer: Any) {
    values.forEach((value) => setTimeout(() => observer.next(value), 1));
    setTimeout(() => observer.complete(), 2);
    return { unsubscribe() {} };
  },
});

const never = () => new Promise(() => {});

Deno.test("nothing of a child runs before its step is performed", async () => {
  let runs = 0;
  const instance = Instance.create(invoking(fromPromise(async () => void await runs++)));
  instance.step("start");
  await tick();
  assert.equal(runs, 0);
  assert.deepEqual(instance.due, ["c"]);
  instance.perform();
  await tick();
  assert.equal(runs, 1);
});

Deno.test("a promise reports its result and is done", async () => {
  const instance = Instance.create(invoking(fromPromise(() => Promise.resolve(7)))).send("start");
  assert.deepEqual(instance.live.children(), [{ id: "c", kind: "promise", due: true }]);
  await tick();
  assert.equal(instance.heard[0]!.child, "c");
  assert.equal(instance.heard[0]!.event.output, 7);
  assert.deepEqual(instance.live.children(), []);
  instance.deliver();
  assert.equal(instance.live.value, "good");
});

Deno.test("a promise reports its failure", async () => {
  const failing = fromPromise(() => Promise.reject(new Error("no")));
  const instance = Instance.create(invoking(failing)).send("start");
  await tick();
  assert.equal(instance.deliver().live.value, "bad");
});

Deno.test("a child that fails while it starts reports that", () => {
  const instance = Instance.create(invoking(fromCallback(() => {
    throw new Error("no");
  }))).send("start");
  assert.equal(instance.heard[0]!.event.type, "xstate.error.actor.c");
  assert.equal(instance.deliver().live.value, "bad");
});

Deno.test("a callback talks both ways and is due until it is stopped", async () => {
  let disposed = 0;
  const callback = fromCallback(({ sendBack, receive }: Any) => {
    receive((event: Any) => setTimeout(() => sendBack({ type: `re:${event.type}` }), 1));
    return () => disposed++;
  });
  const ask = { actions: sendTo("c", { type: "ping" }) };
  const instance = Instance.create(invoking(callback, { on: { ask } })).send("start").send("ask");
  assert.equal(instance.live.children()[0]!.kind, "callback");
  await tick(3);
  assert.equal(instance.heard[0]!.event.type, "re:ping");
  assert.deepEqual(instance.due, ["c"]);
  instance.step("leave");
  assert.equal(disposed, 0);
  instance.perform();
  assert.equal(disposed, 1);
  assert.deepEqual(instance.due, []);
});

Deno.test("an observable is due until it completes", async () => {
  const instance = Instance.create(invoking(fromObservable(() => ticks(1, 2) as Any)));
  instance.send("start");
  assert.equal(instance.live.children()[0]!.kind, "observable");
  await tick(5);
  assert.deepEqual(instance.due, []);
  assert.equal(instance.deliver().live.value, "good");
});

Deno.test("an event observable sends its events to the machine", async () => {
  const source = fromEventObservable(() => ticks({ type: "tick" }) as Any);
  const instance = Instance.create(invoking(source)).send("start");
  assert.equal(instance.live.children()[0]!.kind, "observable");
  await tick(5);
  assert.deepEqual(instance.heard.map(({ event }) => event.type), ["tick", "xstate.done.actor.c"]);
});

Deno.test("a reducer is never due, takes events, and survives a restart", () => {
  const sum = fromTransition((n: Any, { by }: Any) => n + by, 0);
  const add = { actions: sendTo("c", { type: "add", by: 5 }) };
  const instance = Instance.create(invoking(sum, { on: { add } })).send("start");
  assert.deepEqual(instance.live.children(), [{ id: "c", kind: "reducer", due: false }]);
  instance.send("add").take(instance.decided);
  assert.deepEqual(instance.snapshot.children!.c, {
    kind: "reducer",
    src: "c",
    snapshot: { status: "active", context: 5 },
  });
  instance.restart().send("add").take(instance.decided);
  assert.equal((instance.snapshot.children!.c!.snapshot as Any).context, 10);
});

const timing = machine({
  id: "child",
  initial: "waiting",
  states: {
    waiting: { on: { go: "later" } },
    later: { after: { 5: "over" } },
    over: { type: "final" },
  },
});

Deno.test("a machine is due while a delay of its own is pending, and idle otherwise", async () => {
  const go = { actions: sendTo("c", { type: "go" }) };
  const instance = Instance.create(invoking(timing, { on: { go } })).send("start");
  assert.deepEqual(instance.live.children(), [{ id: "c", kind: "machine", due: false }]);
  instance.send("go");
  assert.deepEqual(instance.due, ["c"]);
  assert.deepEqual(instance.timers, []);
  await tick(15);
  assert.deepEqual(instance.due, []);
  assert.equal(instance.deliver().live.value, "good");
});

Deno.test("a machine that will start with a delay is due already when that is decided", () => {
  const child = machine({ initial: "a", states: { a: { after: { 50: "b" } }, b: {} } });
  const instance = Instance.create(invoking(child)).step("start");
  assert.deepEqual(instance.due, ["c"]);
  instance.perform();
  assert.deepEqual(instance.due, ["c"]);
  instance.live.dispose();
});

Deno.test("a machine is due while something runs in it, however deep", async () => {
  const inner = machine({
    initial: "a",
    states: { a: { invoke: { src: fromPromise(() => tick(5)), onDone: "b" } }, b: {} },
  });
  const outer = machine({ invoke: { src: inner, id: "inner" } });
  const instance = Instance.create(invoking(outer)).send("start");
  assert.deepEqual(instance.due, ["c"]);
  const changes = instance.changes;
  await tick(15);
  assert.deepEqual(instance.due, []);
  assert.ok(instance.changes > changes);
});

Deno.test("an idle machine survives a restart, its idle children included", () => {
  const inner = fromTransition((n: Any) => n + 1, 0);
  const child = createMachine({
    initial: "a",
    invoke: { id: "inner", src: "inner" },
    states: {
      a: { on: { go: "b" } },
      b: { on: { go: { actions: sendParent({ type: "back" }) } } },
    },
  }, { actors: { inner } });
  const go = { actions: sendTo("c", { type: "go" }) };
  const instance = Instance.create(invoking(child, { on: { go } })).send("start").send("go");
  instance.take(instance.decided);
  instance.restart();
  assert.deepEqual(instance.live.children(), [{ id: "c", kind: "machine", due: false }]);
  instance.send("go");
  assert.deepEqual(instance.heard.map(({ event }) => event.type), ["back"]);
});

Deno.test("a machine with an unnamed child is not restored from half of it", () => {
  const child = createMachine({
    context: ({ spawn }: Any) => ({ ref: spawn(fromTransition((n: Any) => n, 0)) }),
  });
  const instance = Instance.create(invoking(child)).send("start");
  instance.take(instance.decided);
  assert.deepEqual(instance.snapshot.children!.c, { kind: "machine", src: "c" });
  instance.restart();
  assert.deepEqual(instance.live.children(), []);
});

Deno.test("what restored children say while they start is not heard", () => {
  const child = machine({ initial: "a", states: { a: { on: { go: "b" } }, b: {} } });
  const onSnapshot = { actions: assign({ seen: ({ event }: Any) => event.snapshot.value }) };
  const go = { actions: sendTo("c", { type: "go" }) };
  const instance = Instance.create(invoking(child, { invoke: { onSnapshot }, on: { go } }));
  instance.send("start").deliver();
  assert.equal(instance.context.seen, "a");
  assert.equal((instance.snapshot.children!.c as Any).sync, true);
  instance.restart();
  assert.equal(instance.heard.length, 0);
  instance.send("go");
  assert.deepEqual(instance.heard.map(({ event }) => event.type), ["xstate.snapshot.c"]);
  assert.equal(instance.deliver().context.seen, "b");
});

Deno.test("a spawned actor is referred to by the context, live and after a restart", () => {
  const source = machine({
    context: {},
    on: {
      spawn: {
        actions: assign({ ref: ({ spawn }: Any) => spawn("sum", { id: "s", systemId: "sums" }) }),
      },
      add: { actions: sendTo(({ context }: Any) => context.ref, { type: "add" }) },
      byName: { actions: sendTo(({ system }: Any) => system.get("sums"), { type: "add" }) },
    },
  }, { actors: { sum: fromTransition((n: Any) => n + 1, 0) } });
  const value = (instance: Instance) => {
    instance.take(instance.decided);
    return (instance.snapshot.children!.s as Any).snapshot.context;
  };
  const instance = Instance.create(source).send("spawn").send("add");
  assert.deepEqual(instance.snapshot.context, { ref: { xstate$$type: 1, id: "s" } });
  assert.equal(value(instance), 1);
  instance.restart().send("add").send("byName");
  assert.equal(value(instance), 3);
});

Deno.test("a running child is lost by a restart, and sending to it does nothing, least of all to the machine itself", () => {
  const source = machine({
    context: {},
    on: {
      spawn: {
        actions: assign({ ref: ({ spawn }: Any) => spawn(fromPromise(never), { id: "p" }) }),
      },
      byReference: { actions: sendTo(({ context }: Any) => context.ref, { type: "boo" }) },
      byId: { actions: sendTo("p", { type: "boo" }) },
      inAssign: { actions: assign(({ context }: Any) => void context.ref.send({ type: "boo" })) },
      boo: { actions: assign({ self: true }) },
    },
  });
  const instance = Instance.create(source).send("spawn").restart();
  assert.deepEqual(instance.live.children(), []);
  for (const type of ["byReference", "byId", "inAssign"]) {
    instance.warnings.length = 0;
    instance.send(type);
    assert.deepEqual(instance.decided.selfSends, []);
    assert.deepEqual(instance.heard, []);
    assert.equal(instance.warnings.length, 1, type);
    assert.equal(instance.context.self, undefined);
  }
  assert.deepEqual(instance.snapshot.children, { p: { kind: "promise", due: true } });
});

Deno.test("the loss of a child is handled like its failure", () => {
  const instance = Instance.create(invoking(fromPromise(never))).send("start").restart();
  const decided = instance.live.lost("c", "it was gone");
  instance.take(decided!);
  assert.equal(instance.live.value, "bad");
  assert.equal(instance.snapshot.children, undefined);
});

Deno.test("a lost child that nobody cares for is dropped", () => {
  const source = machine({ entry: spawnChild("c", { id: "c" }) }, {
    actors: { c: fromPromise(never) },
  });
  const instance = Instance.create(source).perform().restart();
  assert.ok(instance.snapshot.children!.c);
  assert.equal(instance.live.lost("c", "it was gone"), null);
  assert.equal(JSON.parse(instance.live.snapshot().text).children, undefined);
});

Deno.test("due children are stopped silently, idle ones stay", async () => {
  const late = fromCallback(({ sendBack }: Any) => {
    const timer = setTimeout(() => sendBack({ type: "late" }), 2);
    return () => {
      sendBack({ type: "last words" });
      clearTimeout(timer);
    };
  });
  const source = machine({
    invoke: [{ id: "late", src: late }, { id: "sum", src: fromTransition((n: Any) => n, 0) }],
  });
  const instance = Instance.create(source).perform();
  assert.deepEqual(instance.due, ["late"]);
  instance.live.stopDue();
  await tick(5);
  assert.deepEqual(instance.heard, []);
  assert.deepEqual(instance.live.children(), [{ id: "sum", kind: "reducer", due: false }]);
});

Deno.test("a disposed instance is silent", async () => {
  const source = machine({
    invoke: { id: "c", src: timing },
    entry: sendTo("c", { type: "go" }),
    on: { "*": { actions: () => {} } },
  });
  const instance = Instance.create(source).perform();
  instance.live.dispose();
  await tick(15);
  assert.deepEqual(instance.heard, []);
});

Deno.test("a delayed send to a child waits here and can be cancelled by id", async () => {
  const got: string[] = [];
  const listener = fromCallback(({ receive }: Any) =>
    receive((event: Any) => got.push(event.type))
  );
  const source = machine({
    invoke: { id: "c", src: listener },
    on: {
      soon: { actions: sendTo("c", { type: "soon" }, { delay: 3, id: "s" }) },
      cancel: { actions: xstate.cancel("s") },
    },
  });
  const instance = Instance.create(source).perform().send("soon");
  assert.deepEqual(instance.timers, []);
  await tick(8);
  instance.send("soon").send("cancel");
  await tick(8);
  assert.deepEqual(got, ["soon"]);
  instance.live.dispose();
});

Deno.test("a name in the system can be given again by the transition that frees it", () => {
  const source = machine({
    invoke: { id: "c", src: "c", systemId: "name" },
    on: { again: { target: "#m", reenter: true } },
    initial: "a",
    states: { a: {} },
  }, { actors: { c: fromCallback(() => {}) } });
  const instance = Instance.create(source).perform();
  instance.send("again").send("again");
  assert.deepEqual(instance.due, ["c"]);
  instance.live.dispose();
});

Deno.test("a step that is thrown away takes its names with it", () => {
  const source = machine({
    context: {},
    on: {
      spawn: { actions: assign({ ref: ({ spawn }: Any) => spawn("c", { systemId: "name" }) }) },
      fail: {
        actions: [
          assign({ ref: ({ spawn }: Any) => spawn("c", { systemId: "name" }) }),
          assign(() => {
            throw new Error("no");
          }),
        ],
      },
    },
  }, { actors: { c: fromTransition((n: Any) => n, 0) } });
  const instance = Instance.create(source);
  for (let n = 0; n < 2; n++) {
    assert.throws(() => instance.step("fail"), /no/);
    instance.live.rollBack();
  }
  instance.send("spawn");
  assert.equal(instance.live.children().length, 1);
});

Deno.test("live children go on when a step is thrown away", async () => {
  const source = invoking(fromPromise(() => tick(3)), {
    on: {
      fail: {
        actions: [
          stopChild("c"),
          assign(() => {
            throw new Error("no");
          }),
        ],
      },
    },
  });
  const instance = Instance.create(source).send("start");
  assert.throws(() => instance.step("fail"), /no/);
  instance.live.rollBack();
  await tick(10);
  assert.equal(instance.deliver().live.value, "good");
});

Deno.test("a child that is stopped in the step that starts it never starts", async () => {
  let runs = 0;
  const source = machine({
    initial: "a",
    states: {
      a: { invoke: { src: fromPromise(async () => void await runs++) }, always: "b" },
      b: {},
    },
  });
  const instance = Instance.create(source).perform();
  await tick();
  assert.equal(runs, 0);
  assert.deepEqual(instance.live.children(), []);
});

Deno.test("ids of unnamed children never come again", () => {
  const source = machine({
    context: { refs: [] },
    on: {
      spawn: {
        actions: assign({ refs: ({ context, spawn }: Any) => [...context.refs, spawn("c")] }),
      },
    },
  }, { actors: { c: fromTransition((n: Any) => n, 0) } });
  const instance = Instance.create(source).send("spawn").restart().send("spawn");
  assert.equal(new Set(instance.live.children().map(({ id }) => id)).size, 2);
});

Deno.test("an invocation that nobody implemented starts nothing and fails nothing", () => {
  const instance = Instance.create(machine({ invoke: { id: "c", src: "nobody" } })).perform();
  assert.deepEqual(instance.live.children(), []);
  assert.match(instance.warnings.join(), /nobody/);
  instance.restart();
});

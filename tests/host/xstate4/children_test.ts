/** What runs below an instance of XState 4: when it starts, what settling waits for, and what is left of it in a snapshot. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  actions,
  assign,
  createMachine,
  interpret,
  send,
  sendParent,
  sendTo,
  spawn,
} from "xstate4";
import { assert, assertEquals, TestHost, tick } from "./support.ts";

const { cancel, escalate, forwardTo, respond, stop } = actions;
// deno-lint-ignore no-explicit-any
type Any = any;

const machine = (config: Any, options: Any = {}): Any =>
  createMachine({ predictableActionArguments: true, id: "m", ...config }, options);

/** A machine that runs `src` as "c" in state `run`, and writes down the events that come of it. */
const running = (src: Any, invoke: Any = {}, config: Any = {}) => {
  const see = assign({
    seen: (context: Any, event: Any) => [...context.seen, [event.type, event.data]],
  });
  return machine({
    context: { seen: [] },
    initial: "idle",
    states: {
      idle: { on: { GO: "run" } },
      run: { invoke: { id: "c", src: "src", ...invoke }, on: { LEAVE: "idle" } },
    },
    on: {
      "done.invoke.c": { actions: see },
      "error.platform.c": { actions: see },
      PING: { actions: see },
    },
    ...config,
  }, { services: { src } });
};

const started = (src: Any, invoke?: Any, config?: Any) => {
  const host = TestHost.start(running(src, invoke, config));
  host.send("GO");
  return host;
};

const seen = (host: TestHost) => (host.live.context as Any).seen;
const children = (host: TestHost) =>
  host.live.children().map(({ id, kind, due }) => `${id} ${kind}${due ? " due" : ""}`);
/** Every child of the stored snapshot, by what it says. */
const stored = (host: TestHost) => JSON.parse(host.live.snapshot().text).children;

Deno.test("nothing starts before it is performed, and what will start counts at once", () => {
  let starts = 0;
  const host = TestHost.start(running(() => (starts++, new Promise(() => {}))));
  const { effects } = host.live.step({ type: "GO" });
  host.text = host.live.snapshot().text;
  assertEquals([starts, children(host)], [0, ["c other due"]]);
  assertEquals(host.snapshot.children, { c: { kind: "other", due: true } });
  assert(effects.every((effect) => effect.touchesChildren));
  effects.forEach((effect) => effect.run());
  assertEquals([starts, children(host)], [1, ["c promise due"]]);
});

Deno.test("a discarded step starts nothing and leaves no unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const listen = (
    event: PromiseRejectionEvent,
  ) => (event.preventDefault(), unhandled.push(event.reason));
  globalThis.addEventListener("unhandledrejection", listen);
  const host = TestHost.start(machine({
    on: {
      GO: { actions: assign({ ref: () => spawn(Promise.reject(new Error("discarded")), "p") }) },
    },
  }));
  host.live.step({ type: "GO" });
  assertEquals(children(host), ["p promise due"]);
  host.live.rollBack();
  await tick();
  globalThis.removeEventListener("unhandledrejection", listen);
  assertEquals([children(host), host.live.context, unhandled], [[], {}, []]);
});

Deno.test("a promise is due until it has answered", async () => {
  const host = started(() => Promise.resolve(7));
  await host.settle();
  assertEquals([seen(host), children(host)], [[["done.invoke.c", 7]], []]);
});

Deno.test("a promise that fails is an error of the child", async () => {
  const host = started(() => Promise.reject({ message: "no" }));
  await host.settle();
  assertEquals(seen(host), [["error.platform.c", { message: "no" }]]);
  const careless = started(() => Promise.reject(1), {}, { on: {} });
  await careless.settle();
  assertEquals([careless.dropped.length, careless.live.value, children(careless)], [1, "run", []]);
});

Deno.test("a callback is due for as long as it runs; what it sends comes with its id", () => {
  let isStopped = false;
  const host = started(() => (sendBack: Any) => {
    sendBack("PING");
    return () => void (isStopped = true);
  });
  assertEquals(host.inbox, [{ event: { type: "PING" }, childId: "c" }]);
  assertEquals(children(host), ["c callback due"]);
  host.pump();
  host.send("LEAVE");
  assertEquals([isStopped, children(host), seen(host)], [true, [], [["PING", undefined]]]);
});

Deno.test("a callback that is an async function is a promise", async () => {
  const host = started(() => async (sendBack: Any) => {
    await tick();
    sendBack("PING");
    return 3;
  });
  assertEquals(children(host), ["c promise due"]);
  await host.settle();
  assertEquals(seen(host), [["PING", undefined], ["done.invoke.c", 3]]);
  assertEquals(children(host), []);
});

Deno.test("a callback that throws has failed, and is not waited for", () => {
  const host = started(() => () => {
    throw "thrown by a callback";
  });
  host.pump();
  assertEquals(seen(host), [["error.platform.c", "thrown by a callback"]]);
  assertEquals(children(host), ["c callback"]);
});

Deno.test("a service that cannot even be made is an error of the child", () => {
  const host = started(() => {
    throw "thrown by the service";
  });
  assertEquals(host.errors, ["thrown by the service"]);
  host.pump();
  assertEquals([seen(host), children(host)], [[["error.platform.c", "thrown by the service"]], []]);
});

const observable = (subscribe: (observer: Any) => void | (() => void)) => ({
  subscribe(next: Any, error: Any, complete: Any) {
    const stopIt = subscribe({ next, error, complete });
    return { unsubscribe: () => stopIt?.() };
  },
});

Deno.test("an observable is due until it completes, even where it does so at once", () => {
  let observer: Any;
  const host = started(() => observable((it) => void (observer = it)));
  assertEquals(children(host), ["c observable due"]);
  observer.next({ type: "PING", data: 1 });
  observer.complete();
  host.pump();
  assertEquals([seen(host), children(host)], [[["PING", 1], ["done.invoke.c", undefined]], []]);
  const quick = started(() => observable((it) => it.complete()));
  quick.pump();
  assertEquals([seen(quick).length, children(quick)], [1, []]);
});

Deno.test("behaviors are not waited for, unless they wait for a promise", () => {
  const reducer = { initialState: 0, transition: (state: number) => state + 1 };
  assertEquals(children(started(() => reducer)), ["c reducer"]);
  let self: Any;
  const initialState = { status: "pending", data: undefined, error: undefined };
  const waiting = {
    initialState,
    start: (context: Any) => (self = context.self, initialState),
    transition: (state: Any, event: Any, { parent }: Any) => {
      if (event.type !== "fulfill") return state;
      parent.send("PING");
      return { ...state, status: "fulfilled" };
    },
  };
  const host = started(() => waiting);
  assertEquals(children(host), ["c promise due"]);
  const before = host.changes;
  self.send({ type: "fulfill" });
  assert(host.changes > before, "the host is told");
  host.pump();
  assertEquals([children(host), seen(host)], [["c promise"], [["PING", undefined]]]);
});

Deno.test("activities run and are stopped, and nobody waits for them", () => {
  const seenIt: unknown[] = [];
  const host = TestHost.start(machine({
    context: { n: 0 },
    initial: "a",
    states: {
      a: { on: { GO: { target: "b", actions: assign({ n: 1 }) } } },
      b: { activities: "beep", on: { GO: "a" } },
    },
  }, {
    activities: {
      // As XState's interpreter does it, it gets the context of the state before.
      beep: (context: Any) => (seenIt.push(context.n), () => seenIt.push("stopped")),
    },
  }));
  host.send("GO");
  assertEquals([seenIt, children(host)], [[0], ["beep activity"]]);
  assertEquals(host.snapshot.activities, { beep: true });
  assertEquals(host.snapshot.children, { beep: { kind: "activity" } });
  host.send("GO");
  assertEquals([seenIt, children(host), host.snapshot.activities], [[0, "stopped"], [], undefined]);
});

Deno.test("a restored activity is not started again", () => {
  let starts = 0;
  const active = machine({ activities: "beep", on: { GO: { actions: () => {} } } }, {
    activities: { beep: () => void starts++ },
  });
  const host = TestHost.start(active);
  host.restore();
  host.send("GO");
  assertEquals([starts, children(host), host.snapshot.activities], [1, [], { beep: true }]);
});

const child = (config: Any = {}) =>
  machine({
    id: "child",
    context: { n: 0 },
    initial: "one",
    states: {
      one: { on: { NEXT: { target: "two", actions: [assign({ n: 1 }), sendParent("PING")] } } },
      two: { on: { NEXT: "end" } },
      end: { type: "final", data: { n: (context: Any) => context.n } },
    },
    ...config,
  });

const talkative = (childMachine: Any, invoke?: Any) =>
  started(childMachine, invoke, {
    on: {
      TELL: { actions: sendTo("c", (_: Any, event: Any) => event.what) },
      PING: { actions: assign({ seen: (context: Any) => [...context.seen, "PING"] }) },
      "done.invoke.c": { actions: assign({ seen: (_: Any, event: Any) => [event.data] }) },
    },
  } as Any);
const tell = (host: TestHost, type: string) => host.send({ type: "TELL", what: { type } });

Deno.test("an idle child machine is not due, and is kept in the snapshot", () => {
  const host = talkative(child());
  assertEquals(children(host), ["c machine"]);
  assertEquals(stored(host), {
    c: { kind: "machine", src: "src", snapshot: { value: "one", context: { n: 0 } } },
  });
});

Deno.test("an idle child machine goes on after a restart, without doing anything again", () => {
  let entries = 0;
  const noisy = child({ entry: () => entries++, invoke: { src: () => () => void entries++ } });
  delete (noisy as Any).invoke;
  const quiet = child({ entry: () => entries++ });
  const host = talkative(quiet);
  tell(host, "NEXT");
  host.pump();
  host.live.snapshot();
  host.text = host.live.snapshot().text;
  host.restore();
  assertEquals([entries, children(host), host.inbox], [1, ["c machine"], []]);
  assertEquals(seen(host), ["PING"]);
  tell(host, "NEXT");
  host.pump();
  assertEquals([seen(host), children(host)], [[{ n: 1 }], []]);
});

Deno.test("grandchildren go on, too", () => {
  const middle = machine({
    id: "middle",
    invoke: { id: "g", src: "inner" },
    on: { NEXT: { actions: sendTo("g", "NEXT") }, PING: { actions: sendParent("PING") } },
  }, { services: { inner: child() } });
  const host = talkative(middle);
  assertEquals(stored(host).c.snapshot.children.g.snapshot.value, "one");
  host.text = host.live.snapshot().text;
  host.restore();
  tell(host, "NEXT");
  assertEquals(host.inbox.map(({ event, childId }) => [event.type, childId]), [["PING", "c"]]);
  assertEquals(stored(host).c.snapshot.children.g.snapshot.value, "two");
});

Deno.test("a child machine is due while a delay or a child is pending in it, however deep", async () => {
  const delayed = child({ after: { 1: { actions: sendParent("PING") } } });
  const host = talkative(delayed);
  assertEquals([children(host), stored(host)], [["c machine due"], {
    c: { kind: "machine", due: true },
  }]);
  await new Promise((resolve) => setTimeout(resolve, 10));
  host.pump();
  assertEquals([children(host), seen(host)], [["c machine"], ["PING"]]);
  let resolve: Any;
  const waiting = child({ invoke: { src: () => new Promise((it) => resolve = it) } });
  const deep = talkative(machine({ invoke: { src: waiting } }));
  assertEquals(children(deep), ["c machine due"]);
  const before = deep.changes;
  resolve();
  await deep.settle();
  assert(deep.changes > before, "the host is told");
  assertEquals(children(deep), ["c machine"]);
});

Deno.test("a pending delay counts for the child that it belongs to", () => {
  const slow = child({ after: { 60_000: "two" } });
  const host = TestHost.start(machine({
    context: {},
    entry: assign({
      a: () => spawn(child(), "a"),
      b: () => spawn(machine({ invoke: { src: slow } }), "b"),
    }),
  }));
  assertEquals(children(host), ["a machine", "b machine due"]);
  host.live.stopDue();
  assertEquals(children(host), ["a machine"]);
});

Deno.test("a delayed send to a child stays in the host, can be cancelled, and makes the child due", async () => {
  const host = started(child(), {}, {
    on: {
      LATER: { actions: send("NEXT", { to: "c", delay: 5, id: "later" }) },
      CANCEL: { actions: cancel("later") },
      PING: { actions: assign({ seen: ["PING"] }) },
    },
  });
  const { effects, timers } = host.live.step({ type: "LATER" });
  assertEquals([timers, children(host)], [[], ["c machine due"]]);
  effects.forEach((effect) => effect.run());
  assertEquals(children(host), ["c machine due"]);
  host.send("CANCEL");
  assertEquals([children(host), host.decided.timers], [["c machine"], [{ cancel: "later" }]]);
  host.send("LATER");
  await new Promise((resolve) => setTimeout(resolve, 15));
  host.pump();
  assertEquals([seen(host), children(host)], [["PING"], ["c machine"]]);
});

Deno.test("events are forwarded to children that asked for it, before the step does anything else", () => {
  const got: string[] = [];
  const listening = machine({
    on: { "*": { actions: (_: Any, event: Any) => got.push(event.type) } },
  });
  const host = started(listening, { autoForward: true }, {
    on: { NEXT: { actions: () => got.push("parent") } },
  });
  host.send("NEXT");
  assert(host.decided.effects[0].touchesChildren);
  host.restore();
  host.send("NEXT");
  assertEquals(got, ["NEXT", "parent", "NEXT", "parent"]);
  host.send("LEAVE");
  host.send("NEXT");
  assertEquals(got.slice(4), ["LEAVE", "parent"]);
});

Deno.test("children can be told, answered, forwarded to, and stopped", () => {
  const asking = machine({
    on: {
      ASK: { actions: respond("PING") },
      FAIL: { actions: escalate({ message: "escalated" }) },
    },
  });
  const host = started(asking, {}, {
    on: {
      ASK: { actions: forwardTo("c") },
      FAIL: { actions: forwardTo("c") },
      STOP: { actions: stop("c") },
      PING: { actions: assign({ seen: ["PING"] }) },
      "error.platform.c": { actions: assign({ seen: (_: Any, event: Any) => [event.data] }) },
    },
  });
  host.send("ASK");
  host.pump();
  assertEquals(seen(host), ["PING"]);
  host.send("FAIL");
  assertEquals(host.inbox.map(({ event }) => event.type), ["error.platform.c"]);
  host.pump();
  assertEquals(seen(host), [{ message: "escalated" }]);
  host.send("STOP");
  assertEquals(children(host), []);
});

Deno.test("a child can be answered by the root, which needs to know it by its session", () => {
  const asking = machine({
    context: {},
    entry: sendParent("ASK"),
    on: { ANSWER: { actions: sendParent("PING") } },
  });
  const host = started(asking, {}, {
    on: { ASK: { actions: respond("ANSWER") }, PING: { actions: assign({ seen: ["PING"] }) } },
  });
  host.pump();
  assertEquals(seen(host), ["PING"]);
  const answering = machine({ on: { ASK: { actions: respond("PING") } } });
  const other = started(answering, {}, {
    on: { TELL: { actions: sendTo("c", "ASK") }, PING: { actions: assign({ seen: ["PING"] }) } },
  });
  other.send("TELL");
  other.pump();
  assertEquals(seen(other), ["PING"]);
});

Deno.test("spawned actors can be used through the context, warm or restored", () => {
  const got: Any[] = [];
  const listen = () => (_: Any, onReceive: Any) => onReceive((event: Any) => got.push(event.type));
  const host = TestHost.start(machine({
    context: {},
    entry: assign({ ref: () => spawn(listen(), "l"), list: () => [spawn(child(), "k")] }),
    on: {
      SEND: { actions: send("HELLO", { to: (context: Any) => context.ref }) },
      DIRECT: { actions: (context: Any) => context.ref.send({ type: "DIRECT" }) },
      NEXT: { actions: sendTo((context: Any) => context.list[0], { type: "NEXT" }) },
      STOP: { actions: stop((context: Any) => context.ref) },
    },
  }, { services: {} }));
  const ref = (id: string) => ({ xstate$$type: 1, id });
  assertEquals(host.snapshot.context, { ref: ref("l"), list: [ref("k")] });
  for (const event of ["SEND", "DIRECT", "SEND", "NEXT"]) host.send(event);
  assertEquals(got, ["HELLO", "DIRECT", "HELLO"]);
  assertEquals(host.inbox.map(({ event, childId }) => [event.type, childId]), [["PING", "k"]]);
  assertEquals((host.live.context as Any).list[0].getSnapshot().value, "two");
  host.send("STOP");
  assertEquals(children(host), ["k machine"]);
  host.restore();
  host.send("SEND");
  assert(host.warnings[0].includes('"l"'), host.warnings.join());
});

Deno.test("a spawned actor can be used before it runs", () => {
  const got: string[] = [];
  const listen = (_: Any, onReceive: Any) => onReceive((event: Any) => got.push(event.type));
  const states: unknown[] = [];
  const host = TestHost.start(machine({
    context: {},
    entry: assign(() => {
      const ref: Any = spawn(listen, "l");
      ref.send({ type: "EARLY" });
      const kid: Any = spawn(child(), "k");
      kid.subscribe((state: Any) => states.push(state.value));
      kid.subscribe(() => states.push("unsubscribed")).unsubscribe();
      return { value: kid.getSnapshot().value, ref, kid };
    }),
    on: { NEXT: { actions: sendTo("k", "NEXT") } },
  }));
  assertEquals((host.live.context as Any).value, "one");
  host.send("NEXT");
  assertEquals([got, states], [["EARLY"], ["one", "two"]]);
});

Deno.test("a context that spawns when it is made does so for each instance", () => {
  const host = TestHost.start(machine({ context: () => ({ ref: spawn(child(), "k") }) }));
  assertEquals(children(host), ["k machine"]);
  assertEquals(host.snapshot.context, { ref: { xstate$$type: 1, id: "k" } });
});

Deno.test("a spawned machine whose name the machine knows goes on after a restart", () => {
  const known = child();
  const spawning = machine({
    context: {},
    entry: assign({ ref: () => spawn(known, { name: "k", sync: true }) }),
    on: { NEXT: { actions: sendTo((context: Any) => context.ref, { type: "NEXT" }) } },
  }, { services: { known } });
  const host = TestHost.start(spawning);
  host.inbox.length = 0;
  assertEquals(stored(host).k, {
    kind: "machine",
    src: "known",
    snapshot: { value: "one", context: { n: 0 } },
    sync: true,
  });
  host.text = host.live.snapshot().text;
  host.restore();
  assertEquals(host.inbox, []);
  host.send("NEXT");
  assertEquals(host.inbox.map(({ event }) => event.type), ["PING", "xstate.update"]);
  assertEquals((host.live.context as Any).ref.getSnapshot().value, "two");
});

Deno.test("a spawned machine that gets all events cannot go on, since no definition says so", () => {
  const known = child();
  const host = TestHost.start(machine({
    context: {},
    entry: assign({ ref: () => spawn(known, { name: "k", autoForward: true }) }),
  }, { services: { known } }));
  assertEquals([children(host), stored(host)], [["k machine"], { k: { kind: "machine" } }]);
});

Deno.test("a child that cannot go on is a tombstone: it keeps its id and swallows events", () => {
  const host = talkative(() => () => {});
  host.restore();
  assertEquals([children(host), host.snapshot.children], [[], { c: { kind: "other", due: true } }]);
  tell(host, "NEXT");
  assertEquals([host.errors, host.warnings.length], [[], 1]);
  assertEquals(stored(host), { c: { kind: "other" } });
  host.send("LEAVE");
  assertEquals(stored(host), undefined);
});

Deno.test("a stored child that its machine does not know any more is a tombstone", () => {
  const host = talkative(child());
  const snapshot = JSON.parse(host.live.snapshot().text);
  snapshot.children.c.snapshot.value = "gone";
  host.live = host.driver.restore(host, snapshot);
  assertEquals(children(host), []);
  assert(host.warnings[0].includes('no state "gone"'), host.warnings[0]);
});

Deno.test("a lost child is an error where the machine handles that, and gone where not", () => {
  const host = started(() => new Promise(() => {}));
  host.restore();
  const decided = host.live.lost("c", "the process ended");
  assert(decided !== null);
  host.finish(decided);
  assertEquals(seen(host), [["error.platform.c", { name: "Error", message: "the process ended" }]]);
  assertEquals(stored(host), undefined);
  const careless = started(() => new Promise(() => {}), {}, { on: {} });
  careless.restore();
  assertEquals([careless.live.lost("c", "why"), stored(careless)], [null, undefined]);
});

Deno.test("stopDue stops what is due without a word", async () => {
  let sendLate: Any, observer: Any, resolve: Any, self: Any;
  const initialState = { status: "pending", data: undefined, error: undefined };
  const entities: Record<string, Any> = {
    promise: new Promise((it) => resolve = it),
    callback: (sendBack: Any) => (sendLate = sendBack, () => sendBack("STOPPED")),
    async: async (sendBack: Any) => {
      await tick();
      sendBack("LATE");
    },
    observable: observable((it) => void (observer = it)),
    machine: child({ after: { 1: { actions: sendParent("LATE") } }, exit: sendParent("EXIT") }),
    behavior: {
      initialState,
      start: (context: Any) => (self = context.self, initialState),
      transition: (state: Any, _: Any, { parent }: Any) => (parent.send("LATE"), state),
    },
    idle: child(),
  };
  const spawnAll = Object.fromEntries(
    Object.keys(entities).map((name) => [name, () => spawn(entities[name], name)]),
  );
  const host = TestHost.start(machine({ context: {}, entry: assign(spawnAll) }));
  assertEquals(host.live.children().filter(({ due }) => due).length, 6);
  host.live.stopDue();
  assertEquals(children(host), ["idle machine"]);
  resolve(1);
  sendLate("LATE");
  observer.next({ type: "LATE" });
  observer.complete();
  self.send({ type: "fulfill" });
  await new Promise((it) => setTimeout(it, 10));
  assertEquals([host.inbox, host.errors], [[], []]);
  const ref = (id: string) => ({ xstate$$type: 1, id });
  const { context } = JSON.parse(host.live.snapshot().text);
  assertEquals(context, Object.fromEntries(Object.keys(entities).map((id) => [id, ref(id)])));
});

Deno.test("what a child throws while it is stopped is told, and stops nothing", () => {
  const host = started(() => () => () => {
    throw new Error("thrown by a callback's end");
  });
  host.live.stopDue();
  assertEquals(children(host), []);
  assert(host.warnings[0].includes("thrown by a callback's end"));
});

Deno.test("a disposed instance is silent", async () => {
  let sendLate: Any;
  const host = started(() => (sendBack: Any) => void (sendLate = sendBack));
  host.live.dispose();
  sendLate("LATE");
  await tick();
  assertEquals(host.inbox, []);
});

Deno.test("when a machine ends, its children end with it", () => {
  const stops: string[] = [];
  const host = started(() => () => () => stops.push("c"), {}, {
    entry: assign({ k: () => spawn(() => () => stops.push("k"), "k") }),
    states: {
      idle: { on: { GO: "run" } },
      run: { type: "parallel", states: { a: { invoke: { id: "c", src: "src" } } } },
      end: { type: "final" },
    },
    on: { END: ".end" },
  });
  assertEquals(children(host), ["k callback due", "c callback due"]);
  const { effects } = host.live.step({ type: "END" });
  assertEquals([children(host), stored(host)], [[], undefined]);
  effects.forEach((effect) => effect.run());
  assertEquals(stops.sort(), ["c", "k"]);
});

Deno.test("a transient state's invocation does not run, without predictable arguments", () => {
  let starts = 0;
  for (const isPredictable of [true, false]) {
    starts = 0;
    const host = TestHost.start(machine({
      predictableActionArguments: isPredictable,
      initial: "a",
      states: {
        a: { on: { GO: "b" } },
        b: { always: "c", invoke: { src: () => (starts++, new Promise(() => {})) } },
        c: {},
      },
    }));
    host.send("GO");
    assertEquals([starts, children(host)], [isPredictable ? 1 : 0, []]);
    assert(isPredictable || host.decided.effects.length === 0);
  }
});

Deno.test("a machine that sends to itself can count on children that it has just decided to start", () => {
  const got: string[] = [];
  const host = TestHost.start(machine({
    context: {},
    initial: "a",
    states: {
      a: { on: { GO: { target: "b", actions: send("AGAIN") } } },
      b: {
        invoke: { id: "c", src: "src", autoForward: true },
        on: { AGAIN: { actions: sendTo("c", "HI") } },
      },
    },
  }, {
    services: { src: machine({ on: { "*": { actions: (_: Any, e: Any) => got.push(e.type) } } }) },
  }));
  host.send("GO");
  assertEquals([got, host.errors], [["AGAIN", "HI"], []]);
});

Deno.test("a roll-back forgets only what was decided since the mark", () => {
  const host = TestHost.start(machine({
    context: {},
    on: {
      SPAWN: {
        actions: assign((_: Any, event: Any) => ({ [event.id]: spawn(child(), event.id) })),
      },
    },
  }));
  const first = host.live.step({ type: "SPAWN", id: "a" });
  host.live.snapshot();
  host.live.mark();
  host.live.step({ type: "SPAWN", id: "b" });
  assertEquals(children(host), ["a machine due", "b machine due"]);
  host.live.rollBack();
  assertEquals(children(host), ["a machine due"]);
  first.effects.forEach((effect) => effect.run());
  assertEquals(children(host), ["a machine"]);
  (host.live.context as Any).a.send("NEXT");
  assertEquals(host.inbox.length, 1, "the context's reference is bound to what was started");
});

Deno.test("a step that touches no child says so, though the state it leaves had one", async () => {
  const host = started(() => Promise.resolve(1));
  await host.settle();
  host.send("LEAVE");
  assertEquals(host.decided.effects, []);
});

Deno.test("sends to children wait until the other effects are done, with predictable arguments", () => {
  for (const isPredictable of [true, false]) {
    const seenIt: string[] = [];
    const listening = machine({ on: { "*": { actions: () => seenIt.push("child") } } });
    const host = TestHost.start(machine({
      predictableActionArguments: isPredictable,
      invoke: { id: "c", src: listening },
      on: { GO: { actions: [sendTo("c", "HI"), () => seenIt.push("action")] } },
    }));
    host.send("GO");
    assertEquals(seenIt, isPredictable ? ["action", "child"] : ["child", "action"]);
  }
});

Deno.test("meta.state shows the children that run", () => {
  let ids: string[] = [];
  const host = started(() => new Promise(() => {}), {}, {
    predictableActionArguments: false,
    on: {
      LOOK: { actions: (_: Any, __: Any, { state }: Any) => ids = Object.keys(state.children) },
    },
  });
  host.send("LOOK");
  assertEquals(ids, ["c"]);
});

Deno.test("a child that is displaced by another of its id is still known, and stopped in the end", async () => {
  const resolves: Any[] = [];
  const promise = () => new Promise((it) => resolves.push(it));
  const host = TestHost.start(machine({
    context: { got: [] },
    on: {
      GO: { actions: assign({ ref: () => spawn(promise(), "p") }) },
      CALL: {
        actions: assign({ ref: () => spawn(() => () => void resolves.push("stopped"), "c") }),
      },
      "done.invoke.p": { actions: assign({ got: (c: Any, e: Any) => [...c.got, e.data] }) },
    },
  }));
  host.send("GO");
  host.send("GO");
  const [first, second] = resolves;
  second(2);
  await host.settle();
  assertEquals([(host.live.context as Any).got, children(host)], [[2], ["p promise due"]]);
  first(1);
  await host.settle();
  assertEquals([(host.live.context as Any).got, children(host)], [[2, 1], []]);
  host.send("GO");
  host.send("GO");
  resolves[2](3);
  await host.settle();
  // XState itself would lose the one that goes on.
  assertEquals(children(host), ["p promise due"]);
  host.send("CALL");
  host.send("CALL");
  host.live.dispose();
  assertEquals(resolves.filter((it) => it === "stopped").length, 2);
});

Deno.test("an action can spawn where XState's interpreter lets it", async () => {
  for (const isPredictable of [true, false]) {
    const config = {
      predictableActionArguments: isPredictable,
      on: { GO: { actions: () => void spawn(Promise.resolve(1), "p") } },
    };
    const service = interpret(machine(config)).start();
    service.send("GO");
    const host = TestHost.start(machine(config));
    host.send("GO");
    assertEquals(host.live.children().map(({ id }) => id), [...service.children.keys()]);
    await host.settle();
  }
});

Deno.test("the published sendTo of State Backed reaches children", () => {
  const tellChild = {
    type: "xstate.send",
    to: "c",
    event: () => ({ type: "NEXT" }),
    delay: undefined,
  };
  const host = started(child(), {}, {
    on: { GO: { actions: tellChild }, PING: { actions: assign({ seen: ["PING"] }) } },
  });
  host.send("GO");
  host.pump();
  assertEquals(seen(host), ["PING"]);
});

Deno.test("nothing holds on to an instance that was disposed of, nor to one without children that was dropped", async () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc");
  const spawning = machine({ context: {}, entry: assign({ k: () => spawn(child(), "k") }) });
  const make = (what: Any, isDisposed: boolean) => {
    const host = TestHost.start(what);
    if (isDisposed) host.live.dispose();
    return new WeakRef(host);
  };
  const refs = [make(spawning, true), make(machine({ context: {} }), false)];
  await tick();
  gc();
  assertEquals(refs.map((ref) => ref.deref() === undefined), [true, true]);
});

/** Steps of an instance: context, timers, effects, history, failures. */

import assert from "node:assert/strict";
import * as xstate from "xstate5";
import { Instance } from "./support.ts";

const { assign, createMachine, fromCallback, log, raise, sendTo, setup } = xstate;

// deno-lint-ignore no-explicit-any
type Any = any;

const machine = (config: Any, implementations: Any = {}) =>
  createMachine({ id: "m", ...config }, implementations) as Any;

const fails = assign(() => {
  throw new Error("no");
});

Deno.test("what the caller gave is merged over a context that takes no input", () => {
  const given = { b: 3, c: 4 };
  const merged = { a: 1, b: 3, c: 4 };
  for (const context of [{ a: 1, b: 2 }, () => ({ a: 1, b: 2 }), (_: Any) => ({ a: 1, b: 2 })]) {
    assert.deepEqual(Instance.create(machine({ context }), given).context, merged);
  }
  assert.deepEqual(Instance.create(machine({}), given).context, given);
});

Deno.test("what the caller gave is input, and nothing else, where the context takes it", () => {
  const context = ({ input }: Any) => ({ doubled: input.n * 2 });
  assert.deepEqual(Instance.create(machine({ context }), { n: 4, other: 1 }).context, {
    doubled: 8,
  });
  const args = (args: Any) => ({ n: args.input?.n ?? 0 });
  assert.deepEqual(Instance.create(machine({ context: args }), {}).context, { n: 0 });
});

Deno.test("the merged context is what the initial step sees", () => {
  const source = machine({
    context: { n: 1 },
    entry: assign({ m: ({ context }: Any) => context.n }),
  });
  assert.deepEqual(Instance.create(source, { n: 5 }).context, { n: 5, m: 5 });
});

Deno.test("a machine that is its own child is given nothing of the caller's", () => {
  const source: Any = setup({}).createMachine({
    context: ({ spawn, self }: Any) => ({
      depth: self._parent ? 1 : 0,
      child: self._parent ? null : spawn(source, { id: "c" }),
    }),
  } as Any);
  const instance = Instance.create(source, { given: true });
  assert.equal(instance.context.given, true);
  assert.deepEqual(instance.context.child.getSnapshot().context, { depth: 1, child: null });
});

Deno.test("instances share nothing that one could change", () => {
  const source = machine({
    context: { list: [] },
    entry: assign(({ context }: Any) => void context.list.push(1)),
  });
  const driver = Instance.create(source).driver;
  const other = new Instance(source);
  const { live } = driver.initial(other, {});
  assert.deepEqual((live.context as Any).list, [1]);
});

Deno.test("the context is its own JSON after every step", () => {
  class Money {
    constructor(readonly cents: number) {}
  }
  const source = machine({
    context: { when: new Date(0), nothing: undefined, hello() {}, money: new Money(3) },
    on: {
      set: { actions: assign({ set: new Set([1]), n: NaN }) },
      look: { actions: assign({ type: ({ context }: Any) => typeof context.when }) },
    },
  });
  const instance = Instance.create(source);
  const expected = { when: "1970-01-01T00:00:00.000Z", money: { cents: 3 } };
  assert.deepEqual(instance.context, expected);
  assert.deepEqual(instance.send("set").context, { ...expected, set: {}, n: null });
  assert.equal(instance.send("look").context.type, "string");
});

Deno.test("an action gets the context as it was made, whatever JSON makes of it later", () => {
  let seen: unknown;
  const source = machine({
    on: {
      go: { actions: [assign({ when: new Date(0) }), ({ context }: Any) => seen = context.when] },
    },
  });
  Instance.create(source).send("go");
  assert.ok(seen instanceof Date);
});

Deno.test("a context that is no JSON fails the event", () => {
  const source = machine({
    on: {
      cycle: {
        actions: assign(() => {
          const list: unknown[] = [];
          return { list: [list, list.push(list)] };
        }),
      },
      big: { actions: assign({ n: 10n }) },
    },
  });
  const instance = Instance.create(source);
  for (const type of ["cycle", "big"]) {
    assert.throws(() => instance.step(type));
    instance.live.rollBack();
    assert.deepEqual(instance.context, {});
  }
});

Deno.test("a step that changes in place and then throws leaves nothing behind", () => {
  const source = machine({
    context: { list: [1], ref: { deep: true } },
    on: {
      fail: {
        actions: [
          assign(({ context }: Any) => (context.list.push(2), context.ref.deep = false, {})),
          fails,
        ],
      },
      grow: { actions: assign(({ context }: Any) => (context.list.push(9), {})) },
    },
  });
  const instance = Instance.create(source);
  assert.throws(() => instance.step("fail"), /no/);
  instance.live.rollBack();
  assert.deepEqual(instance.send("grow").context, { list: [1, 9], ref: { deep: true } });
});

Deno.test("rolling back undoes every step since the last mark", () => {
  const source = machine({
    context: { n: 0 },
    initial: "a",
    states: { a: { on: { go: "b" } }, b: { on: { go: "c" } }, c: {} },
    on: { "*": {} },
    exit: [],
  });
  const instance = Instance.create(source);
  instance.live.step({ type: "go" });
  instance.live.snapshot();
  instance.live.step({ type: "go" });
  assert.equal(instance.live.value, "c");
  instance.live.rollBack();
  assert.equal(instance.live.value, "a");
  assert.equal(instance.send("go").live.value, "b");
});

Deno.test("what the initial step throws is thrown", () => {
  assert.throws(() => Instance.create(machine({ entry: fails })), /no/);
  const context = () => {
    throw new Error("no context");
  };
  assert.throws(() => Instance.create(machine({ context })), /no context/);
});

Deno.test("an error that nobody handles fails the event instead of ending the machine", () => {
  const instance = Instance.create(machine({}));
  const event = {
    type: "xstate.error.actor.nobody",
    error: new Error("forged"),
    actorId: "nobody",
  };
  assert.equal(instance.live.handles(event), false);
  assert.throws(() => instance.step(event), /forged/);
  instance.live.rollBack();
  assert.equal(instance.send("go").live.isDone, false);
});

Deno.test("a guard that throws fails the event", () => {
  const guard = () => {
    throw new Error("undecided");
  };
  const instance = Instance.create(machine({ on: { go: { guard, actions: () => {} } } }));
  assert.throws(() => instance.step("go"), /undecided/);
  assert.equal(instance.live.handles({ type: "go" }), true);
});

Deno.test("a loop of eventless transitions ends in a failure", () => {
  const source = machine({ initial: "a", states: { a: { always: "b" }, b: { always: "a" } } });
  assert.throws(() => Instance.create(source), /loop|microsteps/i);
});

Deno.test("delays of the machine are timers, `after` ones with their place", () => {
  const source = machine({
    initial: "a",
    states: {
      a: { initial: "b", states: { b: { after: { 10: "#m.c", slow: { target: "#m.c" } } } } },
      c: {},
    },
    entry: raise({ type: "later" }, { delay: 5, id: "l" }),
    on: { cancel: { actions: xstate.cancel("l") } },
  }, { delays: { slow: () => 99 } });
  const instance = Instance.create(source);
  const after = (n: number, delay: unknown) => ({ path: ["a", "b"], n, delay });
  assert.deepEqual(instance.timers, [
    { set: "l", delay: 5, event: { type: "later" } },
    {
      set: "xstate.after.10.m.a.b",
      delay: 10,
      event: { type: "xstate.after.10.m.a.b" },
      after: after(0, 10),
    },
    {
      set: "xstate.after.slow.m.a.b",
      delay: 99,
      event: { type: "xstate.after.slow.m.a.b" },
      after: after(1, "slow"),
    },
  ]);
  assert.deepEqual(instance.decided.effects, []);
  assert.deepEqual(instance.send("cancel").timers, [{ cancel: "l" }]);
  instance.send("xstate.after.slow.m.a.b");
  assert.equal(instance.live.value, "c");
  assert.deepEqual(instance.timers, [
    { cancel: "xstate.after.10.m.a.b" },
    { cancel: "xstate.after.slow.m.a.b" },
  ]);
});

Deno.test("two delayed sends with one id are two timers, those without get ids of their own", () => {
  const twice = (id?: string) => raise({ type: "x" }, id ? { delay: 1, id } : { delay: 1 });
  const instance = Instance.create(machine({
    on: { go: { actions: [twice("a"), twice("a"), twice(), twice()] } },
  })).send("go");
  const ids = instance.timers.map((timer) => "set" in timer && timer.set);
  assert.deepEqual(ids.slice(0, 2), ["a", "a"]);
  assert.notEqual(ids[2], ids[3]);
});

Deno.test("sending to oneself is a timer with a delay and a further step without", () => {
  const self = ({ self }: Any) => self;
  const source = machine({
    on: {
      go: {
        actions: [sendTo(self, { type: "x" }), sendTo(self, { type: "y" }, { delay: 3, id: "d" })],
      },
      error: { actions: sendTo(self, { type: "xstate.error", data: "why" } as Any) },
      inAssign: { actions: assign(({ self }: Any) => void self.send({ type: "z" })) },
    },
  });
  const instance = Instance.create(source).send("go");
  assert.deepEqual(instance.decided.selfSends, [{ type: "x" }]);
  assert.deepEqual(instance.timers, [{ set: "d", delay: 3, event: { type: "y" } }]);
  assert.deepEqual(instance.decided.effects, []);
  assert.equal(instance.send("error").decided.selfSends[0]!.type, "xstate.error.actor.x:0");
  assert.deepEqual(instance.send("inAssign").decided.selfSends, [{ type: "z" }]);
});

Deno.test("what a performed action sends to the machine is heard", () => {
  const source = machine({ entry: ({ self }: Any) => self.send({ type: "hello" }) });
  const instance = Instance.create(source);
  assert.deepEqual(instance.heard, []);
  instance.perform();
  assert.deepEqual(instance.heard, [{ event: { type: "hello" }, child: undefined }]);
});

Deno.test("effects keep XState's order: actions as they come, then starts, sends and stops", () => {
  const order: string[] = [];
  const note = (text: string) => () => void order.push(text);
  const child = (name: string) =>
    fromCallback(({ receive }: Any) => {
      order.push(`${name} starts`);
      receive((event: Any) => order.push(`${name} gets ${event.type}`));
      return note(`${name} stops`);
    });
  const source = machine({
    initial: "a",
    states: {
      a: { invoke: { id: "one", src: child("one") }, exit: [note("exit")], on: { go: "b" } },
      b: {
        entry: [sendTo("two", { type: "hi" }), note("entry"), log("log")],
        invoke: { id: "two", src: child("two") },
      },
    },
  });
  const instance = Instance.create(source).perform();
  order.length = 0;
  instance.send("go");
  assert.deepEqual(order, ["exit", "entry", "one stops", "two starts", "two gets hi"]);
  instance.live.dispose();
});

Deno.test("only effects that touch children say so", () => {
  const instance = Instance.create(machine({ on: { go: { actions: [() => {}, log("x")] } } }));
  instance.step("go");
  assert.deepEqual(instance.decided.effects.map(({ touchesChildren }) => touchesChildren), [
    false,
    false,
  ]);
});

Deno.test("an action that throws is the host's to log, and the next still runs", () => {
  const ran: number[] = [];
  const throws = () => {
    throw new Error("no");
  };
  const instance = Instance.create(machine({ entry: [throws, () => void ran.push(1)] }));
  const [first, second] = instance.decided.effects;
  assert.throws(() => first!.run(), /no/);
  second!.run();
  assert.deepEqual(ran, [1]);
});

Deno.test("an expression for a target or a delay that throws fails the event", () => {
  const throws = () => {
    throw new Error("no");
  };
  const source = machine({
    on: {
      target: { actions: sendTo(throws as Any, { type: "x" }) },
      delay: { actions: raise({ type: "x" }, { delay: throws }) },
      unknown: { actions: sendTo("nobody", { type: "x" }) },
    },
  });
  const instance = Instance.create(source);
  for (const type of ["target", "delay"]) assert.throws(() => instance.step(type), /no/);
  assert.throws(() => instance.step("unknown"), /nobody/);
});

const remembering = machine({
  initial: "on",
  states: {
    on: {
      initial: "a",
      states: {
        a: { on: { go: "b" } },
        b: { initial: "x", states: { x: { on: { go: "y" } }, y: {} } },
        shallow: { type: "history" },
        deep: { type: "history", history: "deep" },
      },
      on: { off: "off" },
    },
    off: { on: { shallow: "on.shallow", deep: "on.deep" } },
  },
});

Deno.test("history survives a restart, as paths", () => {
  const instance = Instance.create(remembering).send("go").send("go").send("off");
  assert.deepEqual(instance.snapshot.history, [
    { path: ["on", "shallow"], nodes: [["on", "b"]] },
    { path: ["on", "deep"], nodes: [["on", "b", "y"]] },
  ]);
  instance.restart();
  assert.deepEqual(instance.send("shallow").live.value, { on: { b: "x" } });
  instance.send("go").send("off").restart();
  assert.deepEqual(instance.send("deep").live.value, { on: { b: "y" } });
});

Deno.test("a history of states that are gone falls back to its default", () => {
  const instance = Instance.create(remembering).send("off");
  const history = [{ path: ["on", "deep"], nodes: [["on", "renamed"]] }];
  instance.text = JSON.stringify({ ...instance.snapshot, history });
  assert.deepEqual(instance.restart().send("deep").live.value, { on: "a" });
});

Deno.test("a final state ends the instance, with output", () => {
  const source = machine({
    initial: "a",
    states: { a: { on: { go: "z" } }, z: { type: "final" } },
    output: ({ context }: Any) => ({ ...context, ended: true }),
    context: { n: 1 },
  });
  const instance = Instance.create(source).send("go");
  assert.equal(instance.live.isDone, true);
  assert.deepEqual(instance.snapshot, {
    value: "z",
    context: { n: 1 },
    status: "done",
    output: { n: 1, ended: true },
  });
  assert.equal(instance.restart().live.isDone, true);
});

Deno.test("a snapshot of states that the machine does not have is refused", () => {
  const source = machine({
    initial: "a",
    states: {
      a: {},
      b: { initial: "c", states: { c: {}, d: {} } },
      p: { type: "parallel", states: { x: {}, y: {} } },
    },
  });
  const instance = Instance.create(source);
  for (
    const value of ["gone", { b: "gone" }, { gone: "c" }, "b", { p: { x: {} } }, {}, {
      a: {},
      b: "c",
    }]
  ) {
    instance.text = JSON.stringify({ value, context: {} });
    assert.throws(() => instance.restart(), /cannot take up the state/, JSON.stringify(value));
  }
});

Deno.test("the machine itself can be in its context", () => {
  const source = machine({
    context: ({ self }: Any) => ({ me: self }),
    on: { go: { actions: sendTo(({ context }: Any) => context.me, { type: "x" }) } },
  });
  const instance = Instance.create(source).send("go");
  assert.equal(instance.decided.selfSends.length, 1);
  assert.equal(instance.restart().send("go").decided.selfSends.length, 1);
});

Deno.test("tags and value are those of the active states", () => {
  const source = machine({
    type: "parallel",
    states: { a: { tags: ["x", "y"] }, b: { tags: "z", initial: "c", states: { c: {} } } },
  });
  const { live } = Instance.create(source);
  assert.deepEqual(live.value, { a: {}, b: "c" });
  assert.deepEqual(live.tags, ["x", "y", "z"]);
});

Deno.test("emitting is no effect, since nobody can listen", () => {
  const instance = Instance.create(machine({ entry: xstate.emit({ type: "x" }) }));
  assert.deepEqual(instance.decided.effects, []);
});

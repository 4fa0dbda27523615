/** Instances of their own: children that are made, events that are sent, all told to the server and none of it done here. */

import assert from "node:assert/strict";
import * as ours from "xstate5";
import { persistentInvocableSource, sendTo, spawnPersistentInstance } from "../support/author.ts";
import { bundle } from "../support/bundle.ts";
import { Instance } from "./support.ts";

// deno-lint-ignore no-explicit-any
type Any = any;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const address = (machineInstanceName: string, machineName = "letters") => ({
  machineName,
  machineInstanceName,
});
const parent = { ...address("home", "homes"), id: "me" };
const source = (name?: string) => persistentInvocableSource({ ...address(name!) });
const ref = { type: "statebacked.instance", id: "any", ...address("other", "others") };
const to = address("other", "others");
const hello = { type: "hello" };

/** A machine that does `list` on "go". */
const doing = (list: Any, more: Any = {}, implementations: Any = {}) =>
  ours.createMachine({
    id: "m",
    context: { name: "ann" },
    ...more,
    on: { ...more.on, go: { actions: list } },
  }, implementations) as Any;

function childOf(machine: Any): Instance {
  const instance = new Instance(machine);
  Object.assign(instance, { parent });
  return instance.begin();
}

/** What "go" decides, which must be nothing to be performed. */
function decide(list: Any, more: Any = {}, implementations: Any = {}): Any[] {
  const instance = Instance.create(doing(list, more, implementations)).step("go");
  assert.deepEqual(instance.decided.effects, []);
  assert.deepEqual(instance.live.children(), []);
  assert.deepEqual(instance.warnings, []);
  return instance.timers;
}

const spawning = (descriptor: Any = address("x"), options?: Any) =>
  ours.assign({ ref: () => spawnPersistentInstance(descriptor, options) } as Any);

/** A parent of the usual shape: it makes one child in an assign and invokes another. */
function post({ createMachine, assign, sendTo: xstateSendTo, enqueueActions }: typeof ours): Any {
  return createMachine({
    id: "m",
    context: { owner: "ann" },
    initial: "closed",
    states: {
      closed: { on: { open: "open" } },
      open: {
        entry: [
          assign({
            first: ({ context }: Any) =>
              spawnPersistentInstance({ machineName: "letters" }, {
                context: { owner: context.owner },
                name: "first",
              }),
          } as Any),
          sendTo("second", hello),
          xstateSendTo("second", hello),
          sendTo((context: Any) => context.first, hello, { delay: 200, id: "later" }),
          enqueueActions(({ enqueue }: Any) => {
            enqueue.sendTo("first", hello);
            enqueue(sendTo("first", hello));
          }),
        ],
        invoke: {
          id: "second",
          src: source("second"),
          input: ({ context }: Any) => ({ owner: context.owner }),
          onDone: "closed",
          onError: "failed",
        },
        on: { close: "closed", again: { actions: xstateSendTo("second", hello) } },
      },
      failed: {},
    },
    on: {
      tell: {
        actions: [sendTo("first", hello), xstateSendTo(({ context }: Any) => context.first, hello)],
      },
      tellSecond: { actions: sendTo("second", hello) },
    },
  } as Any);
}

/** A parent from before to after, also over a restart. */
function exercise(xstate: typeof ours) {
  const instance = Instance.create(post(xstate), { owner: "eve" }).step("open");
  const { first } = instance.snapshot.context as Any;
  assert.match(first.machineInstanceName, UUID);
  assert.deepEqual(first, {
    type: "statebacked.instance",
    id: "first",
    ...address(first.machineInstanceName),
  });
  const [one, two] = [address(first.machineInstanceName), address("second")];
  assert.deepEqual(
    instance.timers,
    [
      { spawn: "first", to: one, context: { owner: "eve" } },
      { spawn: "second", to: two, context: { owner: "eve" } },
      { send: "", to: two, event: hello },
      { send: "", to: two, event: hello },
      { send: "later", to: one, event: hello, delay: 200 },
      { send: "", to: one, event: hello },
      { send: "", to: one, event: hello },
    ].sort((a, b) => Number("send" in a) - Number("send" in b)),
  );
  assert.deepEqual(instance.decided.effects, []);
  const children = { first: { kind: "instance", ...one }, second: { kind: "instance", ...two } };
  assert.deepEqual(instance.snapshot.children, children);
  for (const again of [() => instance, () => instance.restart()]) {
    again().step("again");
    assert.deepEqual(instance.timers, [{ send: "", to: two, event: hello }]);
    instance.step("tell");
    assert.equal(instance.timers.length, 2);
    assert.deepEqual(instance.snapshot.children, children);
  }
  instance.step("close");
  assert.deepEqual([instance.timers, instance.decided.effects], [[], []]);
  assert.deepEqual(instance.snapshot.children, { first: children.first });
  assert.throws(() => instance.live.step({ type: "tellSecond" }), /"second"/);
  assert.deepEqual(instance.warnings, []);
}

Deno.test("our copy makes children and sends to them", () => exercise(ours));

for (const version of ["5.19.0", "5.20.2", "5.25.0", "5.33.3"]) {
  Deno.test(`a bundled and minified copy of ${version} does, too`, async () => {
    const code = await bundle(`export * from "npm:xstate@${version}"`, true);
    exercise(await import(`data:text/javascript,${encodeURIComponent(code)}`));
  });
}

Deno.test("an instance may be invoked by name, spawned by an action, and spawned in an assign or a context", () => {
  const { assign, spawnChild, enqueueActions } = ours as Any;
  const op = { spawn: "kid", to: address("x"), context: { a: 1 } };
  const options = { id: "kid", input: { a: 1 } };
  assert.deepEqual(decide(spawnChild(source("x"), options)), [op]);
  assert.deepEqual(decide(spawnChild("kid", options), {}, { actors: { kid: source("x") } }), [op]);
  assert.deepEqual(
    decide(enqueueActions(({ enqueue }: Any) => enqueue.spawnChild(source("x"), options))),
    [op],
  );
  const inAssign = assign({ kid: ({ spawn }: Any) => spawn(source("x"), options) });
  assert.deepEqual(decide(inAssign), [op]);
  const context = ({ spawn }: Any) => ({ kid: spawn(source("x"), options) });
  const instance = Instance.create(
    doing(ours.sendTo(({ context }: Any) => context.kid, hello), { context }),
  );
  assert.deepEqual(instance.timers, [op]);
  for (const again of [() => instance, () => instance.restart()]) {
    again().step("go");
    assert.deepEqual(instance.timers, [{ send: "", to: address("x"), event: hello }]);
  }
  assert.deepEqual(instance.decided.effects, []);
});

Deno.test("input that is no object is no context", () => {
  for (const input of [undefined, null, 5, [1], () => 1]) {
    const [op] = decide(ours.spawnChild(source("x") as Any, { id: "kid", input } as Any));
    assert.deepEqual(op.context, {});
  }
});

Deno.test("spawning an instance beside an actor starts the actor only", () => {
  let starts = 0;
  const logic = ours.fromCallback(() => void starts++);
  const both = ours.assign({
    kid: ({ spawn }: Any) => spawn(source("x"), { id: "kid" }),
    here: ({ spawn }: Any) => spawn(logic, { id: "here" }),
  } as Any);
  const instance = Instance.create(doing(both)).step("go");
  assert.deepEqual(instance.live.children(), [{ id: "here", kind: "callback", due: true }]);
  instance.perform();
  assert.equal(starts, 1);
  instance.live.dispose();
});

Deno.test("a child that runs here goes before an instance of the same id", () => {
  const got: string[] = [];
  const child = ours.fromCallback(({ receive }: Any) => receive((it: Any) => got.push(it.type)));
  const list = [spawning(undefined, { name: "here" }), ours.sendTo("here", hello)];
  const instance = Instance.create(doing(list, { invoke: { id: "here", src: child } })).perform();
  instance.send("go");
  assert.deepEqual(got, ["hello"]);
  assert.equal(instance.timers.length, 1);
  instance.live.dispose();
});

Deno.test("targets may be references and functions; events and delays too", () => {
  const event = ({ name }: Any) => ({ type: "hello", name });
  const sent = { send: "", to, event: hello };
  const named = { ...sent, event: { type: "hello", name: "ann" } };
  const delays = { soon: 5, byName: ({ context }: Any) => context.name.length };
  const { sendTo: xstateSendTo, enqueueActions } = ours as Any;
  for (
    const [action, expected] of [
      [sendTo(ref, hello), sent],
      [sendTo(() => ref, event), named],
      [sendTo(ref, event, { delay: "soon" }), { ...named, delay: 5 }],
      [sendTo(ref, event, { delay: "byName", id: "x" }), { ...named, delay: 3, send: "x" }],
      [sendTo(ref, event, { delay: ({ name }: Any) => name.length * 2 }), { ...named, delay: 6 }],
      [xstateSendTo(ref, hello), sent],
      [xstateSendTo(() => ref, hello, { delay: "soon", id: "y" }), {
        ...sent,
        delay: 5,
        send: "y",
      }],
      [enqueueActions(({ enqueue }: Any) => enqueue(sendTo(ref, hello))), sent],
      [enqueueActions(({ enqueue }: Any) => enqueue.sendTo(ref, hello)), sent],
      ["named", sent],
    ] as [Any, Any][]
  ) {
    assert.deepEqual(decide(action, {}, { delays, actions: { named: sendTo(ref, hello) } }), [
      expected,
    ]);
  }
  assert.throws(() => decide(sendTo(ref, hello, { delay: "never" })), /no delay named "never"/);
});

Deno.test("it sends wherever a definition has actions", () => {
  const tell = (type: string) => sendTo(ref, { type });
  const machine = ours.createMachine({
    id: "m",
    entry: tell("root"),
    initial: "a",
    states: {
      a: {
        initial: "x",
        states: { x: { always: { target: "y", actions: tell("always") } }, y: { type: "final" } },
        onDone: { target: "b", actions: tell("onDone") },
        exit: tell("exit"),
      },
      b: {
        initial: { target: "x", actions: tell("initial") } as Any,
        states: { x: {} },
        after: { 5: { actions: tell("after") } },
      },
    },
  } as Any);
  const types = (instance: Instance) =>
    instance.timers.flatMap((op: Any) => op.event?.type && op.send === "" ? [op.event.type] : []);
  const instance = Instance.create(machine);
  assert.deepEqual(types(instance), ["root", "always", "exit", "onDone", "initial"]);
  assert.deepEqual(types(instance.step("xstate.after.5.m.b")), ["after"]);
});

Deno.test("the same sendTo reaches children that run here, parents, and the machine itself", () => {
  const got: string[] = [];
  const child = ours.fromCallback(({ receive }: Any) => receive((it: Any) => got.push(it.type)));
  const list = [
    sendTo("here", hello),
    sendTo("#_internal", { type: "self" }),
    sendTo("#_parent", hello),
  ];
  const instance = childOf(doing(list, { invoke: { id: "here", src: child } })).perform();
  instance.send("go");
  assert.deepEqual(got, ["hello"]);
  assert.deepEqual(instance.decided.selfSends, [{ type: "self" }]);
  assert.deepEqual(instance.timers, [{ send: "", to: address("home", "homes"), event: hello }]);
  instance.live.dispose();
});

Deno.test("events to the parent are sent, and cancelled by their ids", () => {
  const { sendParent, cancel, sendTo: xstateSendTo } = ours as Any;
  const later = sendParent({ type: "two" }, { delay: 10, id: "t" });
  const byActor = xstateSendTo(({ self }: Any) => self._parent, hello);
  const instance = childOf(doing([sendParent({ type: "one" }), later, cancel("t"), byActor]));
  const expected = [
    { send: "", to: address("home", "homes"), event: { type: "one" } },
    { send: "t", to: address("home", "homes"), event: { type: "two" }, delay: 10 },
    { cancel: "t" },
    { send: "", to: address("home", "homes"), event: hello },
  ];
  for (const again of [() => instance, () => instance.restart()]) {
    again().step("go");
    assert.deepEqual(instance.timers, expected);
    assert.deepEqual(instance.snapshot.parent, parent);
  }
  assert.throws(() => decide(sendParent(hello)), /#_parent/);
});

Deno.test("XState's own messages are for actors in the same process", () => {
  const instance = childOf(doing(ours.sendParent({ type: "xstate.snapshot.m" } as Any))).step("go");
  assert.deepEqual(instance.timers, []);
  assert.match(instance.warnings[0]!, /XState's own/);
});

Deno.test("ends and errors of persistent children are handled like those of others", () => {
  const open = () => Instance.create(post(ours)).step("open");
  const done = open().step({ type: "xstate.done.actor.second", output: 1 });
  assert.equal(done.live.value, "closed");
  const failed = open();
  assert.ok(failed.live.lost("second", "no such machine"));
  assert.equal(failed.live.value, "failed");
  const dropped = open();
  assert.equal(dropped.live.lost("first", "no such machine"), null);
  dropped.text = dropped.live.snapshot().text;
  assert.deepEqual(Object.keys(dropped.snapshot.children!), ["second"]);
});

Deno.test("a step that is given up leaves no child", () => {
  const fail = ours.assign(() => {
    throw new Error("no");
  });
  const named = spawning(undefined, { name: "kid" });
  const spawned = ours.spawnChild(source("y") as Any, { id: "kid2" } as Any);
  const machine = doing([named, spawned], {
    on: { fail: { actions: [named, spawned, fail] }, tell: { actions: sendTo("kid", hello) } },
  });
  const instance = Instance.create(machine);
  assert.throws(() => instance.live.step({ type: "fail" }), /no/);
  instance.live.rollBack();
  instance.live.step({ type: "go" });
  instance.live.rollBack();
  assert.throws(() => instance.live.step({ type: "tell" }), /"kid"/);
  instance.live.rollBack();
  instance.step("other");
  assert.deepEqual(instance.timers, []);
  assert.deepEqual(instance.snapshot.children, undefined);
});

Deno.test("a system id is given back with a step that is given up, and kept over a restart", () => {
  const spawn = ours.spawnChild(source("y") as Any, { id: "kid", systemId: "kid" } as Any);
  const tell = ours.sendTo((({ system }: Any) => system.get("kid")) as Any, hello);
  const instance = Instance.create(doing(spawn, { on: { tell: { actions: tell } } }));
  instance.live.step({ type: "go" });
  instance.live.rollBack();
  instance.step("go").restart().step("tell");
  assert.deepEqual(instance.timers, [{ send: "", to: address("y"), event: hello }]);
});

Deno.test("sending from an action is too late, and said so", () => {
  const act = ({ system }: Any) => system.get("kid").send(hello);
  const spawn = ours.spawnChild(source("y") as Any, { id: "kid", systemId: "kid" } as Any);
  const instance = Instance.create(doing([spawn, act])).send("go");
  assert.match(instance.warnings[0]!, /only with sendTo/);
});

Deno.test("sending in an assign is part of the step", () => {
  const spawn = ours.assign({ kid: ({ spawn }: Any) => spawn(source("y"), { id: "kid" }) } as Any);
  const tell = ours.assign(({ context }: Any) => context.kid.send(hello));
  const [, sent] = decide([spawn, tell]);
  assert.deepEqual(sent, { send: "", to: address("y"), event: hello });
});

Deno.test("a child machine cannot have persistent children", () => {
  const inner = ours.createMachine({
    invoke: {
      id: "deep",
      src: source("y") as Any,
      onError: {
        actions: ours.sendParent(({ event }: Any) => ({
          type: "failed",
          why: event.error.message,
        })),
      },
    },
  });
  const instance = Instance.create(doing([], { invoke: { id: "inner", src: inner } })).perform();
  assert.deepEqual(instance.timers, []);
  assert.match((instance.heard[0]!.event as Any).why, /Only the machine of an instance/);
});

Deno.test("a finished machine leaves its output", () => {
  const machine = ours.createMachine({
    id: "m",
    initial: "a",
    states: { a: { on: { go: "b" } }, b: { type: "final", entry: sendTo(ref, hello) as Any } },
    output: { result: 1 },
  });
  const instance = Instance.create(machine).step("go");
  assert.deepEqual(instance.timers, [{ send: "", to, event: hello }]);
  assert.deepEqual(instance.live.output, { result: 1 });
});

Deno.test("spawning is possible within assign only", () => {
  assert.throws(() => spawnPersistentInstance(address("x")), /only within assign/);
  const instance = Instance.create(doing(() => spawnPersistentInstance(address("x")))).step("go");
  assert.throws(() => instance.perform(), /only within assign/);
});

Deno.test("names are checked", () => {
  const bad = address("x", "a b");
  assert.throws(() => decide(spawning(bad)), /no name of a machine/);
  assert.throws(() => decide(spawning(address("."))), /no name of an instance/);
  const invalid = { type: "statebacked.invoke", ...bad };
  assert.throws(() => decide(ours.spawnChild(invalid as Any)), /no name of a machine/);
  assert.throws(() => decide(sendTo({ ...ref, ...bad }, hello)), /no name of a machine/);
  const invoking = ours.createMachine({ invoke: { src: invalid as Any } });
  assert.throws(() => new Instance(invoking), /invokes an instance.*no name of a machine/);
});

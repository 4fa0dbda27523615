/** Persistent children and messages to other instances, as the server sees them, with the real @statebacked/machine. */

import assert from "node:assert/strict";
import { bundle } from "../support/bundle.ts";
import type { Frame } from "../support/host_process.ts";
import { HostProcess, module } from "../support/host_process.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const BOSS = { machineName: "boss", machineInstanceName: "b1", id: "kid" };
const TO_BOSS = { machineName: "boss", machineInstanceName: "b1" };
const ROOM = { machineName: "room", machineInstanceName: "r|1" };

const open = `export const allowRead = () => true; export const allowWrite = () => true;`;

/** A house that makes rooms, in XState 4. */
const house4 = (xstate: string, predictable: boolean) => `
import { createMachine, assign, sendTo, send, sendParent, actions } from "${xstate}";
import { spawnPersistentInstance, persistentInvocableSource, sendTo as tell } from "npm:@statebacked/machine@0.6.0";
${open}
const other = { type: "statebacked.instance", id: "other", machineName: "room", machineInstanceName: "r|1" };
export default createMachine({
  ${predictable ? "predictableActionArguments: true," : ""}
  id: "house",
  context: { n: 7 },
  initial: "empty",
  states: {
    empty: { on: { BUILD: "built" } },
    built: {
      entry: [
        assign({ first: (c) => spawnPersistentInstance({ machineName: "room" }, { context: { n: c.n } }) }),
        assign({ second: () => spawnPersistentInstance({ machineName: "room", machineInstanceName: "two", machineVersionId: "ver_1" }, { name: "second" }) }),
        sendTo("kitchen", { type: "LIGHT" }),
        tell((c) => c.first, { type: "HI" }, { delay: 200, id: "hi" }),
        tell("second", (c, e) => ({ type: "BY", by: e.type })),
      ],
      invoke: { id: "kitchen", src: persistentInvocableSource({ machineName: "kitchen" }), data: { n: (c) => c.n, e: (_, e) => e.type, fixed: 1 } },
      on: {
        LEAVE: "left",
        NO: { actions: [assign({ third: () => spawnPersistentInstance({ machineName: "room" }, { name: "third" }) }), assign(() => { throw new Error("no"); })] },
        "done.invoke.kitchen": { actions: assign({ out: (_, e) => e.data }) },
        "error.platform.second": { actions: assign({ why: (_, e) => e.data.message }) },
      },
    },
    left: {},
    over: { type: "final", entry: [tell(other, { type: "BYE" }), tell(other, { type: "LATER" }, { delay: 5 })], data: (c) => ({ n: c.n }) },
  },
  on: {
    TELL: { actions: tell(other, (_, e) => ({ type: "TOLD", n: e.n }), { delay: (_, e) => e.delay, id: "t" }) },
    UNTELL: { actions: actions.cancel("t") },
    PURE: { actions: actions.pure(() => [tell(other, { type: "A" }), actions.choose([{ cond: () => true, actions: tell(other, { type: "B" }) }])]) },
    KITCHEN: { actions: send("LIGHT", { to: "kitchen" }) },
    SECOND: { actions: send("LIGHT", { to: "second" }) },
    UP: { actions: sendParent({ type: "SIR" }) },
    BAD: { actions: tell({ ...other, machineName: "no/name" }, "X") },
    END: "over",
  },
});`;

/** The same in XState 5. */
const house5 = (xstate: string) => `
import { createMachine, assign, sendTo, sendParent, raise, cancel, spawnChild, stopChild, enqueueActions } from "${xstate}";
import { spawnPersistentInstance, persistentInvocableSource, sendTo as tell } from "npm:@statebacked/machine@0.6.0";
${open}
const other = { type: "statebacked.instance", id: "other", machineName: "room", machineInstanceName: "r|1" };
const room = persistentInvocableSource({ machineName: "room" });
export default createMachine({
  id: "house",
  context: { n: 7 },
  initial: "empty",
  output: ({ context }) => ({ n: context.n }),
  states: {
    empty: { on: { BUILD: "built" } },
    built: {
      entry: [
        assign({ first: ({ context }) => spawnPersistentInstance({ machineName: "room" }, { context: { n: context.n } }) }),
        assign({ second: () => spawnPersistentInstance({ machineName: "room", machineInstanceName: "two", machineVersionId: "ver_1" }, { name: "second" }) }),
        sendTo("kitchen", { type: "LIGHT" }),
        sendTo(({ context }) => context.first, { type: "HI" }, { delay: 200, id: "hi" }),
        tell("second", (c, e) => ({ type: "BY", by: e.type })),
      ],
      invoke: { id: "kitchen", src: persistentInvocableSource({ machineName: "kitchen" }), input: ({ context, event }) => ({ n: context.n, e: event.type, fixed: 1 }) },
      on: {
        LEAVE: "left",
        NO: { actions: [assign({ third: () => spawnPersistentInstance({ machineName: "room" }, { name: "third" }) }), assign(() => { throw new Error("no"); })] },
        "xstate.done.actor.kitchen": { actions: assign({ out: ({ event }) => event.output }) },
        "xstate.error.actor.second": { actions: assign({ why: ({ event }) => event.error.message }) },
      },
    },
    left: {},
    over: { type: "final", entry: [tell(other, { type: "BYE" }), sendTo(other, { type: "LATER" }, { delay: 5 })] },
  },
  on: {
    TELL: { actions: tell(other, (_, e) => ({ type: "TOLD", n: e.n }), { delay: (_, e) => e.delay, id: "t" }) },
    UNTELL: { actions: cancel("t") },
    PURE: { actions: enqueueActions(({ enqueue }) => { enqueue.sendTo(other, { type: "A" }); enqueue.sendTo(other, { type: "B" }); }) },
    KITCHEN: { actions: sendTo("kitchen", { type: "LIGHT" }) },
    SECOND: { actions: sendTo("second", { type: "LIGHT" }) },
    UP: { actions: sendParent({ type: "SIR" }) },
    BAD: { actions: tell({ ...other, machineName: "no/name" }, "X") },
    SPAWN: { actions: [spawnChild(room, { id: "cellar", input: { deep: true } }), sendTo("cellar", { type: "LIGHT" })] },
    ATTIC: { actions: assign({ attic: ({ spawn }) => spawn(room, { id: "attic" }) }) },
    LIGHT_ATTIC: { actions: sendTo(({ context }) => context.attic, { type: "LIGHT" }) },
    OUTSIDE: { actions: ({ context }) => context.attic.send({ type: "LIGHT" }) },
    STOP: { actions: stopChild("cellar") },
    QUEUED: { actions: enqueueActions(({ enqueue }) => enqueue(tell(other, { type: "A" }))) },
    END: ".over",
  },
});`;

interface Copy {
  major: 4 | 5;
  code: Promise<string>;
}

const copies: Record<string, Copy> = {
  "XState 4": { major: 4, code: bundle(house4("npm:xstate@4.38.3", true)) },
  "XState 4, not predictable": { major: 4, code: bundle(house4("npm:xstate@4.38.3", false), true) },
  "XState 5": { major: 5, code: bundle(house5("npm:xstate@5.33.3"), true) },
};

/** What a step sent, without the timers of the machine itself. */
const messages = (result: Frame): Frame[] => result.timers ?? [];

for (const [name, { major, code }] of Object.entries(copies)) {
  const test = (what: string, run: (host: HostProcess) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using host = await HostProcess.start(await code, { xstate: major });
      await run(host);
    });

  test("children are made before what is sent to them", async (host) => {
    await host.create(1);
    const built = await host.one(1, 1, "BUILD");
    const { context, children } = built.steps[0].snapshot;
    const { first } = context;
    assert.equal(first.type, "statebacked.instance");
    assert.match(first.id, UUID);
    const { kitchen } = children;
    assert.match(kitchen.machineInstanceName, UUID);
    const toFirst = { machineName: "room", machineInstanceName: first.machineInstanceName };
    const toSecond = { machineName: "room", machineInstanceName: "two" };
    const toKitchen = { machineName: "kitchen", machineInstanceName: kitchen.machineInstanceName };
    const ops = messages(built);
    const by = (key: string) => ops.filter((op) => key in op);
    assert.deepEqual(
      by("spawn").toSorted((a, b) => a.to.machineName < b.to.machineName ? -1 : 1),
      [
        { spawn: "kitchen", to: toKitchen, context: { n: 7, e: "BUILD", fixed: 1 } },
        { spawn: first.id, to: toFirst, context: { n: 7 } },
        { spawn: "second", to: toSecond, version: "ver_1", context: {} },
      ],
    );
    assert.deepEqual(by("send"), [
      { send: "", to: toKitchen, event: { type: "LIGHT" } },
      { send: "hi", to: toFirst, event: { type: "HI" }, delay: 200 },
      { send: "", to: toSecond, event: { type: "BY", by: "BUILD" } },
    ]);
    assert.ok(ops.slice(0, 3).every((op) => "spawn" in op));
    assert.deepEqual(children, {
      second: { kind: "instance", ...toSecond },
      kitchen: { kind: "instance", ...toKitchen },
    });
    assert.deepEqual([built.due, built.live], [undefined, undefined]);
  });

  test("a child is found by its id in another host", async (host) => {
    await host.create(1);
    const built = await host.one(1, 1, "BUILD");
    const { snapshot } = built.steps[0];
    await using next = await HostProcess.start(await code, { xstate: major });
    const lit = await next.one(9, 2, "KITCHEN", { snapshot });
    const { kind: _, ...kitchen } = snapshot.children.kitchen;
    assert.deepEqual(messages(lit), [{ send: "", to: kitchen, event: { type: "LIGHT" } }]);
    assert.deepEqual(lit.steps[0].snapshot.children, snapshot.children);
    const two = await next.one(9, 3, "SECOND");
    assert.equal(messages(two)[0].to.machineInstanceName, "two");
    assert.deepEqual([two.due, two.live, two.effects], [undefined, undefined, undefined]);
  });

  test("each instance has an invoked child of its own, and leaves it with its state", async (host) => {
    await host.create(1);
    await host.create(2);
    const [one, two] = [await host.one(1, 1, "BUILD"), await host.one(2, 1, "BUILD")];
    const nameOf = (built: Frame) => built.steps[0].snapshot.children.kitchen.machineInstanceName;
    assert.notEqual(nameOf(one), nameOf(two));
    await host.perform(1, 2);
    const left = await host.one(1, 2, "LEAVE");
    assert.deepEqual(Object.keys(left.steps[0].snapshot.children), ["second"]);
    assert.deepEqual(messages(left), []);
  });

  test("a step that fails or is refused has made nobody", async (host) => {
    await host.create(1);
    await host.one(1, 1, "BUILD");
    await host.perform(1, 2);
    const [failed, lit] = await host.step(1, 2, ["NO", "KITCHEN"]);
    assert.equal(failed.error.message, "no");
    assert.equal(lit.steps[0].snapshot.children.third, undefined);
    assert.equal(messages(lit).length, 1);
  });

  test("delays, cancelling, and instances that are no children", async (host) => {
    await host.create(1);
    const told = await host.one(1, 1, { type: "TELL", n: 1, delay: 30 });
    const event = { type: "TOLD", n: 1 };
    assert.deepEqual(messages(told), [{ send: "t", to: ROOM, event, delay: 30 }]);
    const untold = await host.one(1, 2, "UNTELL");
    assert.deepEqual(messages(untold), [{ cancel: "t" }]);
    const pure = await host.one(1, 3, "PURE");
    assert.deepEqual(messages(pure).map((op) => op.event.type), ["A", "B"]);
    const [bad] = await host.step(1, 4, ["BAD"]);
    assert.equal(bad.error.message, 'No machine can have the name "no/name"');
  });

  test("the parent gets what is sent to it, and the done event with the output", async (host) => {
    await host.create(1, {}, { parent: BOSS });
    const sir = await host.one(1, 1, "UP");
    assert.deepEqual(messages(sir), [{ send: "", to: TO_BOSS, event: { type: "SIR" } }]);
    const { snapshot } = sir.steps[0];
    assert.deepEqual(snapshot.parent, BOSS);
    await using next = await HostProcess.start(await code, { xstate: major });
    const over = await next.one(9, 2, "END", { snapshot });
    assert.deepEqual(over.steps[0].snapshot.parent, BOSS);
    const sent = messages(over).filter((op) => !op.delay);
    assert.deepEqual(sent, [
      { send: "", to: ROOM, event: { type: "BYE" } },
      { done: "kid", to: TO_BOSS, output: { n: 7 } },
    ]);
  });

  test("the done event and the loss of a child reach their transitions", async (host) => {
    await host.create(1);
    const built = await host.one(1, 1, "BUILD");
    await host.perform(1, 2);
    const { kitchen } = built.steps[0].snapshot.children;
    const at = { machineName: "kitchen", machineInstanceName: kitchen.machineInstanceName };
    const former = { machineName: "kitchen", machineInstanceName: "former" };
    const done = major === 4
      ? { type: "done.invoke.kitchen", data: { good: 1 } }
      : { type: "xstate.done.actor.kitchen", output: { good: 1 }, actorId: "kitchen" };
    const [refused] = await host.step(1, 2, [{ event: done, auth: {} }]);
    assert.equal(refused.error.code, "reserved-event");
    const ofFormer = { event: done, auth: {}, done: { id: "kitchen", at: former } };
    const unheard = await host.one(1, 2, ofFormer);
    assert.equal(unheard.steps[0].silent, true);
    assert.equal(unheard.steps[0].snapshot.context.out, undefined);
    const lostFormer = { lost: "second", why: "no", at: former };
    assert.equal((await host.one(1, 3, lostFormer)).steps[0].silent, true);
    const heard = await host.one(1, 4, { event: done, auth: {}, done: { id: "kitchen", at } });
    assert.deepEqual(heard.steps[0].snapshot.context.out, { good: 1 });
    const lost = await host.one(1, 5, { lost: "second", why: "it could not be made" });
    assert.equal(lost.steps[0].snapshot.context.why, "it could not be made");
    const dropped = await host.one(1, 6, { lost: "kitchen", why: "it could not be made" });
    assert.equal(dropped.steps[0].silent, true);
  });
}

Deno.test("XState 5 spawns persistent children in its own ways", async () => {
  await using host = await HostProcess.start(await copies["XState 5"]!.code);
  await host.create(1);
  const spawned = await host.one(1, 1, "SPAWN");
  const { cellar } = spawned.steps[0].snapshot.children;
  assert.match(cellar.machineInstanceName, UUID);
  const to = { machineName: "room", machineInstanceName: cellar.machineInstanceName };
  assert.deepEqual(messages(spawned), [
    { spawn: "cellar", to, context: { deep: true } },
    { send: "", to, event: { type: "LIGHT" } },
  ]);
  assert.equal(spawned.effects, undefined);
  const attic = await host.one(1, 2, "ATTIC");
  assert.deepEqual(attic.steps[0].snapshot.context.attic, { xstate$$type: 1, id: "attic" });
  assert.equal(messages(attic)[0].spawn, "attic");
  await host.perform(1, 3);
  assert.deepEqual(await host.logs(1), "");
  const lit = await host.one(1, 3, "LIGHT_ATTIC");
  const atticAddress = attic.steps[0].snapshot.children.attic.machineInstanceName;
  assert.equal(messages(lit)[0].to.machineInstanceName, atticAddress);
  await host.one(1, 4, "OUTSIDE");
  await host.perform(1, 5);
  assert.match(await host.logs(1), /"LIGHT" was not sent to the instance "attic"/);
  const stopped = await host.one(1, 5, "STOP");
  assert.deepEqual(Object.keys(stopped.steps[0].snapshot.children), ["attic"]);
  const queued = await host.one(1, 6, "QUEUED");
  assert.deepEqual(messages(queued), []);
  assert.match(await host.logs(1), /use the sendTo of xstate/);
});

Deno.test("spawnPersistentInstance works while a step is decided, and nowhere else", async () => {
  await using host = await HostProcess.start(module(`
    const spawn = (name) => globalThis.__statebacked_rt.spawn({ machineName: name });
    const machine = createMachine({ context: {}, on: {
      late: { actions: () => spawn("room") },
      bad: { actions: assign({ a: () => spawn("no/name") }) },
      good: { actions: assign({ a: () => spawn("room") }) },
    } });
    export const allowWrite = () => { spawn("nobody"); return true; };
  `));
  await host.create(1);
  const [bad, good] = await host.step(1, 1, ["bad", "good"]);
  assert.equal(bad.error.message, 'No machine can have the name "no/name"');
  assert.equal(messages(good).length, 1);
  assert.equal(messages(good)[0].to.machineName, "room");
  await host.one(1, 2, "late");
  await host.perform(1, 3);
  assert.match(await host.logs(1), /can only be called within an assign action/);
});

Deno.test("events cannot be forwarded to a persistent child", async () => {
  await using host = await HostProcess.startEmpty({ xstate: 4 });
  const { error } = await host.load(module(`
    const src = { type: "statebacked.invoke", machineName: "room", machineInstanceName: "r" };
    const machine = createMachine({ id: "m", invoke: { src, autoForward: true } });
  `));
  assert.match(error.message, /forwards all events to a persistent instance/);
});

/** Persistent children in the less usual ways of XState. */

import assert from "node:assert/strict";
import { bundle } from "../support/bundle.ts";
import type { Frame } from "../support/host_process.ts";
import { HostProcess } from "../support/host_process.ts";

const open = `export const allowRead = () => true; export const allowWrite = () => true;`;

const FIVE = `
import { createMachine, assign, sendTo, sendParent, spawnChild, stopChild } from "npm:xstate@5.33.3";
import { spawnPersistentInstance, persistentInvocableSource, sendTo as tell } from "npm:@statebacked/machine@0.6.0";
${open}
const room = persistentInvocableSource({ machineName: "room" });
`;
const FOUR = `
import { createMachine, assign, sendTo, sendParent, spawn, actions, send } from "npm:xstate@4.38.3";
import { spawnPersistentInstance, persistentInvocableSource, sendTo as tell } from "npm:@statebacked/machine@0.6.0";
${open}
const room = persistentInvocableSource({ machineName: "room" });
`;

const spawns = (result: Frame) => (result.timers ?? []).filter((op: Frame) => "spawn" in op);
const sends = (result: Frame) => (result.timers ?? []).filter((op: Frame) => "send" in op);

Deno.test("a persistent child is found by its systemId, which is free again when it is left", async () => {
  const code = await bundle(`${FIVE}
    export default createMachine({ initial: "out", context: {}, states: {
      out: { on: { IN: "in" } },
      in: {
        invoke: { id: "r", src: room, systemId: "the room" },
        entry: [
          spawnChild(room, { id: "s", systemId: "another" }),
          sendTo(({ system }) => system.get("another"), { type: "HI" }),
        ],
        exit: stopChild("s"),
        on: { OUT: "out", AGAIN: { target: "in", reenter: true } },
      },
    }, on: { LIGHT: { actions: sendTo(({ system }) => system.get("the room"), { type: "ON" }) } } });`);
  await using host = await HostProcess.start(code);
  await host.create(1);
  const entered = await host.one(1, 1, "IN");
  const { r } = entered.steps[0].snapshot.children;
  assert.equal(r.systemId, "the room");
  const { s } = entered.steps[0].snapshot.children;
  assert.equal(sends(entered)[0].to.machineInstanceName, s.machineInstanceName);
  const nameOf = (result: Frame) => result.steps[0].snapshot.children.r.machineInstanceName;
  const lit = await host.one(1, 2, "LIGHT");
  assert.equal(sends(lit)[0].to.machineInstanceName, nameOf(entered));
  const again = await host.one(1, 3, "AGAIN");
  assert.equal(spawns(again).length, 2);
  assert.notEqual(nameOf(again), nameOf(entered));
  await host.one(1, 4, "OUT");
  const back = await host.one(1, 5, "IN");
  assert.equal(spawns(back).length, 2);
  await using next = await HostProcess.start(code);
  const { snapshot } = back.steps[0];
  const litLater = await next.one(9, 6, "LIGHT", { snapshot });
  assert.equal(sends(litLater)[0].to.machineInstanceName, nameOf(back));
  await next.one(9, 7, "OUT");
  assert.equal(spawns(await next.one(9, 8, "IN")).length, 2);
});

Deno.test("XState 5: a context factory and the initial state make and tell children", async () => {
  const code = await bundle(`${FIVE}
    export default createMachine({
      context: ({ spawn, input }) => ({ one: spawn(room, { id: "one", input: { n: input?.n } }), two: spawnPersistentInstance({ machineName: "room" }, { name: "two" }) }),
      entry: [sendTo("one", { type: "A" }), tell("two", { type: "B" }), sendTo("three", { type: "C" })],
      invoke: [{ id: "three", src: room }, { id: "four", src: room }],
    });`);
  await using host = await HostProcess.start(code);
  const created = await host.create(1, { n: 5 });
  assert.deepEqual(spawns(created).map((op: Frame) => op.spawn).sort(), [
    "four",
    "one",
    "three",
    "two",
  ]);
  assert.deepEqual(spawns(created).find((op: Frame) => op.spawn === "one").context, { n: 5 });
  const { children } = created.steps[0].snapshot;
  const to = Object.fromEntries(
    sends(created).map((op: Frame) => [op.event.type, op.to.machineInstanceName]),
  );
  assert.deepEqual(to, {
    A: children.one.machineInstanceName,
    B: children.two.machineInstanceName,
    C: children.three.machineInstanceName,
  });
  const names = Object.values(children).map((child) => (child as Frame).machineInstanceName);
  assert.equal(new Set(names).size, 4);
});

Deno.test("XState 4: a lazy context and the initial state make and tell children", async () => {
  const code = await bundle(`${FOUR}
    export default createMachine({
      predictableActionArguments: true,
      context: { n: 1 },
      entry: [assign({ two: () => spawnPersistentInstance({ machineName: "room" }, { name: "two" }) }), tell("two", { type: "B" }), sendTo("three", { type: "C" })],
      invoke: [{ id: "three", src: room }, { id: "four", src: room }],
    });`);
  await using host = await HostProcess.start(code, { xstate: 4 });
  const created = await host.create(1, { n: 5 });
  assert.deepEqual(spawns(created).map((op: Frame) => op.spawn).sort(), ["four", "three", "two"]);
  const { children } = created.steps[0].snapshot;
  const to = Object.fromEntries(
    sends(created).map((op: Frame) => [op.event.type, op.to.machineInstanceName]),
  );
  assert.deepEqual(to, {
    B: children.two.machineInstanceName,
    C: children.three.machineInstanceName,
  });
});

Deno.test("XState 4: a source of persistent children may be given by its name", async () => {
  const code = await bundle(`${FOUR}
    export default createMachine({
      predictableActionArguments: true,
      context: { n: 1 },
      entry: sendTo("r", { type: "A" }),
      invoke: { id: "r", src: "room", data: { n: (c) => c.n } },
    }, { services: { room } });`);
  await using host = await HostProcess.start(code, { xstate: 4 });
  const created = await host.create(1);
  const { r } = created.steps[0].snapshot.children;
  const to = { machineName: "room", machineInstanceName: r.machineInstanceName };
  assert.deepEqual(created.timers, [
    { spawn: "r", to, context: { n: 1 } },
    { send: "A", to, event: { type: "A" } },
  ]);
  assert.deepEqual([created.due, created.effects], [undefined, undefined]);
});

const NESTED = {
  5: `${FIVE}
    const other = { type: "statebacked.instance", id: "o", machineName: "room", machineInstanceName: "r" };
    const child = createMachine({ context: {}, on: {
      SPAWN: { actions: assign({ a: () => spawnPersistentInstance({ machineName: "room" }) }) },
      SEND: { actions: sendTo(other, { type: "X" }) },
      UP: { actions: sendParent({ type: "UP" }) },
    } });
    export default createMachine({ context: {}, invoke: { id: "c", src: child }, on: {
      "*": { actions: sendTo("c", ({ event }) => ({ type: event.type.slice(2) })) },
      UP: { actions: sendTo(other, { type: "UP" }) },
    } });`,
  4: `${FOUR}
    const other = { type: "statebacked.instance", id: "o", machineName: "room", machineInstanceName: "r" };
    const child = createMachine({ predictableActionArguments: true, context: {}, on: {
      SPAWN: { actions: assign({ a: () => spawnPersistentInstance({ machineName: "room" }) }) },
      SEND: { actions: sendTo(other, { type: "X" }) },
      UP: { actions: sendParent({ type: "UP" }) },
    } });
    export default createMachine({ predictableActionArguments: true, context: {}, invoke: { id: "c", src: child }, on: {
      "*": { actions: sendTo("c", (_, event) => ({ type: event.type.slice(2) })) },
      UP: { actions: sendTo(other, { type: "UP" }) },
    } });`,
};

for (const major of [4, 5] as const) {
  Deno.test(`XState ${major}: what a machine within an instance cannot do is said`, async () => {
    const told: Record<string, RegExp> = {
      SPAWN: /of the instance's own machine: those that run within it cannot make instances/,
      SEND: major === 5 ? /possible only with sendTo or sendParent/ : /Unable to send event/,
    };
    for (const [event, words] of Object.entries(told)) {
      await using host = await HostProcess.start(await bundle(NESTED[major]), { xstate: major });
      await host.create(1);
      await host.perform(1, 1);
      await host.one(1, 1, `a.${event}`);
      await host.perform(1, 2);
      await host.logs(1);
      assert.match(JSON.stringify(host.reports), words);
    }
  });

  Deno.test(`XState ${major}: a machine within an instance sends by its parent`, async () => {
    await using host = await HostProcess.start(await bundle(NESTED[major]), { xstate: major });
    await host.create(1);
    await host.perform(1, 1);
    await host.one(1, 1, "a.UP");
    await host.perform(1, 2);
    const { h, event } = await host.event("UP");
    const passed = await host.one(1, 2, { event, h });
    assert.equal(sends(passed)[0].to.machineInstanceName, "r");
  });
}

Deno.test("XState 4 knows what XState 5 left as a reference to a persistent child", async () => {
  const code = await bundle(`${FOUR}
    export default createMachine({ predictableActionArguments: true, context: {}, on: {
      LIGHT: { actions: sendTo((c) => c.room, { type: "ON" }) },
      TELL: { actions: tell((c) => c.room, { type: "ON" }) },
    } });`);
  await using host = await HostProcess.start(code, { xstate: 4 });
  const snapshot = {
    value: {},
    context: { room: { xstate$$type: 1, id: "r" } },
    children: { r: { kind: "instance", machineName: "room", machineInstanceName: "r1" } },
  };
  const lit = await host.one(1, 5, "LIGHT", { snapshot });
  assert.equal(sends(lit)[0]?.to.machineInstanceName, "r1");
  const told = await host.one(1, 6, "TELL");
  assert.equal(sends(told)[0]?.to.machineInstanceName, "r1");
  assert.deepEqual(told.steps[0].snapshot.context, snapshot.context);
});

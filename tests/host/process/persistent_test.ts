/**
 * Persistent children as the server sees them, of machines written for the published @statebacked/machine: bundled with it and with XState, or
 * with our copies of XState.
 */

import assert from "node:assert/strict";
import { bundle } from "../support/bundle.ts";
import { type Frame, HostProcess, type Options } from "../support/host_process.ts";

const LIBRARY = "npm:@statebacked/machine@0.6.0";
const allow = "export const allowRead = () => true, allowWrite = () => true;";

/** A team that hires one member in an assign and one by invoking it, and hears from them. */
const team4 = `
import { createMachine, assign, sendTo, actions } from "XSTATE";
import { spawnPersistentInstance, persistentInvocableSource, sendTo as sendToInstance } from "LIBRARY";
const { pure, choose, cancel } = actions;
const task = { type: "task" };
const byRef = (c) => c.first;
export default createMachine({
  id: "team", predictableActionArguments: true, context: { reports: 0 }, initial: "off",
  states: {
    off: { on: { start: "on" } },
    on: {
      entry: [
        assign({ first: (c) => spawnPersistentInstance({ machineName: "member" }, { name: "first", context: { lead: c.lead } }) }),
        sendTo("second", task),
        sendToInstance(byRef, task, { delay: 200, id: "later" }),
      ],
      invoke: { id: "second", src: persistentInvocableSource({ machineName: "member" }), data: (c) => ({ lead: c.lead }), onDone: { target: "over", actions: assign({ result: (c, e) => e.data }) } },
      on: {
        report: { actions: assign({ reports: (c) => c.reports + 1 }) },
        remind: { actions: choose([{ cond: (c, e) => e.type === "remind", actions: pure(() => [sendToInstance("first", task), sendToInstance("second", task)]) }]) },
        never: { actions: cancel("later") },
        fail: { actions: [assign({ extra: () => spawnPersistentInstance({ machineName: "member" }, { name: "extra" }) }), assign(() => { throw new Error("no"); })] },
        grow: { actions: assign({ extra: () => spawnPersistentInstance({ machineName: "member" }, { name: "extra" }), text: () => "x".repeat(500_000) }) },
        stop: "off",
      },
    },
    over: { type: "final", data: (c) => c.result },
  },
});
${allow}`;

const team5 = `
import { createMachine, assign, sendTo, cancel, enqueueActions } from "XSTATE";
import { spawnPersistentInstance, persistentInvocableSource, sendTo as sendToInstance } from "LIBRARY";
const task = { type: "task" };
export default createMachine({
  id: "team", context: { reports: 0 }, initial: "off",
  states: {
    off: { on: { start: "on" } },
    on: {
      entry: [
        assign({ first: ({ context }) => spawnPersistentInstance({ machineName: "member" }, { name: "first", context: { lead: context.lead } }) }),
        sendTo("second", task),
        sendToInstance((c) => c.first, task, { delay: 200, id: "later" }),
      ],
      invoke: { id: "second", src: persistentInvocableSource({ machineName: "member" }), input: ({ context }) => ({ lead: context.lead }), onDone: { target: "over", actions: assign({ result: ({ event }) => event.output }) } },
      on: {
        report: { actions: assign({ reports: ({ context }) => context.reports + 1 }) },
        remind: { actions: enqueueActions(({ enqueue }) => { enqueue(sendToInstance("first", task)); enqueue.sendTo("second", task); }) },
        never: { actions: cancel("later") },
        fail: { actions: [assign({ extra: () => spawnPersistentInstance({ machineName: "member" }, { name: "extra" }) }), assign(() => { throw new Error("no"); })] },
        grow: { actions: assign({ extra: () => spawnPersistentInstance({ machineName: "member" }, { name: "extra" }), text: () => "x".repeat(500_000) }) },
        stop: "off",
      },
    },
    over: { type: "final" },
  },
  output: ({ context }) => context.result,
});
${allow}`;

interface Way {
  name: string;
  major: 4 | 5;
  start(source: string): Promise<HostProcess>;
}

const bundled = (major: 4 | 5, version: string): Way => ({
  name: `bundled with XState ${version}`,
  major,
  async start(source) {
    const imports = source.replaceAll("XSTATE", `npm:xstate@${version}`).replaceAll(
      "LIBRARY",
      LIBRARY,
    );
    return await HostProcess.start(await bundle(imports, true));
  },
});

const onOurs = (major: 4 | 5): Way => ({
  name: `on our XState ${major}`,
  major,
  async start(source) {
    const library = await bundle(`export * from "${LIBRARY}"`);
    const imports = { LIBRARY: `data:text/javascript,${encodeURIComponent(library)}` };
    const options: Options = { xstate: major, imports };
    return await HostProcess.start(source.replaceAll("XSTATE", "xstate"), options);
  },
});

const ways = [onOurs(4), bundled(4, "4.38.3"), onOurs(5), bundled(5, "5.33.3")];
const teamOf = ({ major }: Way) => major === 4 ? team4 : team5;
const doneEvent = ({ major }: Way, id: string, output: unknown) =>
  major === 4
    ? { type: `done.invoke.${id}`, data: output }
    : { type: `xstate.done.actor.${id}`, output, actorId: id };
const task = { type: "task" };

for (const way of ways) {
  Deno.test(`a parent works over the death of its host, ${way.name}`, async () => {
    await using host = await way.start(teamOf(way));
    await host.create(1, { lead: "ann" });
    const started = await host.one(1, 1, "start");
    const [firstTo, secondTo] = ["first", "second"].map((id) =>
      started.timers.find(({ spawn }: Frame) => spawn === id).to
    );
    const context = { lead: "ann" };
    const isSpawn = ({ spawn }: Frame) => spawn !== undefined;
    assert.deepEqual(
      [...started.timers.filter(isSpawn)].sort((a, b) => a.spawn < b.spawn ? -1 : 1),
      [{ spawn: "first", to: firstTo, context }, { spawn: "second", to: secondTo, context }],
    );
    assert.ok(isSpawn(started.timers[0]) && isSpawn(started.timers[1]));
    const sends = started.timers.slice(2).map(({ send: _, ...op }: Frame) => op);
    assert.deepEqual(sends, [
      { to: secondTo, event: task },
      { to: firstTo, event: task, delay: 200 },
    ]);
    assert.deepEqual([started.effects, started.due, started.live], [
      undefined,
      undefined,
      undefined,
    ]);
    const { snapshot } = started.steps[0];
    assert.deepEqual(snapshot.children, {
      first: { kind: "instance", ...firstTo },
      second: { kind: "instance", ...secondTo },
    });

    await using next = await way.start(teamOf(way));
    const reminded = await next.one(1, 2, "remind", { snapshot });
    assert.deepEqual(reminded.timers.map(({ to }: Frame) => to), [firstTo, secondTo]);
    assert.deepEqual((await next.one(1, 3, "never")).timers, [{ cancel: "later" }]);
    const from = { event: doneEvent(way, "second", { ok: 1 }), auth: {} };
    const [refused, done] = await next.step(1, 4, [from, { ...from, done: true }]);
    assert.equal(refused.error.code, "reserved-event");
    assert.equal(done.steps[0].view.done, true);
    assert.deepEqual(done.steps[0].snapshot.output, { ok: 1 });
    assert.equal(done.timers, undefined);
  });

  Deno.test(`a step that fails leaves no child, ${way.name}`, async () => {
    await using host = await way.start(teamOf(way));
    await host.create(1);
    const started = await host.one(1, 1, "start");
    const [failed, grown, reported] = await host.step(1, 2, ["fail", "grow", "report"]);
    assert.equal(failed.error.code, "machine-error");
    assert.equal(grown.error.code, "context-too-large");
    assert.equal(reported.timers, undefined);
    assert.deepEqual(reported.steps[0].snapshot.children, started.steps[0].snapshot.children);
  });

  Deno.test(`a random name is another one for every invocation, ${way.name}`, async () => {
    await using host = await way.start(teamOf(way));
    const names = new Set<string>();
    for (const i of [1, 2]) {
      await host.create(i);
      for (const rev of [1, 3]) {
        const { timers } = await host.one(i, rev, "start");
        names.add(timers.find(({ spawn }: Frame) => spawn === "second").to.machineInstanceName);
        await host.one(i, rev + 1, "stop");
      }
    }
    assert.equal(names.size, 4);
  });

  Deno.test(`a child tells its parent of its end, ${way.name}`, async () => {
    const { major } = way;
    const source = `import { createMachine, sendParent } from "XSTATE";
      const hello = ${major === 4 ? '"hello"' : '{ type: "hello" }'};
      export default createMachine({ id: "member", predictableActionArguments: true, context: {}, initial: "busy", states: {
        busy: { entry: sendParent(hello), on: { task: "over", quiet: {} } },
        over: { type: "final", entry: [sendParent(hello), sendParent(hello, { delay: 50 })], data: { n: 7 } },
      }, ${major === 5 ? "output: { n: 7 }" : ""} });
      ${allow}`;
    const to = { machineName: "team", machineInstanceName: "t" };
    const parent = { ...to, id: "kid" };
    await using host = await way.start(source);
    const created = await host.create(1, {}, { parent });
    assert.deepEqual(created.timers.map(({ to, event }: Frame) => ({ to, event })), [
      { to, event: { type: "hello" } },
    ]);
    const { snapshot } = created.steps[0];
    assert.deepEqual(snapshot.parent, parent);
    const check = async (result: Frame) => {
      assert.deepEqual(result.timers.map(({ send: _, ...op }: Frame) => op), [
        { to, event: { type: "hello" } },
        { done: "kid", to, output: { n: 7 } },
      ]);
      assert.deepEqual(result.steps[0].snapshot.parent, parent);
      assert.deepEqual(await host.step(1, 2, ["task"]), [{ ignored: true }]);
    };
    await check(await host.one(1, 1, "task"));
    host.send({ op: "discard", i: 1 });
    await check(await host.one(1, 1, "task", { snapshot }));
  });
}

Deno.test("spawning is there under both names, and only within assign", async () => {
  await using host = await HostProcess.start(
    `import { createMachine, assign } from "xstate";
    const spawn = (name) => globalThis[name].spawn({ machineName: "a", machineInstanceName: "b" }, { name: "k" });
    export default createMachine({ context: {}, on: {
      one: { actions: assign({ ref: () => spawn("__statebacked_rt") }) },
      two: { actions: assign({ ref: () => spawn("__statebaked_rt") }) },
      late: { actions: assign({ ref: () => void Promise.resolve().then(() => spawn("__statebaked_rt")) }) },
    } });
    export const allowRead = () => true;
    export const allowWrite = ({ event }) => (event?.type === "ask" && spawn("__statebacked_rt"), true);`,
  );
  await host.create(1);
  const op = { spawn: "k", to: { machineName: "a", machineInstanceName: "b" }, context: {} };
  for (const { timers, steps } of await host.step(1, 1, ["one", "two"])) {
    assert.deepEqual(timers, [op]);
    assert.deepEqual(steps[0].snapshot.context.ref, {
      ...op.to,
      type: "statebacked.instance",
      id: "k",
    });
  }
  assert.deepEqual(await host.step(1, 3, ["ask"]), [{ denied: true }]);
  assert.match(await host.logs(1), /only within assign/);
  await host.one(1, 3, "late");
  assert.match(await host.logs(), /rejection.*only within assign/);
});

Deno.test("a delay of another instance's event is one that a server can keep", async () => {
  await using host = await HostProcess.start(
    `import { createMachine, sendTo } from "xstate";
    const to = { type: "statebacked.instance", id: "k", machineName: "a", machineInstanceName: "b" };
    export default createMachine({ on: { go: { actions: [NaN, -5, Infinity, 7].map((delay) => sendTo(to, { type: "x" }, { delay })) } } });
    ${allow}`,
  );
  await host.create(1);
  const { timers } = await host.one(1, 1, "go");
  assert.deepEqual(timers.map(({ delay }: Frame) => delay), [0, 0, 3155760000000, 7]);
});

Deno.test("crypto.randomUUID is its old self once the module is loaded", async () => {
  await using host = await HostProcess.start(
    `import { createMachine, assign } from "xstate";
    const kept = crypto.randomUUID.bind(crypto);
    export default createMachine({ context: {}, on: { go: { actions: assign({
      own: () => Object.hasOwn(crypto, "randomUUID"), a: () => kept(), b: () => crypto.randomUUID() }) } } });
    ${allow}`,
  );
  await host.create(1);
  const { own, a, b } = (await host.one(1, 1, "go")).steps[0].snapshot.context;
  assert.equal(own, false);
  assert.ok(/^[0-9a-f-]{36}$/.test(a) && /^[0-9a-f-]{36}$/.test(b) && a !== b);
});

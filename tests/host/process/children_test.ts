/** Children as the server sees them: reports, settling, stopping, loss. */

import assert from "node:assert/strict";
import { HostProcess, module } from "../support/host_process.ts";

const source = module(`
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const inner = createMachine({ initial: "a", states: {
  a: { on: { go: "b" } },
  b: { after: { 5: "c" } },
  c: { on: { go: "b" } },
} });
const machine = setup({ actors: {
  job: fromPromise(({ input }) => input.fail ? Promise.reject(new TypeError("failed")) : wait(input.ms ?? 1).then(() => ({ done: true, now: new Date(0) }))),
  ticker: fromCallback(({ sendBack }) => { const t = setInterval(() => sendBack({ type: "tick" }), 2); return () => clearInterval(t); }),
  inner,
} }).createMachine({
  id: "m",
  context: { ticks: 0 },
  initial: "idle",
  states: {
    idle: { on: { job: "working", inner: "nesting", ticker: "ticking" } },
    working: { invoke: { id: "job", src: "job", input: ({ event }) => event, onDone: { target: "idle", actions: assign({ out: ({ event }) => event.output }) }, onError: { target: "idle", actions: assign({ why: ({ event }) => event.error.message, isError: ({ event }) => event.error instanceof TypeError }) } } },
    nesting: { invoke: { id: "inner", src: "inner" }, on: { go: { actions: sendTo("inner", { type: "go" }) } } },
    ticking: { invoke: { id: "ticker", src: "ticker" }, on: { tick: { actions: assign({ ticks: ({ context }) => context.ticks + 1 }) } } },
  },
  on: { stop: { target: ".idle" }, fail: { actions: assign(() => { throw new Error("no"); }) },
    circular: { actions: ({ self }) => { const event = { type: "odd", big: 5n, error: new Error("inside") }; event.event = event; self.send(event); } },
    odd: { actions: assign({ same: ({ event }) => event.event === event }) } },
});
`);

const done = "xstate.done.actor.job";

Deno.test("a child's result is reported, and delivered by its number as it was", async () => {
  await using host = await HostProcess.start(source);
  await host.create(1);
  const started = await host.one(1, 1, "job");
  assert.deepEqual([started.due, started.live, started.effects], [["job"], 1, "children"]);
  assert.deepEqual(started.steps[0].snapshot.children, {
    job: { kind: "promise", src: "job", due: true },
  });
  const performed = await host.perform(1, 2);
  assert.deepEqual([performed.due, performed.live], [["job"], 1]);
  const report = await host.event(done);
  assert.deepEqual(report, {
    op: "event",
    i: 1,
    h: report.h,
    child: "job",
    event: { type: done, output: { done: true, now: "1970-01-01T00:00:00.000Z" }, actorId: "job" },
    due: [],
    live: 0,
  });
  const result = await host.one(1, 2, { event: report.event, h: report.h });
  assert.equal(result.steps[0].snapshot.value, "idle");
  assert.equal(result.live, undefined);
});

Deno.test("an error is reported as JSON and delivered as the error it is", async () => {
  await using host = await HostProcess.start(source);
  await host.create(1);
  await host.one(1, 1, { type: "job", fail: true });
  host.send({ op: "perform", i: 1, rev: 2 });
  const { event, h } = await host.event("xstate.error.actor.job");
  assert.equal(event.error.name, "TypeError");
  assert.equal(event.error.message, "failed");
  const { steps } = await host.one(1, 2, { event, h });
  assert.deepEqual(steps[0].snapshot.context, { ticks: 0, why: "failed", isError: true });
});

for (
  const [major, type] of [[4, "error.platform.job"], [5, "xstate.error.actor.job"]] as const
) {
  Deno.test(`the log has the error of a child that no transition handles, with XState ${major}`, async () => {
    await using host = await HostProcess.start(
      `import { createMachine } from "npm:xstate@${major}";
      ${
        major === 5
          ? 'import { fromPromise } from "npm:xstate@5";'
          : "const fromPromise = (f) => f;"
      }
      const job = fromPromise(async () => { throw new TypeError("out of paper"); });
      export default createMachine({ id: "m", initial: "idle", states: {
        idle: { on: { job: "working" } }, working: { invoke: { id: "job", src: job } },
      } });
      export const allowRead = () => true, allowWrite = () => true;`,
    );
    await host.create(1);
    await host.one(1, 1, "job");
    host.send({ op: "perform", i: 1, rev: 2 });
    const { event, h } = await host.event(type);
    const { steps } = await host.one(1, 2, { event, h });
    assert.equal(steps[0].silent, true);
    assert.match(
      await host.logs(1),
      /no transition handles it: TypeError: out of paper\n +at .*machine.js:3:/,
    );
  });
}

Deno.test("after the death of the host the JSON of the event does as well", async () => {
  await using first = await HostProcess.start(source);
  await first.create(1);
  const started = await first.one(1, 1, "job");
  await first.perform(1, 2);
  const { event, h } = await first.event(done);
  await using second = await HostProcess.start(source);
  const { snapshot } = started.steps[0];
  const result = await second.one(1, 2, { event, h }, { snapshot });
  assert.equal(result.steps[0].snapshot.value, "idle");
  const lost = { lost: "job", why: "its host died" };
  const [{ steps }] = await second.step(2, 2, [lost], { snapshot });
  assert.equal(steps[0].snapshot.context.why, "its host died");
  assert.deepEqual(steps[0].event, {
    type: "xstate.error.actor.job",
    error: { name: "Error", message: "its host died" },
    actorId: "job",
  });
});

Deno.test("events of no JSON are delivered as they are, and recorded as nearly as possible", async () => {
  await using host = await HostProcess.start(source);
  await host.create(1);
  await host.one(1, 1, "circular");
  host.send({ op: "perform", i: 1, rev: 2 });
  const { event, h, child } = await host.event("odd");
  assert.equal(child, undefined);
  assert.equal(event.big, "5");
  assert.equal(event.event, "(circular)");
  assert.equal(event.error.message, "inside");
  assert.match(await host.logs(1), /no JSON/);
  assert.equal((await host.one(1, 2, { event, h })).steps[0].snapshot.context.same, true);
});

Deno.test("an idle child machine moves without the server, and is saved when asked for", async () => {
  await using host = await HostProcess.start(source);
  await host.create(1);
  const started = await host.one(1, 1, "inner");
  assert.deepEqual([started.due, started.live], [undefined, 1]);
  await host.perform(1, 2);
  await host.one(1, 2, "go");
  const { due } = await host.perform(1, 3);
  assert.deepEqual(due, ["inner"]);
  assert.deepEqual(await host.report(({ op }) => op === "due"), {
    op: "due",
    i: 1,
    due: [],
    live: 1,
  });
  const { snapshot, view } = await host.ask({ op: "save", i: 1 });
  assert.equal(view.state, "nesting");
  assert.equal(snapshot.children.inner.snapshot.value, "c");
  await using other = await HostProcess.start(source);
  const restored = await other.one(1, 3, "go", { snapshot });
  assert.equal(restored.live, 1);
  assert.deepEqual((await other.perform(1, 4)).due, ["inner"]);
});

Deno.test("stopping ends what is due without a word, and its loss can be told", async () => {
  await using host = await HostProcess.start(source);
  await host.create(1);
  await host.one(1, 1, "ticker");
  await host.perform(1, 2);
  await host.event("tick");
  const stopped = await host.ask({ op: "stop", i: 1 });
  assert.deepEqual([stopped.due, stopped.live], [[], 0]);
  const ticks = host.reports.length;
  await new Promise((resolve) => setTimeout(resolve, 10));
  await host.ask({ op: "ping" });
  assert.equal(host.reports.length, ticks);
  const [lost] = await host.step(1, 2, [{ lost: "ticker", why: "out of time" }]);
  assert.equal(lost.steps[0].silent, true);
  assert.equal(lost.steps[0].event.type, "xstate.error.actor.ticker");
  assert.equal(lost.steps[0].snapshot.children, undefined);
});

Deno.test("an event that fails or is denied does not end the children", async () => {
  await using host = await HostProcess.start(source);
  await host.create(1);
  await host.one(1, 1, "ticker");
  await host.perform(1, 2);
  assert.ok((await host.step(1, 2, ["fail"]))[0].error);
  const { event, h } = await host.waitFor(({ op }) => op === "event");
  const { steps, due } = await host.one(1, 2, { event, h });
  assert.deepEqual(steps[0].snapshot.context, { ticks: 1 });
  assert.deepEqual(due, ["ticker"]);
  assert.equal((await host.one(1, 3, "stop")).live, undefined);
  assert.equal((await host.perform(1, 4)).live, 0);
});

Deno.test("discarding an instance stops its children", async () => {
  await using host = await HostProcess.start(source);
  await host.create(1);
  await host.one(1, 1, "ticker");
  await host.perform(1, 2);
  await host.event("tick");
  host.send({ op: "discard", i: 1 });
  await host.ask({ op: "ping" });
  const reports = host.reports.length;
  await new Promise((resolve) => setTimeout(resolve, 10));
  await host.ask({ op: "ping" });
  assert.equal(host.reports.length, reports);
});

Deno.test("sessions are forgotten by age, but not those with something alive or undone", async () => {
  const limits = { sessions: 3 };
  await using host = await HostProcess.start(source, { limits });
  for (const i of [1, 2, 3]) await host.create(i);
  await host.one(1, 1, "inner");
  await host.perform(1, 2);
  await host.one(2, 1, "circular");
  for (const i of [4, 5, 6]) await host.create(i);
  const isKept = async (i: number, rev: number) => (await host.read(i, rev)).view !== undefined;
  assert.equal(await isKept(1, 2), true);
  assert.equal(await isKept(2, 2), true);
  assert.equal(await isKept(3, 1), false);
  assert.equal(await isKept(4, 1), false);
  assert.equal(await isKept(6, 1), true);
});

Deno.test("sessions are forgotten by size", async () => {
  await using host = await HostProcess.start(source, { limits: { sessionBytes: 100_000 } });
  for (const i of [1, 2, 3, 4]) await host.create(i, { text: "x".repeat(10_000) });
  assert.equal((await host.read(1, 1)).need, "snapshot");
  assert.ok((await host.read(4, 1)).view);
});

Deno.test("the number of an event never means another one, even of a later session", async () => {
  await using host = await HostProcess.start(source);
  const report = () => host.waitFor(({ op }) => op === "event");
  await host.create(1);
  await host.one(1, 1, "circular");
  const first = report();
  host.send({ op: "perform", i: 1, rev: 2 });
  const { h } = await first;
  host.send({ op: "discard", i: 1 });
  await host.create(1);
  await host.one(1, 1, "circular");
  const second = report();
  host.send({ op: "perform", i: 1, rev: 2 });
  assert.notEqual((await second).h, h);
  const stale = await host.one(1, 2, { event: { type: "unknown" }, h });
  assert.equal(stale.steps[0].snapshot.context.same, undefined);
});

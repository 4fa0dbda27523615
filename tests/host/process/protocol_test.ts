/** The requests of docs/host-protocol.md, asked of a real host. */

import assert from "node:assert/strict";
import { HostProcess, module } from "../support/host_process.ts";

const counting = module(`
const nested = (depth) => JSON.parse("[".repeat(depth) + "]".repeat(depth));
const load = ({ depth, size }) => ({ deep: depth && nested(depth), large: size && "x".repeat(size) });
const machine = createMachine({
  id: "m",
  context: { n: 0 },
  initial: "a",
  states: {
    a: { tags: "first", on: { next: { target: "b" } } },
    b: { on: { next: { target: "end" }, back: "a" } },
    end: { type: "final" },
  },
  output: ({ context }) => context.n,
  on: {
    add: { actions: assign({ n: ({ context, event }) => context.n + (event.by ?? 1) }) },
    show: { actions: assign({ public: ({ event }) => event.what }) },
    act: { actions: () => console.log("acted") },
    fail: { actions: assign(({ context }) => { context.n = 99; throw new Error("as asked"); }) },
    grow: { actions: assign({ text: ({ event }) => event.of.repeat(event.times) }) },
    bury: { actions: assign({ deep: ({ event }) => nested(event.depth) }) },
    send: { actions: sendTo(({ self }) => self, ({ event }) => ({ type: "add", by: 1, ...load(event) }), { delay: ({ event }) => event.delay }) },
    self: { actions: sendTo(({ self }) => self, ({ event }) => ({ type: "add", by: event.by })) },
    twice: { actions: [sendTo(({ self }) => self, { type: "self", by: 5 }), sendTo(({ self }) => self, { type: "add" })] },
    forever: { actions: sendTo(({ self }) => self, { type: "forever" }) },
    delays: { actions: [NaN, -5, Infinity, 1e15, 7].map((delay) => raise({ type: "add" }, { delay })) },
    start: { actions: spawnChild(fromPromise(() => new Promise(() => {})), { id: "p" }) },
    "xstate.error.actor.known": { actions: assign({ n: -1 }) },
  },
});
export const allowWrite = ({ type, machineInstanceName, state, context, event, authContext }) => {
  if (authContext?.show) console.log(JSON.stringify({ type, machineInstanceName, state, context, event, authContext }));
  if (authContext?.mutate) context.n = 1000;
  if (authContext?.throws) throw new Error("not today");
  return authContext?.promise ? Promise.resolve(true) : authContext?.value ?? true;
};
export const allowRead = ({ machineInstanceName, state, context, authContext }) => {
  if (authContext?.show) console.log(JSON.stringify({ machineInstanceName, state, context, authContext }));
  context.n = 1000;
  if (authContext?.throws) throw new Error("not today");
  return authContext?.promise ? Promise.resolve(true) : authContext?.value ?? true;
};
`);

const host = await HostProcess.start(counting);
let instances = 0;

/** A new instance at revision 1. */
async function fresh(context = {}): Promise<number> {
  const i = ++instances;
  assert.ok((await host.create(i, context)).steps);
  return i;
}

const own = (type: string, rest = {}) => ({ event: { type, ...rest } });
// deno-lint-ignore no-explicit-any
const contextOf = (result: any) => result.steps.at(-1).snapshot.context;

Deno.test({ name: "host", sanitizeOps: false, sanitizeResources: false, fn: suite });

async function suite(t: Deno.TestContext) {
  await t.step("loading tells which XState it is", () => {
    const answers = host.replies.filter(({ ok }) => ok);
    assert.deepEqual(answers[0].ok, { major: 5, xstate: "5.33.3", httpApi: [] });
  });

  await t.step("creating merges the context and is asked for", async () => {
    const i = ++instances;
    const result = await host.create(i, { m: 2 }, { auth: { show: 1 } });
    assert.deepEqual(result, {
      steps: [{
        snapshot: { value: "a", context: { n: 0, m: 2 } },
        view: { state: "a", tags: ["first"], done: false },
      }],
    });
    assert.equal(
      await host.logs(i),
      `{"type":"initialization","machineInstanceName":"n${i}","context":{"m":2},"authContext":{"show":1}}`,
    );
  });

  await t.step(
    "creating can be denied, and needs no permission where the server says so",
    async () => {
      const auth = { value: false };
      assert.deepEqual(await host.create(++instances, {}, { auth }), { denied: true });
      assert.ok((await host.create(++instances, {}, { auth, authorize: false })).steps);
    },
  );

  await t.step("an authoriser cannot change what an instance is created with", async () => {
    const result = await host.create(++instances, { n: 3 }, { auth: { mutate: true } });
    assert.equal(contextOf(result).n, 3);
  });

  await t.step("events are answered one by one, each on top of the one before", async () => {
    const i = await fresh();
    const results = await host.step(i, 1, ["add", { type: "add", by: 3 }, "unknown", own("add")]);
    assert.deepEqual(results.map(contextOf), [{ n: 1 }, { n: 4 }, { n: 4 }, { n: 5 }]);
    assert.deepEqual(contextOf(await host.one(i, 5, "add")), { n: 6 });
  });

  await t.step("allowWrite is asked for what callers send, and for nothing else", async () => {
    const i = await fresh();
    const event = { type: "add", by: 2 };
    const [asked, denied, inside] = await host.step(i, 1, [
      { event, auth: { show: true } },
      { event, auth: { value: false } },
      { event },
    ]);
    assert.ok(asked.steps);
    assert.deepEqual(denied, { denied: true });
    assert.ok(inside.steps);
    const question = {
      type: "event",
      machineInstanceName: `n${i}`,
      state: "a",
      context: { n: 0 },
      event,
      authContext: { show: true },
    };
    assert.deepEqual(JSON.parse(await host.logs(i)), question);
  });

  await t.step("only true allows: no other value, no promise, no throw", async () => {
    const i = await fresh();
    const auths = [{ value: 1 }, { value: "true" }, { value: {} }, { promise: true }, {
      throws: true,
    }];
    const answers = await host.step(i, 1, auths.map((auth) => ({ event: { type: "add" }, auth })));
    assert.deepEqual(answers, auths.map(() => ({ denied: true })));
    assert.deepEqual((await host.read(i, 1, { auths })).allowed, auths.map(() => false));
    assert.match(
      await host.logs(i),
      /promise, which denies[^]*allowWrite failed.*not today\n.*machine\.js/,
    );
  });

  await t.step(
    "a denied event leaves nothing behind, even of an authoriser that changes things",
    async () => {
      const i = await fresh();
      const [denied, next] = await host.step(i, 1, [
        { event: { type: "add" }, auth: { mutate: true, value: false } },
        "add",
      ]);
      assert.deepEqual(denied, { denied: true });
      assert.deepEqual(contextOf(next), { n: 1 });
    },
  );

  await t.step("an event that throws changes nothing, and the next is handled", async () => {
    const i = await fresh();
    const [failed, next] = await host.step(i, 1, ["fail", "add"]);
    assert.equal(failed.error.code, "machine-error");
    assert.equal(failed.error.message, "as asked");
    assert.match(failed.error.stack, /^ +at .*machine\.js:\d+:\d+\)?$/);
    assert.deepEqual(contextOf(next), { n: 1 });
    assert.ok((await host.one(i, 2, "add")).steps);
  });

  await t.step("a context that grows too large changes nothing", async () => {
    const i = await fresh();
    const [ascii, wide, next] = await host.step(i, 1, [
      { type: "grow", of: "x", times: 400_001 },
      { type: "grow", of: "ü", times: 200_001 },
      { type: "grow", of: "ü", times: 199_000 },
    ]);
    assert.equal(ascii.error.code, "context-too-large");
    assert.equal(wide.error.code, "context-too-large");
    assert.equal(contextOf(next).text.length, 199_000);
  });

  await t.step("a context that is nested too deeply changes nothing", async () => {
    const i = await fresh();
    const [deep, deepest, next] = await host.step(i, 1, [
      { type: "bury", depth: 499 },
      { type: "bury", depth: 100_000 },
      { type: "bury", depth: 498 },
    ]);
    assert.equal(deep.error.code, "context-too-large");
    assert.match(deepest.error.message, /nested more than 500 deep/);
    assert.equal(next.steps.length, 1);
  });

  await t.step("what a machine sends itself or later is bounded as well", async () => {
    const i = await fresh();
    for (const delay of [undefined, 1_000]) {
      const results = await host.step(i, 1, [
        { type: "send", size: 400_000, delay },
        { type: "send", depth: 500, delay },
      ]);
      for (const { error } of results) {
        assert.equal(error.code, "context-too-large");
        assert.match(error.message, /The event "add" that the machine sends/);
      }
    }
  });

  await t.step("a finished instance ignores everything", async () => {
    const i = await fresh();
    const results = await host.step(i, 1, ["next", "next", "add", own("add"), {
      lost: "x",
      why: "y",
    }]);
    assert.deepEqual(results[1].steps[0].snapshot, {
      value: "end",
      context: { n: 0 },
      status: "done",
      output: 0,
    });
    assert.equal(results[1].steps[0].view.done, true);
    assert.deepEqual(results.slice(2), [{ ignored: true }, { ignored: true }, { ignored: true }]);
  });

  await t.step("what a machine sends itself is folded in, each as a step of its own", async () => {
    const i = await fresh();
    const [result, next] = await host.step(i, 1, ["twice", own("add")]);
    assert.deepEqual(result.steps.map(({ event }: { event: unknown }) => event), [
      undefined,
      { type: "self", by: 5 },
      { type: "add" },
      { type: "add", by: 5 },
    ]);
    assert.deepEqual(contextOf(result), { n: 6 });
    assert.equal(result.effects, undefined);
    assert.deepEqual(contextOf(next), { n: 7 });
    assert.ok((await host.one(i, 6, "add")).steps);
  });

  await t.step(
    "a machine that sends itself events for ever fails, and stays as it was",
    async () => {
      const i = await fresh();
      const [failed, next] = await host.step(i, 1, ["forever", "add"]);
      assert.match(failed.error.message, /did not come to rest/);
      assert.deepEqual(contextOf(next), { n: 1 });
    },
  );

  await t.step("events that run XState's own machinery cannot be sent", async () => {
    const i = await fresh();
    const names = ["xstate.stop", "xstate.init", "*", ""];
    const results = await host.step(i, 1, [...names, "add"]);
    for (const { error } of results.slice(0, 4)) assert.equal(error.code, "reserved-event");
    assert.deepEqual(contextOf(results[4]), { n: 1 });
    const [odd] = await host.step(i, 2, [{ event: { type: 7 }, auth: {} }]);
    assert.equal(odd.error.code, "reserved-event");
  });

  await t.step("a forged error of a child ends no instance", async () => {
    const i = await fresh();
    const [forged, next] = await host.step(i, 1, ["xstate.error.actor.nobody", "add"]);
    assert.equal(forged.error.code, "reserved-event");
    assert.deepEqual(contextOf(next), { n: 1 });
  });

  await t.step("a child's error without a handler is dropped in a silent step", async () => {
    const i = await fresh();
    const [dropped, handled] = await host.step(i, 1, [
      own("xstate.error.actor.nobody", { error: "out of paper" }),
      own("xstate.error.actor.known", { error: "x" }),
    ]);
    assert.equal(dropped.steps[0].silent, true);
    assert.equal(handled.steps[0].silent, undefined);
    assert.deepEqual(contextOf(handled), { n: -1 });
    assert.match(await host.logs(i), /dropped, as no transition handles it: out of paper/);
  });

  await t.step("delays that no server can keep are bounded, and said to be", async () => {
    const i = await fresh();
    const century = 100 * 365.25 * 24 * 3600 * 1000;
    const { timers } = await host.one(i, 1, "delays");
    const delays = timers.map(({ delay }: { delay: number }) => delay);
    assert.deepEqual(delays, [0, 0, century, century, 7]);
    const logs = await host.logs(i);
    for (const delay of ["NaN", "-5", "Infinity", "1000000000000000"]) {
      assert.match(logs, new RegExp(delay));
    }
  });

  await t.step(
    "another revision than the session's asks for a snapshot, and does nothing",
    async () => {
      const i = await fresh();
      const need = (re: number) => ({ re, need: "snapshot" });
      for (const [at, rev] of [[i, 7], [999_999, 1]] as const) {
        const [refused] = await host.step(at, rev, ["add", "add"]);
        assert.deepEqual(refused, need(refused.re));
        const read = await host.read(at, rev);
        assert.deepEqual(read, need(read.re));
      }
      for (const op of ["perform", "stop", "save"]) {
        const answer = await host.ask({ op, i: 999_999, rev: 1 });
        assert.deepEqual(answer, need(answer.re));
      }
      assert.deepEqual(contextOf(await host.one(i, 1, "add")), { n: 1 });
    },
  );

  await t.step(
    "a snapshot makes a session, or replaces one of another revision, or is not needed",
    async () => {
      const i = ++instances;
      const snapshot = { value: "b", context: { n: 40 } };
      assert.deepEqual(contextOf(await host.one(i, 9, "add", { snapshot })), { n: 41 });
      assert.deepEqual(contextOf(await host.one(i, 10, "add", { snapshot })), { n: 42 });
      const result = await host.one(i, 3, "add", { snapshot });
      assert.deepEqual(contextOf(result), { n: 41 });
      assert.equal(result.steps[0].view.state, "b");
    },
  );

  await t.step("a snapshot that the machine cannot take fails each event", async () => {
    const i = ++instances;
    const snapshot = { value: "nowhere", context: {} };
    const results = await host.step(i, 1, ["add", "add"], { snapshot });
    for (const { error } of results) {
      assert.match(error.message, /cannot take up the state "nowhere"/);
    }
    const read = await host.read(i, 1, { snapshot });
    assert.equal(read.error.code, "machine-error");
  });

  await t.step("reading asks for each caller and shows what is public", async () => {
    const i = await fresh();
    await host.one(i, 1, { type: "show", what: { to: ["all"] } });
    const answer = await host.read(i, 2, { auths: [{}, { value: false }, { show: 1 }] });
    assert.deepEqual(answer.allowed, [true, false, true]);
    const view = { state: "a", publicContext: { to: ["all"] }, tags: ["first"], done: false };
    assert.deepEqual(answer.view, view);
    assert.match(
      await host.logs(i),
      new RegExp(`"machineInstanceName":"n${i}","state":"a","context"`),
    );
  });

  await t.step("an authoriser that changes what it reads harms nobody", async () => {
    const i = await fresh();
    await host.read(i, 1);
    assert.deepEqual(contextOf(await host.one(i, 1, "add")), { n: 1 });
  });

  await t.step("reading another revision from its snapshot leaves the session alone", async () => {
    const i = await fresh();
    const snapshot = { value: "b", context: { n: 7 } };
    assert.equal((await host.read(i, 5, { snapshot })).view.state, "b");
    assert.deepEqual(contextOf(await host.one(i, 1, "add")), { n: 1 });
  });

  await t.step(
    "actions run when they are performed, once, and those of a discarded session never",
    async () => {
      const i = await fresh();
      assert.equal((await host.one(i, 1, "act")).effects, "actions");
      assert.equal(await host.logs(i), "");
      await host.perform(i, 2);
      assert.equal(await host.logs(i), "acted");
      await host.perform(i, 2);
      await host.one(i, 2, "act");
      host.send({ op: "discard", i });
      await host.perform(i, 3);
      assert.equal(await host.logs(i), "acted");
    },
  );

  await t.step("performing up to a revision performs no more, and needs no answer", async () => {
    const i = await fresh();
    await host.step(i, 1, ["act", "add", "act"]);
    host.send({ op: "perform", i, rev: 3 });
    assert.equal(await host.logs(i), "acted");
    host.send({ op: "perform", i, rev: 4 });
    assert.equal(await host.logs(i), "acted\nacted");
    host.send({ op: "perform", i: 999_999, rev: 4 });
  });

  await t.step("what comes after a step that touches children is for later", async () => {
    const i = await fresh();
    const results = await host.step(i, 1, ["add", "start", "add", own("add")]);
    assert.equal(results[1].effects, "children");
    assert.deepEqual(results[1].due, ["p"]);
    assert.equal(results[1].live, 1);
    assert.deepEqual(results.slice(2), [{ later: true }, { later: true }]);
    assert.deepEqual(await host.step(i, 3, ["add"]), [{ later: true }]);
    const { due, live } = await host.perform(i, 3);
    assert.deepEqual({ due, live }, { due: ["p"], live: 1 });
    assert.equal(contextOf(await host.one(i, 3, "add")).n, 2);
    host.send({ op: "discard", i });
  });

  await t.step("a large answer and a large request arrive whole", async () => {
    const i = await fresh();
    const text = "ä\n\u2028\0\ud800x".repeat(15_000);
    const { steps } = await host.one(i, 1, { type: "show", what: text });
    assert.equal(steps[0].view.publicContext, text);
  });

  await t.step("many requests in one go are answered in order", async () => {
    const i = await fresh();
    const before = host.replies.length;
    const frames = Array.from(
      { length: 500 },
      (_, n) =>
        JSON.stringify({ op: "ping", id: 100_000 + n }) + "\n" +
        JSON.stringify({
          op: "step",
          id: 200_000 + n,
          i,
          name: "x",
          rev: 1 + n,
          events: [{ event: { type: "add" } }],
        }) + "\n",
    );
    host.sendText(frames.join(""));
    await host.waitFor(({ re }) => re === 200_499);
    const ids = host.replies.slice(before).map(({ re }) => re);
    assert.deepEqual(ids, Array.from({ length: 500 }, (_, n) => [100_000 + n, 200_000 + n]).flat());
  });

  await host[Symbol.asyncDispose]();
}

/** Console output and errors of author code. */

import assert from "node:assert/strict";
import { HostProcess, module } from "../support/host_process.ts";

Deno.test("output finds its instance, wherever it comes from", async () => {
  await using host = await HostProcess.start(module(`
    console.log("while loading");
    const say = (where) => () => console.log(where);
    const machine = createMachine({ context: {}, on: { go: {
      guard: () => (console.log("guard"), true),
      actions: [
        assign(() => console.log("assign")),
        () => console.log("action"),
        log("xstate log"),
        () => void setTimeout(say("timer"), 1),
        async () => { await 0; console.log("continuation"); },
        spawnChild(fromPromise(async () => { console.log("child"); await 0; console.log("child later"); })),
        ({ self }) => void setTimeout(() => self.send({ type: "end" }), 10),
      ],
    } } });
    export const allowWrite = ({ type }) => (console.log("allowWrite", type), true);
    export const allowRead = () => (console.log("allowRead"), true);
  `));
  for (const i of [7, 8]) {
    await host.create(i);
    await host.one(i, 1, "go");
    await host.perform(i, 2);
    await host.report((frame) => frame.i === i && frame.event?.type === "end");
    await host.read(i, 2);
    assert.deepEqual((await host.logs(i)).split("\n").sort(), [
      "action",
      "allowRead",
      "allowWrite event",
      "allowWrite initialization",
      "assign",
      "child",
      "child later",
      "continuation",
      "guard",
      "timer",
      "xstate log",
    ]);
  }
  assert.equal(await host.logs(null), "while loading");
});

Deno.test("values are formatted as Deno does, and streams and times are told", async () => {
  const before = Date.now();
  await using host = await HostProcess.start(module(`
    const machine = createMachine({ entry: [
      () => console.log("%s is %d", "x", 4, { deep: { er: [1, "two"] } }),
      () => console.error(new Error("shown").message),
      () => console.warn("warned"),
      () => console.info("told"),
      () => console.debug("traced"),
      () => console.table([{ a: 1 }]),
      () => console.assert(false, "assertion"),
      () => console.log(""),
      () => console.log("two\\nlines"),
    ] });
  `));
  await host.create(1);
  await host.perform(1, 1);
  await host.ask({ op: "ping" });
  const logs = host.reports.filter(({ op }) => op === "log");
  const texts = logs.map(({ stream, text }) => [stream, text]);
  assert.deepEqual(texts.filter(([, text]) => !text.includes("│")), [
    [1, 'x is 4 { deep: { er: [ 1, "two" ] } }'],
    [2, "shown"],
    [2, "warned"],
    [1, "told"],
    [1, "traced"],
    [2, "Assertion failed: assertion"],
    [1, ""],
    [1, "two\nlines"],
  ]);
  for (const { ts } of logs) assert.ok(before <= ts && ts <= Date.now());
});

Deno.test("a value that cannot be printed fails nothing", async () => {
  await using host = await HostProcess.start(module(`
    const hostile = { get [Symbol.for("Deno.customInspect")]() { throw new Error("hostile"); } };
    const machine = createMachine({ context: {}, on: { go: { actions: assign(() => {
      console.log(hostile);
      console.log({ [Symbol.for("Deno.customInspect")]() { throw { get message() { throw 1; }, toString() { throw 2; } }; } });
      return { logged: true };
    }) } } });
  `));
  await host.create(1);
  assert.equal((await host.one(1, 1, "go")).steps[0].snapshot.context.logged, true);
  assert.match(await host.logs(1), /could not be printed/);
});

Deno.test("output is cut at the limit of each occasion, and goes on at the next", async () => {
  await using host = await HostProcess.start(
    module(`
    const machine = createMachine({ on: { go: { guard: () => {
      for (let n = 0; n < 100_000; n++) console.log("line " + n);
      return true;
    } }, huge: { guard: () => (console.log("x".repeat(1e6)), true) } } });
  `),
    { limits: { logBytes: 1000 } },
  );
  await host.create(1);
  for (const rev of [1, 2]) {
    host.reports.length = 0;
    await host.one(1, rev, "go");
    const lines = (await host.logs(1)).split("\n");
    assert.equal(lines[0], "line 0");
    assert.match(lines.at(-1)!, /further output is dropped/);
    assert.ok(lines.join("\n").length < 1200);
  }
  host.reports.length = 0;
  await host.one(1, 3, "huge");
  assert.ok((await host.logs(1)).length < 1200);
});

Deno.test("halves of characters are replaced, printed or thrown or made by cutting", async () => {
  await using host = await HostProcess.start(
    module(`
    const machine = createMachine({ context: {}, on: {
      half: { guard: () => (console.log("\\ud83d!"), true) },
      cut: { guard: () => (console.log("x" + "\u{1f600}".repeat(2000)), true) },
      fail: { actions: assign(() => { throw new Error("\\ud83d"); }) },
    } });
    String.prototype.toWellFormed = () => { throw new Error("replaced"); };
  `),
    { limits: { logBytes: 1000 } },
  );
  await host.create(1);
  await host.one(1, 1, "half");
  assert.equal(await host.logs(1), "\ufffd!");
  host.reports.length = 0;
  await host.one(1, 2, "cut");
  assert.ok((await host.logs(1)).isWellFormed());
  const [{ error }] = await host.step(1, 3, [{ type: "fail" }]);
  assert.equal(error.message, "\ufffd");
});

Deno.test("an action that fails is logged with the author's part of the stack, and the next runs", async () => {
  await using host = await HostProcess.start(module(`
    function broken() { throw new TypeError("broken action"); }
    const machine = createMachine({ on: { go: { actions: [() => broken(), () => console.log("next")] } } });
  `));
  await host.create(1);
  await host.one(1, 1, "go");
  await host.perform(1, 2);
  const lines = (await host.logs(1)).split("\n");
  assert.equal(lines[0], "An action failed: TypeError: broken action");
  assert.match(lines[1]!, /^ +at broken \(machine\.js:\d+:\d+\)$/);
  assert.equal(lines.at(-1), "next");
  assert.ok(
    lines.every((line) => !/host\.js|xstate|ext:|node:|blob:/.test(line)),
    lines.join("\n"),
  );
});

for (const major of [4, 5] as const) {
  Deno.test(`a guard that throws is told with the author's part of the stack, XState ${major}`, async () => {
    const [key, more] = major === 4
      ? ["cond", 'nested: { cond: "named" }']
      : ["guard", 'nested: { guard: and(["fine", or([not(() => broken()), "fine"])]) }'];
    await using host = await HostProcess.start(
      `import { createMachine${major === 5 ? ", and, not, or" : ""} } from "xstate";
      function broken() { throw new TypeError("broken guard"); }
      export default createMachine({ predictableActionArguments: true, initial: "a", states: { a: { on: {
        named: { ${key}: "named" }, inline: { ${key}: () => broken() }, ${more}, fine: { ${key}: "fine", target: "b" },
      } }, b: {} } }, { guards: { named: () => broken(), fine: () => true } });
      export const allowRead = () => true, allowWrite = () => true;`,
      { xstate: major },
    );
    await host.create(1);
    for (const event of ["named", "inline", "nested"]) {
      const [{ error }] = await host.step(1, 1, [{ type: event }]);
      assert.match(error.message, /^Unable to evaluate guard [^]*broken guard$/, event);
      assert.match(error.stack, /^ +at broken \(machine\.js:2:\d+\)\n +at /, event);
    }
    const { steps } = await host.one(1, 1, "fine");
    assert.equal(steps[0].snapshot.value, "b");
  });
}

/** The author's frames, and no others. */
const AT_BROKEN =
  /broken guard\n +at broken \(machine\.js:2:\d+\)\n +at \w+ \(machine\.js:4:\d+\)$/;

for (const major of [4, 5] as const) {
  Deno.test(`a child machine whose guard throws is told with the author's part of the stack, too, XState ${major}`, async () => {
    await using host = await HostProcess.start(
      `import { createMachine, sendTo } from "xstate";
      function broken() { throw new TypeError("broken guard"); }
      const child = createMachine({ predictableActionArguments: true, on: {
        go: { ${major === 4 ? "cond" : "guard"}: () => broken(), actions: () => {} },
      } });
      export default createMachine({ predictableActionArguments: true, invoke: { id: "child", src: child },
        on: { go: { actions: sendTo("child", { type: "go" }) } } });
      export const allowRead = () => true, allowWrite = () => true;`,
      { xstate: major },
    );
    await host.create(1);
    await host.perform(1, 1);
    await host.one(1, 1, "go");
    await host.perform(1, 2);
    if (major === 5) {
      const { event, h } = await host.event("xstate.error.actor.child");
      assert.match(event.error.stack, AT_BROKEN);
      await host.one(1, 2, { event, h });
    }
    assert.match(await host.logs(1), AT_BROKEN);
  });
}

Deno.test("errors that are printed show the author's part of the stack, too", async () => {
  await using host = await HostProcess.start(module(`
    function broken() { throw new TypeError("inner"); }
    const machine = createMachine({ on: { go: { actions: () => {
      try { broken(); } catch (cause) { console.error(new Error("outer", { cause })); }
      console.trace("passing");
      console.log("  at home (with file: and all)");
    } } } });
  `));
  await host.create(1);
  await host.one(1, 1, "go");
  await host.perform(1, 2);
  const at = String.raw`\n +at [\w. \[\]]+ \(machine\.js:\d+:\d+\)`;
  const more = String.raw`(\n +\.\.\. .*)?`;
  assert.match(
    await host.logs(1),
    new RegExp(
      `^Error: outer${at}${more} \\{\n  \\[cause\\]: TypeError: inner${at}${at}\n\\}\n` +
        `Trace: passing${at}\n\n  at home \\(with file: and all\\)$`,
    ),
  );
});

Deno.test("whatever is thrown is told", async () => {
  await using host = await HostProcess.start(module(`
    const things = { text: "text", nothing: undefined, object: { a: 1 }, symbol: Symbol("s"),
      hostile: new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; } }),
      dom: new DOMException("gone", "AbortError") };
    const machine = createMachine({ context: {}, on: { go: { actions: assign(({ event }) => { throw things[event.what]; }) } } });
  `));
  await host.create(1);
  const expected = {
    text: "text",
    nothing: "undefined",
    object: '{"a":1}',
    symbol: "Symbol(s)",
    hostile: "(an error that cannot be shown)",
    dom: "AbortError: gone",
  };
  for (const [what, message] of Object.entries(expected)) {
    const [{ error }] = await host.step(1, 1, [{ type: "go", what }]);
    assert.equal(error.message, message);
  }
});

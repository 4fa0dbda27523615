/** Which modules are accepted, and what the author of another is told. */

import assert from "node:assert/strict";
import { bundle } from "../support/bundle.ts";
import { HostProcess, type Options } from "../support/host_process.ts";

const machine =
  `import { createMachine } from "xstate"; export default createMachine({ initial: "a", states: { a: {} } });`;
const allow = "export const allowRead = () => true; export const allowWrite = () => true;";

async function load(code: string, options: Options = {}) {
  await using host = await HostProcess.startEmpty(options);
  const answer = await host.load(code, options.limits);
  return { ...answer, logs: await host.logs() };
}

async function refusal(code: string, options: Options = {}) {
  const { error } = await load(code, options);
  assert.equal(error?.code, "bad-version", code);
  return error;
}

Deno.test("a module says what it is", async () => {
  const mapper = "export const httpApiMapper = { hook: { handler() {}, responseMapper() {} } };";
  const { ok } = await load(machine + allow + mapper);
  assert.deepEqual(ok, { major: 5, xstate: "5.33.3", httpApi: ["hook"] });
});

Deno.test("a module for XState 4 is told apart", async () => {
  const { ok } = await load(machine + allow, { xstate: 4 });
  assert.deepEqual(ok, { major: 4, xstate: "4.38.3", httpApi: [] });
});

Deno.test("a bundle with its own XState works and is named so", async () => {
  const source = machine.replace("xstate", "npm:xstate@5.33.3") + allow;
  for (const minify of [false, true]) {
    const { ok } = await load(await bundle(source, minify));
    assert.deepEqual(ok, { major: 5, xstate: "bundled", httpApi: [] });
  }
});

Deno.test("a bundle with too old an XState 5 is refused", async () => {
  const source = machine.replace("xstate", "npm:xstate@5.18.2") + allow;
  assert.match((await refusal(await bundle(source))).message, /older than 5\.19/);
});

Deno.test("what is missing is named, with what to do", async () => {
  const cases: [string, RegExp][] = [
    [allow, /no default export.*export default createMachine/],
    [`export default {}; ${allow}`, /not an XState machine/],
    [`export default () => {}; ${allow}`, /is a function, not a machine/],
    [`export default Promise.resolve(1); ${allow}`, /is a promise/],
    [machine, /does not export allowRead/],
    [machine + "export const allowRead = () => true;", /does not export allowWrite/],
    [machine + allow.replace("() => true", "true"), /allowRead, but not as a function/],
    [machine + allow + "export const httpApiMapper = 5;", /httpApiMapper has to be an object/],
    [machine + allow + "export const httpApiMapper = { x: {} };", /no function "handler" for "x"/],
  ];
  for (const [code, message] of cases) assert.match((await refusal(code)).message, message);
});

Deno.test("code that cannot be evaluated is refused with the place", async () => {
  const syntax = await refusal("export default 1;\nfoo(");
  assert.match(syntax.message, /machine\.js:2:5/);
  const thrown = await refusal("const x = 1;\nthrow new RangeError('at once')");
  assert.equal(thrown.message, "RangeError: at once");
  assert.match(thrown.stack, /^ +at machine\.js:2:7$/);
  assert.match((await refusal("import 'nowhere'")).message, /nowhere/);
  assert.match((await refusal("import { nothing } from 'xstate'")).message, /nothing/);
  assert.match((await refusal("import 'node:fs'")).message, /node:fs/);
});

Deno.test("a machine that XState itself cannot make is refused", async () => {
  const make = (config: string) =>
    machine.replace('{ initial: "a", states: { a: {} } }', config) + allow;
  for (
    const config of [
      "{ states: { a: {} } }",
      '{ initial: "b", states: { a: {} } }',
      '{ initial: "a", states: { a: { on: { go: "nowhere" } } } }',
      '{ initial: "a", states: { a: { initial: "x", states: { y: {} } } } }',
      '{ initial: "a", states: { a: {}, h: { type: "history", target: "b" } } }',
    ]
  ) await refusal(make(config));
});

Deno.test("what XState cannot make is told with the author's line, however deep it is", async () => {
  const deep = (states: string, levels: number): string =>
    levels === 0 ? states : deep(`{ a: { initial: "a", states: ${states} } }`, levels - 1);
  const config = `{ initial: "a", states: ${deep('{ a: { on: { go: "nowhere" } } }', 8)} }`;
  const { message, stack } = await refusal(
    `import { createMachine } from "xstate";\nexport default createMachine(${config});\n${allow}`,
  );
  assert.match(message, /'nowhere' does not exist/);
  assert.match(stack, /^ +at machine\.js:2:16$/);
});

Deno.test("code that throws a syntax error was read all right", async () => {
  const { message, stack } = await refusal('const a = 1;\nJSON.parse("{");');
  assert.match(message, /^SyntaxError: [^\n]+$/);
  assert.match(stack, /^ +at JSON\.parse \(<anonymous>\)\n +at machine\.js:2:6$/);
});

Deno.test("a module may wait and reach out while it is loaded", async () => {
  const { ok } = await load(`await new Promise((r) => setTimeout(r, 5)); ${machine}${allow}`);
  assert.equal(ok.major, 5);
});

Deno.test("what is used and not implemented is logged, and no reason to refuse", async () => {
  const body = machine.replace("a: {}", 'a: { entry: "missing" }') + allow;
  const { ok, logs } = await load(body);
  assert.ok(ok);
  assert.match(logs, /"missing".*no such implementation/);
});

Deno.test("an XState 4 machine is created, stepped and read", async () => {
  await using host = await HostProcess.start(
    `import { createMachine, assign } from "xstate";
    export default createMachine({ id: "m", predictableActionArguments: true, context: { n: 0 }, initial: "a", states: {
      a: { on: { go: { target: "b", actions: assign({ n: (c, e) => c.n + e.by }) } } },
      b: { after: { 1000: "a" }, tags: "t" },
    } });
    export const allowRead = () => true, allowWrite = () => true;`,
    { xstate: 4 },
  );
  assert.deepEqual((await host.create(1, { m: 1 })).steps[0].snapshot.context, { n: 0, m: 1 });
  const { steps, timers } = await host.one(1, 1, { type: "go", by: 2 });
  assert.equal(steps[0].snapshot.value, "b");
  assert.equal(timers[0].delay, 1000);
  const { view } = await host.read(1, 2);
  assert.deepEqual(view, { state: "b", tags: ["t"], done: false });
});

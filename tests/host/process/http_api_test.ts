/** What an author's `httpApiMapper` is asked and what is made of its answers, with both majors. */

import assert from "node:assert/strict";
import { type Frame, HostProcess, module } from "../support/host_process.ts";

const MAPPER = `
export const allowRead = () => true, allowWrite = () => true;
const meaning = (more) => ({ machineInstanceName: "n", event: "go", authContext: { sub: "x" }, ...more });
const later = (value) => new Promise((resolve) => setTimeout(resolve, 1, value));
export const httpApiMapper = {
  echo: { handler: (request) => meaning({ event: { type: "go", request, isBytes: request.body instanceof Uint8Array } }) },
  full: { handler: () => meaning({ initialContext: { a: 1 } }) },
  async: { handler: async () => { console.log("begun"); await later(); console.log("done"); return meaning(); } },
  thenable: { handler: () => ({ then: (resolve) => resolve(meaning()) }) },
  refuse: { handler: () => { throw new Error("no key"); } },
  refuseLater: { handler: async () => { await later(); throw new Error("no key"); } },
  refuseText: { handler: () => { throw "no key"; } },
  fail: { handler: (request) => request.body.nothing.there },
  throwNothing: { handler: () => { throw undefined; } },
  throwProxy: { handler: () => { throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 1; } }); } },
  mean: { handler: () => ({ get then() { throw new TypeError("mean"); } }) },
  nonsense: { handler: ({ body }) => (0, eval)("(" + body + ")") },
  own: { word: "this", handler() { return meaning({ event: this.word }); } },
  never: { handler: () => new Promise(() => {}) },
  respond: { handler() {}, responseMapper: ({ state, context, result }) => {
    console.log("responding");
    return { statusCode: 201, headers: { a: "b", many: ["1", 2] }, body: { state, context, result } };
  } },
  respondLater: { handler() {}, responseMapper: async () => { await later(); console.log("later"); return { body: "text" }; } },
  respondBytes: { handler() {}, responseMapper: () => ({ statusCode: 200, headers: {}, body: new Uint8Array([0, 255]) }) },
  respondBuffer: { handler() {}, responseMapper: () => ({ body: new Uint8Array([1, 2, 3]).buffer }) },
  respondNone: { handler() {}, responseMapper: () => ({ statusCode: 204 }) },
  respondFail: { handler() {}, responseMapper: ({ context }) => context.no.such },
  respondWith: { handler() {}, responseMapper: ({ context }) => (0, eval)("(" + context + ")") },
  notFunction: { handler() {}, responseMapper: 5 },
};`;

const MODULES = {
  4: `import { createMachine } from "npm:xstate@4"; export default createMachine({ context: {}, on: { go: {} } });`,
  5: `import { createMachine } from "npm:xstate@5"; export default createMachine({ context: {}, on: { go: {} } });`,
};

for (const [major, code] of Object.entries(MODULES)) {
  Deno.test({
    name: `HTTP mapping with XState ${major}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(t) {
      await using host = await HostProcess.start(code + MAPPER);
      await suite(t, host);
    },
  });
}

const BOUNDS = { bytes: 100_000, depth: 50 };
const REQUEST = { method: "POST", headers: { "x-a": "1" }, query: "" };

function handle(host: HostProcess, slug: string, request: Frame = {}, bounds = BOUNDS) {
  return host.ask({ op: "handle", slug, request: { ...REQUEST, ...request }, bounds });
}

function respond(host: HostProcess, slug: string, snapshot: Frame = {}, bounds = BOUNDS) {
  return host.ask({
    op: "respond",
    i: 7,
    slug,
    snapshot: { value: "s", context: {}, ...snapshot },
    bounds,
  });
}

/** What a pending answer comes to. */
async function finally_(host: HostProcess, answer: Frame) {
  assert.deepEqual(answer, { re: answer.re, pending: true });
  const { op: _, h: __, ...rest } = await host.report(({ op, h }) =>
    op === "http" && h === answer.re
  );
  return rest;
}

async function suite(t: Deno.TestContext, host: HostProcess) {
  const seen = async (request: Frame) => (await handle(host, "echo", request)).http.event;

  await t.step("the handlers are told at loading", () => {
    assert.deepEqual(host.replies.find(({ ok }) => ok).ok.httpApi.slice(0, 2), ["echo", "full"]);
  });

  await t.step("a handler sees the request", async () => {
    const { request } = await seen({ query: "a=1&b=%20x&a=2&__proto__=y&empty" });
    assert.deepEqual(request.headers, { "x-a": "1" });
    assert.deepEqual(Object.entries(request.query), [
      ["a", "2"],
      ["b", " x"],
      ["__proto__", "y"],
      ["empty", ""],
    ]);
    assert.equal(request.rawQuery, "a=1&b=%20x&a=2&__proto__=y&empty");
    assert.deepEqual([request.method, request.body, request.rawBody], ["POST", null, null]);
  });

  await t.step("a body is JSON, text or bytes", async () => {
    const json = await seen({ body: { json: '{ "a": [1] }' } });
    assert.deepEqual([json.request.body, json.request.rawBody], [{ a: [1] }, '{ "a": [1] }']);
    const marked = await seen({ body: { json: "\ufeff[1]" } });
    assert.deepEqual([marked.request.body, marked.request.rawBody], [[1], "\ufeff[1]"]);
    const text = await seen({ body: { text: "a=1" } });
    assert.deepEqual([text.request.body, text.request.rawBody], ["a=1", "a=1"]);
    const bytes = await seen({ body: { base64: "AP8=" } });
    assert.deepEqual([bytes.isBytes, bytes.request.body], [true, { 0: 0, 1: 255 }]);
  });

  await t.step("what says that it is JSON and is not never reaches the handler", async () => {
    const { error } = await handle(host, "echo", { body: { json: "{" } });
    assert.equal(error.code, "http-body");
    assert.match(error.message, /not JSON/);
  });

  await t.step("a handler names instance, event and auth context", async () => {
    const auth = { sub: "x" };
    assert.deepEqual((await handle(host, "full")).http, {
      name: "n",
      event: { type: "go" },
      auth,
      context: { a: 1 },
    });
    assert.deepEqual((await handle(host, "own")).http.event, { type: "this" });
  });

  await t.step("a promise is told of at once, and answered later", async () => {
    const answer = await finally_(host, await handle(host, "async"));
    assert.deepEqual(answer.http.event, { type: "go" });
    assert.match(await host.logs(null), /begun\ndone/);
    assert.ok((await finally_(host, await handle(host, "thenable"))).http);
  });

  await t.step("requests behind a promise that never settles go on", async () => {
    assert.ok((await handle(host, "never")).pending);
    assert.ok((await handle(host, "full")).http);
    assert.ok((await host.create(1)).steps);
  });

  await t.step(
    "what an author throws is in their words, and what the runtime throws is not told",
    async () => {
      for (const slug of ["refuse", "refuseText"]) {
        assert.deepEqual((await handle(host, slug)).error, {
          code: "http-refused",
          message: "no key",
        });
      }
      const later = await finally_(host, await handle(host, "refuseLater"));
      assert.equal(later.error.message, "no key");
      for (const slug of ["fail", "throwNothing", "throwProxy", "mean"]) {
        const { error } = await handle(host, slug);
        assert.deepEqual(error, { code: "http-failed", message: "" }, slug);
      }
      const logs = await host.logs(null);
      assert.match(logs, /The handler of "refuse" failed: no key\n\s+at .*machine\.js/);
      assert.match(logs, /The handler of "fail" failed: TypeError: .*nothing/);
    },
  );

  await t.step("there is no handler of another name", async () => {
    for (const slug of ["nothing", "__proto__", "toString", "constructor"]) {
      assert.equal((await handle(host, slug)).error.code, "http-unknown", slug);
    }
  });

  await t.step("nonsense is refused, and the author told why", async () => {
    const rest = "authContext: {}";
    for (
      const [returned, reason] of [
        ["undefined", /it has to return \{machineInstanceName/],
        ["null", /it has to return/],
        ["[1]", /it has to return/],
        ["'text'", /it has to return/],
        [`{ event: "go", ${rest} }`, /machineInstanceName has to be a string, not nothing/],
        [`{ machineInstanceName: 5, event: "go", ${rest} }`, /a string, not 5/],
        [`{ machineInstanceName: "n", ${rest} }`, /event has to be/],
        [`{ machineInstanceName: "n", event: "", ${rest} }`, /event has to be/],
        [`{ machineInstanceName: "n", event: {}, ${rest} }`, /event has to be/],
        [`{ machineInstanceName: "n", event: new Date(), authContext: "x" }`, /has to be/],
        [
          `{ machineInstanceName: "n", event: "go" }`,
          /authContext has to be an object, not nothing/,
        ],
        [`{ machineInstanceName: "n", event: "go", authContext: [] }`, /not a list/],
        [`{ machineInstanceName: "n", event: "go", ${rest}, initialContext: 5 }`, /initialContext/],
        [`{ machineInstanceName: "\\ud800", event: "go", ${rest} }`, /not Unicode/],
        [`{ machineInstanceName: "n", event: { type: "go", n: 1n }, ${rest} }`, /BigInt/],
        [
          `{ machineInstanceName: "n".repeat(1e6), event: "go", ${rest} }`,
          /more than 100000 bytes/,
        ],
      ] as const
    ) {
      const before = (await host.logs(null)).length;
      const { error } = await handle(host, "nonsense", { body: { text: returned } });
      assert.deepEqual(error, { code: "http-failed", message: "" }, returned);
      assert.match((await host.logs(null)).slice(before), reason);
    }
  });

  await t.step("a response mapper sees state, context and result", async () => {
    const { http } = await respond(host, "respond", { context: { n: 1 }, output: { o: 1 } });
    assert.deepEqual(http, {
      status: 201,
      headers: [["a", "b"], ["many", "1"], ["many", "2"]],
      body: { state: "s", context: { n: 1 }, result: { o: 1 } },
    });
    assert.equal((await respond(host, "respond")).http.body.result, null);
    assert.match(await host.logs(7), /responding/);
  });

  await t.step("it may be late, and give text, bytes or nothing", async () => {
    const late = await finally_(host, await respond(host, "respondLater"));
    assert.deepEqual(late, { http: { status: 200, headers: [], body: "text" } });
    assert.match(await host.logs(7), /later/);
    assert.equal((await respond(host, "respondBytes")).http.base64, "AP8=");
    assert.equal((await respond(host, "respondBuffer")).http.base64, "AQID");
    assert.deepEqual((await respond(host, "respondNone")).http, { status: 204, headers: [] });
    for (
      const [context, answered] of [
        ["{ headers: new Headers([['A', 'b'], ['a', 'c']]) }", { headers: [["a", "b, c"]] }],
        ["{ body: new Date(0) }", { headers: [], body: "1970-01-01T00:00:00.000Z" }],
        ["{ body: {} }", { headers: [], body: {} }],
        ["{ body: Object.create(null) }", { headers: [], body: {} }],
        ["{ body: new (class { a = 1 })() }", { headers: [], body: { a: 1 } }],
      ] as const
    ) {
      const { http } = await respond(host, "respondWith", { context });
      assert.deepEqual(http, { status: 200, ...answered }, context);
    }
  });

  await t.step("one that fails or answers nonsense has not answered", async () => {
    assert.equal((await respond(host, "respondFail")).error.code, "http-failed");
    assert.equal((await respond(host, "notFunction")).error.code, "http-failed");
    for (
      const context of [
        "null",
        "'text'",
        "{ statusCode: '200' }",
        "{ statusCode: 1e300 }",
        "{ statusCode: 101 }",
        "{ statusCode: 200.5 }",
        "{ headers: 5 }",
        "{ headers: { a: {} } }",
        "{ body: 1n }",
        "{ body: JSON.parse('['.repeat(60) + ']'.repeat(60)) }",
        "{ body: 'x'.repeat(1e6) }",
        "{ body: new Uint8Array(1e5) }",
        "new Response('lost')",
        "{ body: new Response('lost') }",
        "{ body: new Blob(['lost']) }",
        "{ body: new Map([['a', 1]]) }",
        "{ body: Promise.resolve('lost') }",
        "{ body: new SharedArrayBuffer(4) }",
        "{ headers: new Map([['a', 'b']]) }",
      ]
    ) {
      const { error } = await respond(host, "respondWith", { context });
      assert.equal(error?.code, "http-failed", context);
    }
    const logs = await host.logs(7);
    assert.match(logs, /The responseMapper of "respondFail" failed: TypeError/);
    assert.match(logs, /statusCode has to be a whole number from 200 to 599, not 101\n/);
    assert.match(logs, /body has to be .*, not \[object Blob\]/);
  });

  await t.step("a version may have none", async () => {
    for (const slug of ["echo", "nothing"]) {
      assert.equal((await respond(host, slug)).error.code, "http-unknown");
    }
  });
}

Deno.test("a handler may fetch and wait, as nothing is being decided", async () => {
  const server = Deno.serve({ port: 0, onListen() {} }, () => new Response("answer"));
  const { port } = server.addr as Deno.NetAddr;
  const code = module(`
    const machine = createMachine({ context: {} });
    export const httpApiMapper = { hook: { handler: async () => {
      const text = await (await fetch("http://127.0.0.1:${port}/")).text();
      return { machineInstanceName: text, event: "go", authContext: {} };
    } } };
  `);
  for (const denyPrivateNetwork of [false, true]) {
    await using host = await HostProcess.start(code, {
      privateNetwork: true,
      limits: { denyPrivateNetwork },
    });
    const answer = await finally_(host, await handle(host, "hook"));
    if (denyPrivateNetwork) {
      assert.equal(answer.error.code, "http-failed");
      assert.match(await host.logs(null), /private addresses are not allowed/);
    } else assert.equal(answer.http.name, "answer");
  }
  await server.shutdown();
});

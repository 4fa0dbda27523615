/** What author code cannot do, tried from inside a real host. */

import assert from "node:assert/strict";
import { builtIns, dist, HostProcess, module } from "../support/host_process.ts";

/** A module whose machine answers the event `try {code}` with what that code comes to. The attempt runs in a performed action. */
const trying = module(`
const machine = createMachine({ on: { try: { actions: ({ event, self }) => {
  const AsyncFunction = (async () => {}).constructor;
  (async () => await new AsyncFunction(event.code)())().then(
    (value) => self.send({ type: "result", value: String(value) }),
    (error) => self.send({ type: "result", error: String(error) }),
  );
} } } });
`);

type Outcome = { value?: string; error?: string };

async function attempts(codes: Record<string, string>, privateNetwork = false) {
  await using host = await HostProcess.start(trying, { privateNetwork });
  let rev = 1;
  await host.create(1);
  const outcomes: Record<string, Outcome> = {};
  for (const [name, code] of Object.entries(codes)) {
    const result = host.waitFor((frame) => frame.op === "event");
    await host.one(1, rev++, { type: "try", code });
    await host.perform(1, rev);
    const { value, error } = (await result).event;
    outcomes[name] = { value, error };
  }
  return outcomes;
}

/** Every attempt fails, for a reason that matches. */
async function refuses(codes: Record<string, string>, reason: RegExp) {
  for (const [name, { value, error }] of Object.entries(await attempts(codes))) {
    const outcome = error ?? `it worked: ${value}`;
    assert.match(outcome, reason, `${name}: ${outcome}`);
  }
}

Deno.test("there is no Deno and nothing of Node, wherever one looks", async () => {
  const codes: Record<string, string> = {};
  const gone = [
    "Deno Buffer global Worker SharedWorker prompt alert confirm close closed caches localStorage sessionStorage Storage",
    "BroadcastChannel location Window name WebTransport GPU OffscreenCanvas createImageBitmap require module __dirname",
    "CacheStorage LockManager Navigator indexedDB importScripts postMessage onload onbeforeunload",
  ].join(" ").split(" ");
  for (const name of gone) {
    codes[name] = `return [typeof globalThis.${name}, "${name}" in globalThis, typeof ${name}]`;
    codes[`${name} by Function`] =
      `return [new Function("return typeof ${name}")(), false, (0, eval)("typeof ${name}")]`;
  }
  for (const [name, { value }] of Object.entries(await attempts(codes))) {
    assert.equal(value, "undefined,false,undefined", name);
  }
});

Deno.test("only known globals are left", async () => {
  const { names } = await attempts({
    names:
      "return Object.getOwnPropertyNames(globalThis).filter((n) => /deno|node|gpu|permission/i.test(n))",
  });
  assert.deepEqual(names, { value: "", error: undefined });
});

Deno.test("process is only what says that this is production", async () => {
  const outcomes = await attempts({
    all: "return JSON.stringify(process)",
    names: "return Reflect.ownKeys(process)",
    assigned: "'use strict'; process.env.X = 1",
    replaced: "'use strict'; globalThis.process = {}",
    navigator: "return JSON.stringify(navigator)",
  });
  assert.equal(outcomes.all!.value, '{"env":{"NODE_ENV":"production"}}');
  assert.equal(outcomes.names!.value, "env");
  assert.match(outcomes.assigned!.error!, /TypeError/);
  assert.match(outcomes.replaced!.error!, /TypeError/);
});

Deno.test("nothing of Deno can be reached through what is left", async () => {
  const outcomes = await attempts({
    symbols:
      "return Object.getOwnPropertySymbols(globalThis).map((s) => typeof globalThis[s]?.core).join()",
    callSites: `
      Error.prepareStackTrace = (_, sites) => sites;
      const sites = new Error().stack;
      delete Error.prepareStackTrace;
      return sites.filter((site) => /host\\.js|ext:/.test(site.getFileName())).some((site) => site.getFunction() || site.getThis())`,
    inspect: `
      let found = "";
      console.log({ [Symbol.for("Deno.customInspect")](inspect, options) { found = Reflect.ownKeys(options).concat(typeof this.Deno).join(); return ""; } });
      return /core|internal/.test(found)`,
    caller: "return (function f() { return f.caller?.Deno ?? f.caller?.caller })() ?? 'none'",
    timer:
      "const t = setTimeout(() => {}); clearTimeout(t); return Reflect.ownKeys(t.constructor).some((k) => /core|op_/.test(String(k)))",
    event:
      "return await new Promise((done) => { addEventListener('x', (e) => done(typeof e.currentTarget.Deno), { once: true }); dispatchEvent(new Event('x')); })",
  });
  for (const [name, { value, error }] of Object.entries(outcomes)) {
    assert.match(value ?? error!, /^(undefined|undefined,undefined|false|none|TypeError.*)$/, name);
  }
});

Deno.test("no file can be read, written or listed", () =>
  refuses({
    import: `return (await import("file:///etc/passwd"))`,
    text: `return (await import("file:///etc/passwd", { with: { type: "text" } })).default`,
    bytes: `return (await import("file:///etc/passwd", { with: { type: "bytes" } })).default`,
    json: `return (await import("file:///proc/self/status", { with: { type: "json" } })).default`,
    static:
      `return await import("data:text/javascript,import p from 'file:///etc/passwd' with { type: 'text' }; export default p")`,
    wasm: `return await import("file:///etc/passwd.wasm")`,
    fetch: `return await (await fetch("file:///etc/passwd")).text()`,
    environment: `return await (await fetch("file:///proc/self/environ")).text()`,
  }, /NotCapable|[Rr]equires read access|--allow-read|not a valid module type/));

Deno.test("the host's own file gives nothing when it is imported again", async () => {
  const { same, again } = await attempts({
    same: `return Object.keys(await import("file://${dist}/host.js")).length`,
    again: `return Object.keys(await import("file://${dist}/host.js?again")).length`,
  });
  assert.equal(same!.value, "0");
  assert.match(again!.error!, /process|Deno/);
});

Deno.test("no module comes from anywhere else", () =>
  refuses({
    https: `return await import("https://example.com/x.js")`,
    trusted: `return await import("https://esm.sh/xstate")`,
    deno: `return await import("https://deno.land/std/fs/mod.ts")`,
    http: `return await import("http://127.0.0.1:1/x.js")`,
    npm: `return await import("npm:left-pad")`,
    jsr: `return await import("jsr:@std/assert")`,
    bare: `return await import("fs")`,
    ext: `return await import("ext:core/mod.js")`,
    nodeUnknown: `return await import("node:nothing")`,
  }, /no-remote|no-npm|import access|not a dependency|only allowed from|Unsupported scheme/));

/** A WebAssembly module that imports the value "default" of `name`. */
function wasmImporting(name: string): string {
  const bytes = (text: string) => [text.length, ...new TextEncoder().encode(text)];
  const entry = [1, ...bytes(name), ...bytes("default"), 3, 0x6f, 0];
  const module = [0, 97, 115, 109, 1, 0, 0, 0, 2, entry.length, ...entry];
  return `data:application/wasm;base64,${btoa(String.fromCharCode(...module))}`;
}

/** Modules that import `name` in each way that there is, by address. */
function importers(name: string): Record<string, string> {
  return {
    dynamic: name,
    upper: name.toUpperCase(),
    static: `data:text/javascript,import "${name}"`,
    "export from": `data:text/javascript,export * from "${name}"`,
    "dynamic inside": `data:text/javascript,await import("${name}")`,
    TypeScript: `data:application/typescript,import x from "${name}"; export const y: unknown = x`,
    deferred: `data:text/javascript,import defer * as x from "${name}"; x.default`,
    json: `data:text/javascript,import x from "${name}" with { type: "json" }`,
    WebAssembly: wasmImporting(name),
  };
}

Deno.test("no built-in module of Node can be imported, and trying harms nobody", () =>
  refuses(
    Object.fromEntries(
      builtIns().flatMap((name) =>
        Object.entries(importers(name)).map(([way, url]) => [
          `${name} ${way}`,
          `await import(${JSON.stringify(url)}); return "imported"`,
        ])
      ),
    ),
    /Blocked by null entry|Unsupported scheme|not a dependency|is not JSON|defer/,
  ));

Deno.test("a host does not start where the import map leaves a way to Node's modules", async () => {
  await assert.rejects(
    HostProcess.startEmpty({ imports: { "node:worker_threads": undefined }, quiet: true }),
    /ended with 1/,
  );
});

const elsewhere = [
  "127.0.0.1:1",
  "127.9.9.9",
  "0.0.0.0",
  "0",
  "2130706433",
  "0x7f.1",
  "localhost",
  "LOCALHOST.",
  "x.localhost",
  "10.1.2.3",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "[::]",
  "[::1]",
  "[0:0:0:0:0:0:0:1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:8.8.8.8]",
  "[::127.0.0.1]",
  "[fc00::1]",
  "[fd12:3456::1]",
  "[fe80::1]",
  "[fec0::1]",
  "[ff02::1]",
  "[64:ff9b::7f00:1]",
  "[2002:7f00:1::]",
  "[2001:0:1::]",
];

Deno.test("private addresses cannot be reached, however they are written", () =>
  refuses(
    Object.fromEntries(elsewhere.flatMap((host) => [
      [`fetch ${host}`, `await fetch("http://${host}/"); return "reached"`],
      [`Request ${host}`, `await fetch(new Request("http://${host}/")); return "reached"`],
      [`WebSocket ${host}`, `new WebSocket("ws://${host}/"); return "made"`],
      [`EventSource ${host}`, `new EventSource("http://${host}/"); return "made"`],
    ])),
    /private addresses|NotCapable|net access|deny-net/,
  ));

Deno.test("a request cannot change its mind about where it goes", () =>
  refuses({
    getter: `
      const request = new Request("http://[fd00::1]/");
      Object.defineProperty(request, "url", { value: "https://example.com/" });
      await fetch(request); return "reached"`,
    text: `
      let asked = 0;
      await fetch({ toString: () => asked++ ? "http://[fd00::1]/" : "http://[fd00::2]/" }); return "reached"`,
    socket: `
      let asked = 0;
      new WebSocket({ toString: () => asked++ ? "ws://[fd00::1]/" : "ws://[fd00::2]/" }); return "made"`,
    constructor: `new WebSocket.prototype.constructor("ws://[fd00::1]/"); return "made"`,
    subclass: `new (class extends WebSocket {})("ws://[fd00::1]/"); return "made"`,
    parent:
      `new (Object.getPrototypeOf(class extends EventSource {}))("http://[fd00::1]/"); return "made"`,
  }, /private addresses/));

Deno.test("an operator can allow private networks", async () => {
  const server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));
  const url = `http://127.0.0.1:${server.addr.port}/`;
  await using host = await HostProcess.start(trying, {
    privateNetwork: true,
    limits: { denyPrivateNetwork: false },
  });
  await host.create(1);
  await host.one(1, 1, { type: "try", code: `return await (await fetch("${url}")).text()` });
  await host.perform(1, 2);
  assert.equal((await host.event("result")).event.value, "hello");
  await server.shutdown();
});

Deno.test("what the web offers is there, and works", async () => {
  const outcomes = await attempts({
    crypto:
      "return (await crypto.subtle.digest('SHA-256', new TextEncoder().encode('x'))).byteLength",
    uuid: "return crypto.randomUUID().length",
    url: "return new URL('https://a.example/b?c=d').searchParams.get('c')",
    pattern:
      "return new URLPattern({ pathname: '/:a' }).exec('https://x.example/y').pathname.groups.a",
    clone: "return structuredClone(new Map([[1, 2]])).get(1)",
    stream:
      "return await new Response(new Blob(['abc']).stream().pipeThrough(new CompressionStream('gzip')).pipeThrough(new DecompressionStream('gzip'))).text()",
    timers:
      "return await new Promise((r) => { const i = setInterval(() => { clearInterval(i); setTimeout(r, 1, 'late'); }, 1); })",
    immediate: "return await new Promise((r) => setImmediate(r, 'soon'))",
    abort:
      "return await fetch('https://example.com/', { signal: AbortSignal.abort() }).catch((e) => e.name)",
    timeout:
      "return await new Promise((r) => AbortSignal.timeout(2).addEventListener('abort', () => r('aborted')))",
    form:
      "const f = new FormData(); f.set('a', 'b'); return (await new Request('https://x.example/', { method: 'POST', body: f }).formData()).get('a')",
    channel:
      "return await new Promise((r) => { const { port1, port2 } = new MessageChannel(); port1.onmessage = (e) => { port1.close(); r(e.data); }; port2.postMessage('m'); })",
    intl: "return new Intl.NumberFormat('de').format(1.5)",
    wasm:
      "return (await WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))).instance.constructor.name",
    dataFetch: "return await (await fetch('data:,hello')).text()",
    temporal: "return typeof Temporal",
    base64: "return atob(btoa('x'))",
    self: "return self === globalThis",
    errorEvent: "return new ErrorEvent('x', { message: 'm' }).message",
    performance: "return performance.now() > 0",
    importXState: "return typeof (await import('xstate')).createMachine",
    blobImport:
      "return (await import(URL.createObjectURL(new Blob(['export default 5'], { type: 'text/javascript' })))).default",
  });
  const expected: Record<string, string> = {
    crypto: "32",
    uuid: "36",
    url: "d",
    pattern: "y",
    clone: "2",
    stream: "abc",
    timers: "late",
    immediate: "soon",
    abort: "AbortError",
    timeout: "aborted",
    form: "b",
    channel: "m",
    intl: "1,5",
    wasm: "Instance",
    dataFetch: "hello",
    temporal: "object",
    base64: "x",
    self: "true",
    errorEvent: "m",
    performance: "true",
    importXState: "function",
    blobImport: "5",
  };
  const values = Object.entries(outcomes).map(([name, { value, error }]) => [name, value ?? error]);
  assert.deepEqual(Object.fromEntries(values), expected);
});

Deno.test("errors that nobody catches are logged and end nothing", async () => {
  await using host = await HostProcess.start(module(`
    const bad = (name) => { throw new Error(name); };
    const machine = createMachine({ on: { go: { actions: [
      () => void Promise.reject(new Error("rejected")),
      () => void (async () => { await 0; bad("async"); })(),
      () => void setTimeout(bad, 1, "timer"),
      () => void queueMicrotask(() => bad("microtask")),
      () => void reportError(new Error("reported")),
      () => { const t = new EventTarget(); t.addEventListener("x", () => bad("listener")); t.dispatchEvent(new Event("x")); },
      ({ self }) => void setTimeout(() => self.send({ type: "end" }), 20),
    ] } } });
  `));
  await host.create(5);
  await host.one(5, 1, "go");
  await host.perform(5, 2);
  await host.event("end");
  const logs = await host.logs(5);
  for (const name of ["rejected", "async", "timer", "microtask", "reported", "listener"]) {
    assert.match(logs, new RegExp(`${name}\\n\\s+at .*machine.js`), name);
  }
});

/** The channel itself: what leaves when, and how a host ends. */

import assert from "node:assert/strict";
import { HostProcess, module } from "../support/host_process.ts";

const slow = module(`
const machine = createMachine({ on: {
  spin: { guard: ({ event }) => { const until = Date.now() + event.ms; while (Date.now() < until); return true; } },
  loop: { guard: () => { for (;;); } },
} });
`);

Deno.test("what is answered leaves before a long step goes on, so that a killer is known", async () => {
  const host = await HostProcess.start(slow);
  await host.create(1);
  const events = [{ type: "spin", ms: 5 }, { type: "spin", ms: 5 }, "loop", "spin"];
  host.step(1, 1, events).catch(() => {});
  await host.waitFor(({ n }) => n === 1);
  assert.deepEqual(host.replies.filter(({ n }) => n !== undefined).slice(1).map(({ n }) => n), [
    0,
    1,
  ]);
  host.child.kill("SIGKILL");
  await host[Symbol.asyncDispose]();
});

Deno.test("a host ends with its server, whatever runs in it", async () => {
  const host = await HostProcess.start(module(`
    const machine = createMachine({ invoke: { src: fromCallback(() => { setInterval(() => {}, 1); }) } });
  `));
  await host.create(1);
  await host.perform(1, 1);
  host.connection.close();
  assert.equal((await host.child.status).code, 0);
  await Deno.remove(host.folder, { recursive: true });
});

Deno.test("a frame that no server sends ends the host", async () => {
  const host = await HostProcess.startEmpty({ quiet: true });
  host.sendText("{nonsense\n");
  assert.notEqual((await host.child.status).code, 0);
  await host[Symbol.asyncDispose]();
});

Deno.test("characters that are split between reads arrive whole", async () => {
  await using host = await HostProcess.start(module(`
    const machine = createMachine({ context: {}, on: { set: { actions: assign({ text: ({ event }) => event.text }) } } });
  `));
  await host.create(1);
  const text = "ü€😀".repeat(50);
  const request = {
    op: "step",
    id: 77_777,
    i: 1,
    name: "x",
    rev: 1,
    events: [{ event: { type: "set", text } }],
  };
  const answer = host.waitFor(({ re }) => re === 77_777);
  const bytes = new TextEncoder().encode(JSON.stringify(request) + "\n");
  for (let n = 0; n < bytes.length; n += 7) {
    await host.connection.write(bytes.subarray(n, n + 7));
    if (n % 70 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  assert.equal((await answer).r.steps[0].snapshot.context.text, text);
});

Deno.test("answers wait for a server that does not read, and all arrive", async () => {
  await using host = await HostProcess.start(module(`
    const machine = createMachine({ context: { text: "x".repeat(100_000) }, on: { go: {} } });
  `));
  await host.create(1);
  const results = await host.step(1, 1, new Array(200).fill("go"));
  assert.ok(results.every(({ steps }) => steps[0].snapshot.context.text.length === 100_000));
});

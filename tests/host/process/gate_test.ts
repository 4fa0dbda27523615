/** Nothing leaves the process before its step is durable, tried against a real server next door. */

import assert from "node:assert/strict";
import { HostProcess, module } from "../support/host_process.ts";

/** A server that notes which paths were asked for, and a host that can reach it. */
class Neighbour implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly #server = Deno.serve({ port: 0, onListen() {} }, (request) => {
    this.asked.push(new URL(request.url).pathname);
    return new Response("answer");
  });
  readonly url = `http://127.0.0.1:${(this.#server.addr as Deno.NetAddr).port}`;

  host(body: string): Promise<HostProcess> {
    const code = module(`const url = "${this.url}";\n${body}`);
    return HostProcess.start(code, {
      privateNetwork: true,
      limits: { denyPrivateNetwork: false },
    });
  }

  async [Symbol.asyncDispose]() {
    await this.#server.shutdown();
  }
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 30));

Deno.test("a fetch within an assign waits until its step is performed", async () => {
  await using neighbour = new Neighbour();
  await using host = await neighbour.host(`
    const machine = createMachine({ context: {}, on: { go: { actions: assign(({ self }) => {
      fetch(url + "/assign").then((r) => r.text()).then((text) => self.send({ type: "got", text }));
    }) }, got: {} } });
  `);
  await host.create(1);
  const result = await host.one(1, 1, "go");
  assert.equal(result.effects, "actions");
  await settle();
  assert.deepEqual(neighbour.asked, []);
  await host.perform(1, 2);
  assert.equal((await host.event("got")).event.text, "answer");
  assert.deepEqual(neighbour.asked, ["/assign"]);
});

Deno.test("a fetch of a step that is discarded never leaves", async () => {
  await using neighbour = new Neighbour();
  await using host = await neighbour.host(`
    const machine = createMachine({ context: {}, on: { go: { actions: assign(() => {
      fetch(url + "/never").catch((error) => console.log("refused:", error.message));
    }) } } });
  `);
  await host.create(1);
  await host.one(1, 1, "go");
  host.send({ op: "discard", i: 1 });
  await settle();
  assert.deepEqual(neighbour.asked, []);
  assert.match(await host.logs(1), /refused: .*given up/);
});

Deno.test("a fetch of a step that fails or is denied never leaves", async () => {
  await using neighbour = new Neighbour();
  await using host = await neighbour.host(`
    const ask = (path) => { fetch(url + path).catch(() => {}); };
    const machine = createMachine({ context: {}, on: {
      fail: { actions: assign(() => { ask("/fail"); throw new Error("no"); }) },
    } });
    export const allowWrite = ({ event }) => {
      if (event?.type === "deny") ask("/deny");
      return event?.type !== "deny";
    };
    export const allowRead = () => { ask("/read"); return true; };
  `);
  await host.create(1);
  assert.ok((await host.step(1, 1, ["fail"]))[0].error);
  assert.deepEqual(await host.step(1, 1, ["deny"]), [{ denied: true }]);
  assert.deepEqual((await host.read(1, 1)).allowed, [true]);
  await settle();
  assert.deepEqual(neighbour.asked, []);
});

Deno.test("what an assign goes on with after its step had nothing to perform is refused", async () => {
  await using neighbour = new Neighbour();
  await using host = await neighbour.host(`
    const machine = createMachine({ context: {}, on: {
      go: { actions: assign(() => {
        (async () => { await 0; await fetch(url + "/late"); })().catch((e) => console.log("refused:", e.message));
      }) },
      acting: { actions: [assign(() => {
        (async () => { await 0; await fetch(url + "/acting"); })();
      }), () => {}] },
    } });
  `);
  await host.create(1);
  assert.equal((await host.one(1, 1, "go")).effects, undefined);
  assert.match(await host.logs(1), /refused: .*an action, or in an invoked or spawned actor/);
  // Where the step is performed anyway, it can wait for that.
  await host.one(1, 2, "acting");
  await settle();
  assert.deepEqual(neighbour.asked, []);
  await host.perform(1, 3);
  await settle();
  assert.deepEqual(neighbour.asked, ["/acting"]);
});

Deno.test("actions and actors reach out as soon as they run", async () => {
  await using neighbour = new Neighbour();
  await using host = await neighbour.host(`
    const machine = createMachine({ context: {}, on: { go: { actions: [
      async () => { await 0; await fetch(url + "/action"); },
      spawnChild(fromPromise(async () => { await 0; await fetch(url + "/actor"); }), { id: "p" }),
    ] } } });
  `);
  await host.create(1);
  await host.one(1, 1, "go");
  await settle();
  assert.deepEqual(neighbour.asked, []);
  await host.perform(1, 2);
  await host.event("xstate.done.actor.p");
  await settle();
  assert.deepEqual(neighbour.asked.sort(), ["/action", "/actor"]);
});

Deno.test("timers of a step begin when it is performed, and can be cleared before and after", async () => {
  await using host = await HostProcess.start(module(`
    let kept;
    const machine = createMachine({ context: {}, on: {
      go: { actions: assign(({ self }) => {
        setTimeout((type) => self.send({ type }), 1, "timeout");
        setImmediate((type) => self.send({ type }), "immediate");
        let n = 0;
        const interval = setInterval(() => { if (++n === 2) { clearInterval(interval); self.send({ type: "interval" }); } }, 1);
        clearTimeout(setTimeout(() => self.send({ type: "cleared" }), 1).unref());
        kept = setInterval(() => self.send({ type: "cleared later" }), 5);
      }) },
      clear: { actions: () => clearInterval(kept) },
    } });
  `));
  await host.create(1);
  assert.equal((await host.one(1, 1, "go")).effects, "actions");
  await settle();
  const types = () =>
    host.reports.filter(({ op }) => op === "event").map(({ event }) => event.type);
  await host.ask({ op: "ping" });
  assert.deepEqual(types(), []);
  host.send({ op: "perform", i: 1, rev: 2 });
  await host.one(1, 2, "clear");
  await host.perform(1, 3);
  await settle();
  await host.ask({ op: "ping" });
  assert.deepEqual(types().sort(), ["immediate", "interval", "timeout"]);
});

Deno.test("timers of a discarded step never begin", async () => {
  await using host = await HostProcess.start(module(`
    const machine = createMachine({ context: {}, on: { go: { actions: assign(() => {
      setTimeout(() => console.log("ran"), 1);
    }) } } });
  `));
  await host.create(1);
  await host.one(1, 1, "go");
  host.send({ op: "discard", i: 1 });
  await settle();
  assert.equal(await host.logs(), "");
});

Deno.test("connections cannot be made in a step", async () => {
  await using host = await HostProcess.start(module(`
    const machine = createMachine({ context: {}, on: {
      socket: { actions: assign(() => void new WebSocket("wss://example.com/")) },
      events: { actions: assign(() => void new EventSource("https://example.com/")) },
    } });
  `));
  await host.create(1);
  for (const type of ["socket", "events"]) {
    const [{ error }] = await host.step(1, 1, [type]);
    assert.match(error.message, /not possible while a step is decided.*action/, type);
  }
});

Deno.test("performing up to a revision releases no step beyond it", async () => {
  await using neighbour = new Neighbour();
  await using host = await neighbour.host(`
    const machine = createMachine({ context: {}, on: { go: { actions: assign(({ event }) => {
      fetch(url + "/" + event.n);
    }) } } });
  `);
  await host.create(1);
  await host.step(1, 1, [{ type: "go", n: 1 }, { type: "go", n: 2 }]);
  await host.perform(1, 2);
  await settle();
  assert.deepEqual(neighbour.asked, ["/1"]);
  await host.perform(1, 3);
  await settle();
  assert.deepEqual(neighbour.asked, ["/1", "/2"]);
});

Deno.test("what cannot even begin once its step is durable keeps nothing else from happening", async () => {
  await using neighbour = new Neighbour();
  await using host = await neighbour.host(`
    const machine = createMachine({ context: {}, on: { go: { actions: [
      assign(() => {
        setTimeout(() => {}, 1n);
        fetch(url + "/assign");
        setTimeout(() => console.log("later"), { valueOf() { throw new Error("no number"); } });
      }),
      () => console.log("acted"),
      spawnChild(fromPromise(async () => 1), { id: "p" }),
    ] } } });
  `);
  await host.create(1);
  await host.one(1, 1, "go");
  await host.perform(1, 2);
  const logs = await host.logs(1);
  assert.match(logs, /acted/);
  assert.match(logs, /no number/);
  await host.event("xstate.done.actor.p");
  while (neighbour.asked.length === 0) await settle();
  assert.deepEqual(neighbour.asked, ["/assign"]);
});

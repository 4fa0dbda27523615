/** Machines of XState 4 in a real host, on our copy and on one of their own. */

import { bundle } from "../support/bundle.ts";
import { HostProcess } from "../support/host_process.ts";
import { assert, assertEquals } from "./support.ts";

/** An order: paid by a promise, watched by a machine that it spawns, cancelled when it takes too long. */
const source = (xstate: string) => `
import { createMachine, assign, spawn, send, sendParent } from "${xstate}";
export const allowRead = () => true;
export const allowWrite = () => true;
const watcher = createMachine({
  predictableActionArguments: true,
  id: "watcher",
  initial: "calm",
  states: { calm: { on: { SHOUT: { target: "loud", actions: sendParent("HEARD") } } }, loud: {} },
});
export default createMachine({
  predictableActionArguments: true,
  id: "order",
  context: { heard: 0 },
  initial: "open",
  states: {
    open: { entry: assign({ watcher: () => spawn(watcher, "watcher") }), on: { PAY: "paying" } },
    paying: {
      after: { 60000: "open" },
      invoke: { id: "payment", src: "pay", onDone: { target: "paid", actions: assign({ by: (_, e) => e.data }) }, onError: "open" },
    },
    paid: { entry: [(c) => console.log("paid by", c.by), send("THANK")], on: { THANK: "thanked" } },
    thanked: {},
  },
  on: {
    SHOUT: { actions: send("SHOUT", { to: (c) => c.watcher }) },
    HEARD: { actions: assign({ heard: (c) => c.heard + 1 }) },
    BREAK: { actions: assign((c) => { c.heard = "broken"; throw new Error("broken on purpose"); }) },
  },
}, { services: { watcher, pay: (_, event) => new Promise((resolve) => setTimeout(resolve, 5, event.by)) } });
`;

const copies = {
  "our copy": () => Promise.resolve(source("npm:xstate@4")),
  "a minified bundle": () => bundle(source("npm:xstate@4.38.3"), true),
};

for (const [name, make] of Object.entries(copies)) {
  Deno.test(`a host runs a machine on ${name}`, async () => {
    await using host = await HostProcess.startEmpty({ xstate: 4 });
    const { ok } = await host.load(await make());
    assertEquals(ok, { major: 4, xstate: name === "our copy" ? "4.38.3" : "bundled", httpApi: [] });
    const created = await host.create(1);
    assertEquals([created.steps[0].view.state, created.effects], ["open", "children"]);
    assertEquals((await host.perform(1, 1)).live, 1);

    const [broken] = await host.step(1, 1, ["BREAK"]);
    assert(broken.error.message.includes("broken on purpose"), JSON.stringify(broken));
    const shouted = await host.one(1, 1, "SHOUT");
    assertEquals(shouted.steps[0].snapshot.context.heard, 0);
    await host.perform(1, 2);
    const { h, event, child } = await host.event("HEARD");
    assertEquals([event, child], [{ type: "HEARD" }, "watcher"]);
    await host.one(1, 2, { event, h });

    const paying = await host.one(1, 3, { type: "PAY", by: "Ada" });
    assertEquals([paying.due, paying.live], [["payment"], 2]);
    assertEquals(paying.timers[0].after, { path: ["paying"], n: 0, delay: 60000 });
    await host.perform(1, 4);
    const done = await host.event("done.invoke.payment");
    const { steps, timers } = await host.one(1, 4, { event: done.event, h: done.h });
    assertEquals(steps.map((step: { view: { state: string } }) => step.view.state), [
      "paid",
      "thanked",
    ]);
    assertEquals(timers, [{ cancel: "xstate.after(60000)#order.paying" }]);
    await host.perform(1, 6);
    assert((await host.logs(1)).includes("paid by Ada"));
  });

  Deno.test(`a host goes on from a snapshot of a machine on ${name}`, async () => {
    await using host = await HostProcess.startEmpty({ xstate: 4 });
    await host.load(await make());
    await host.create(1);
    await host.perform(1, 1);
    const [, shouted] = [await host.one(1, 1, "SHOUT"), await host.perform(1, 2)];
    assertEquals(shouted.live, 1);
    const { snapshot } = await host.ask({ op: "save", i: 1 });
    assertEquals(snapshot.children.watcher.snapshot.value, "loud");
    host.send({ op: "discard", i: 1 });
    const lost = { lost: "payment", why: "the process ended" };
    const [before] = await host.step(1, 2, [lost]);
    assertEquals(before.need, "snapshot");
    const [paid] = await host.step(1, 2, [{ type: "PAY", by: "Ada" }], { snapshot });
    assertEquals([paid.due, paid.live], [["payment"], 2]);
    // As if this process had ended now: the payment was due and is lost.
    host.send({ op: "discard", i: 1 });
    const after = await host.one(1, 3, lost, { snapshot: paid.steps[0].snapshot });
    assertEquals([after.steps[0].view.state, after.effects], ["open", "children"]);
    assertEquals(after.steps[0].snapshot.children.payment, undefined);
  });
}

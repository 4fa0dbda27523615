/**
 * How fast one host steps, without a server: `deno run -A benchmarks/host_steps.ts`.
 *
 * Each step is one request with one event to a small machine that authorises it, assigns and stays settled; its answer carries snapshot and
 * view. Load generator and host share the machine's cores.
 */

import { HostProcess, module } from "../tests/host/support/host_process.ts";

const INSTANCES = 1_000;
const SECONDS = 4;

const machine = `
const machine = setup({
  guards: { below: ({ context }) => context.count < 1e9 },
}).createMachine({
  id: "toggle",
  context: { count: 0, public: { on: false } },
  initial: "off",
  states: {
    off: { on: { toggle: { guard: "below", target: "on", actions: assign(({ context }) => ({ count: context.count + 1, public: { on: true } })) } } },
    on: { tags: ["lit"], on: { toggle: { target: "off", actions: assign({ public: { on: false } }) } } },
  },
});
export const allowWrite = ({ authContext, event }) => authContext.sub === "user" && event.type === "toggle";
`;

const event = { event: { type: "toggle" }, auth: { sub: "user" } };

/** Keep `inFlight` requests of `burst` events each going, each for another instance. */
async function measure(host: HostProcess, revisions: number[], inFlight: number, burst: number) {
  const latencies: number[] = [];
  const until = performance.now() + SECONDS * 1000;
  let steps = 0;
  const started = performance.now();
  const one = async (first: number) => {
    for (let i = first; performance.now() < until; i = (i + inFlight) % INSTANCES) {
      const sent = performance.now();
      await host.stepsDone(i + 1, revisions[i]!, new Array(burst).fill(event));
      latencies.push(performance.now() - sent);
      revisions[i]! += burst;
      steps += burst;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, n) => one(n)));
  const elapsed = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)]!.toFixed(3);
  console.log(
    `${String(inFlight).padStart(3)} in flight, ${String(burst).padStart(2)} events a request: ` +
      `${Math.round(steps / elapsed).toLocaleString("en")} steps/s, p50 ${at(0.5)} ms, p99 ${
        at(0.99)
      } ms`,
  );
}

await using host = await HostProcess.start(module(machine));
const revisions = await Promise.all(Array.from({ length: INSTANCES }, async (_, i) => {
  const result = await host.create(i + 1, {}, { authorize: false });
  if (!result.steps) throw new Error(JSON.stringify(result));
  return 1;
}));
for (const [inFlight, burst] of [[32, 1], [1, 1], [32, 1], [100, 1], [1, 20], [8, 20]]) {
  await measure(host, revisions, inFlight!, burst!);
}

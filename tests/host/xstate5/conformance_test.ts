/**
 * Random statecharts, recorded from XState 5 itself. Each is run warm, and again restored from JSON before every event.
 */

import assert from "node:assert/strict";
import * as ours from "xstate5";
import { bundle } from "../support/bundle.ts";
import type { MachineEvent } from "./support.ts";
import { Instance } from "./support.ts";

// deno-lint-ignore no-explicit-any
type Data = any;

interface Case {
  seed: number;
  machine: Data;
  guards: Record<string, Data>;
  events: MachineEvent[];
  expected: Data[];
}

const file = new URL("../../conformance/xstate5.json.gz", import.meta.url);
const stream = (await Deno.open(file)).readable.pipeThrough(new DecompressionStream("gzip"));
const cases: Case[] = (await new Response(stream).json()).cases;

/** What actions and children did since it was last looked at. */
interface Done {
  logs: string[];
  started: string[];
  stopped: string[];
}

function implement(xstate: typeof ours, { machine, guards }: Case, done: Done) {
  const { assign, cancel, createMachine, emit, fromPromise, raise } = xstate;
  const combined = Object.fromEntries(
    Object.entries(guards).map(([name, guard]) => [name, combine(xstate, guard)]),
  );
  const later = (id: string) =>
    raise((_: Data, { type }: Data) => ({ type }), {
      id,
      delay: (_: Data, { delay }: Data) => delay,
    });
  return createMachine(machine, {
    actions: {
      log: (_: Data, { m }: Data) => done.logs.push(m),
      inc: assign(({ context }: Data, { key, by }: Data) => ({ [key]: context[key] + by })),
      setFromEvent: assign(({ context, event }: Data, { key, field }: Data) => ({
        [key]: typeof event[field] === "number" ? event[field] : context[key],
      })),
      raiseEvent: raise((_: Data, { type }: Data) => ({ type })),
      raiseLater_t0: later("t0"),
      raiseLater_t1: later("t1"),
      raiseLater_t2: later("t2"),
      cancelTimer: cancel((_: Data, { id }: Data) => id),
      emitEvent: emit((_: Data, { type, v }: Data) => ({ type, v })),
    },
    guards: {
      ok: () => true,
      gt: ({ context }: Data, { key, n }: Data) => context[key] > n,
      lt: ({ context }: Data, { key, n }: Data) => context[key] < n,
      eventEq: ({ event }: Data, { field, value }: Data) => event[field] === value,
      ...combined,
    },
    actors: {
      job: fromPromise(({ self, signal }: Data) => {
        done.started.push(self.id);
        signal.addEventListener("abort", () => done.stopped.push(self.id));
        return new Promise(() => {});
      }),
    },
  } as Data);
}

function combine(xstate: typeof ours, guard: Data): Data {
  const inner = (each: Data) => combine(xstate, each);
  if (guard.op === "and") return xstate.and(guard.of.map(inner));
  if (guard.op === "or") return xstate.or(guard.of.map(inner));
  if (guard.op === "not") return xstate.not(inner(guard.of[0]));
  if (guard.op === "stateIn") return xstate.stateIn(guard.value);
  return guard;
}

/** The same of what is expected and of what we did. */
function expectedOf(step: Data) {
  const { value, context, status, tags, output, children } = step;
  return { value, context, status, tags, output, children };
}

function seen(instance: Instance) {
  const { snapshot, live } = instance;
  const { value, context, status = "active", output, children = {} } = snapshot;
  const tags = live.tags.toSorted();
  return { value, context, status, tags, output, children: Object.keys(children).sort() };
}

function expectedTimers(step: Data) {
  return step.actions.flatMap(({ type, id, delay, event }: Data) => {
    if (type === "xstate.raise") return [{ set: id, delay, event }];
    return type === "xstate.cancel" ? [{ cancel: id }] : [];
  });
}

function timers(instance: Instance) {
  return instance.timers.map((timer) => {
    if (!("set" in timer)) return timer;
    const { set, delay, event } = timer;
    return { set, delay, event };
  });
}

function expectedLogs(step: Data) {
  return step.actions.filter(({ type }: Data) => type === "log").map(({ params }: Data) =>
    params.m
  );
}

/** Children that a step starts, and of those that ran before, the ones it stops. */
function expectedChildren(step: Data, running: Set<string>) {
  const before = new Set(running);
  const stopped: string[] = [];
  let started: string[] = [];
  for (const { type, id } of step.actions) {
    if (type === "xstate.spawnChild") started.push(id);
    if (type !== "xstate.stopChild") continue;
    if (started.includes(id)) started = started.filter((other) => other !== id);
    else if (before.has(id)) stopped.push(id);
  }
  stopped.forEach((id) => running.delete(id));
  started.forEach((id) => running.add(id));
  return { started, stopped };
}

function run(xstate: typeof ours, data: Case, restarts: boolean) {
  const done: Done = { logs: [], started: [], stopped: [] };
  const instance = new Instance(implement(xstate, data, done));
  const running = new Set<string>();
  data.expected.every((expected, n) => {
    const act = () => {
      if (n > 0) return instance.send(data.events[n - 1]!);
      const { live, decided } = instance.driver.initial(instance, {});
      instance.live = live;
      instance.take(decided);
      return instance.perform();
    };
    if (expected.status === "error") {
      // XState ends there; here the event fails and nothing else.
      assert.throws(act);
      return false;
    }
    Object.assign(done, { logs: [], started: [], stopped: [] });
    act();
    const where = `case ${data.seed}, step ${n}`;
    assert.deepEqual(seen(instance), expectedOf(expected), where);
    assert.deepEqual(timers(instance), expectedTimers(expected), where);
    assert.deepEqual(done.logs, expectedLogs(expected), where);
    const children = expectedChildren(expected, running);
    assert.deepEqual(done.started, children.started, where);
    assert.deepEqual(done.stopped, children.stopped, where);
    if (expected.status === "done") return false;
    if (restarts) {
      instance.restart();
      running.clear();
      assert.deepEqual(seen(instance), expectedOf(expected), where);
    }
    return true;
  });
}

Deno.test("every recorded case is repeated", () => {
  assert.equal(cases.length, 300);
  cases.forEach((data) => run(ours, data, false));
});

Deno.test("every recorded case is repeated with a restart before each event", () => {
  cases.forEach((data) => run(ours, data, true));
});

Deno.test("a bundled and minified copy repeats them as well", async () => {
  const code = await bundle('export * from "npm:xstate@5.33.3"', true);
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const bundled: typeof ours = await import(url);
  assert.notEqual(bundled.createMachine, ours.createMachine);
  cases.forEach((data) => run(bundled, data, true));
});

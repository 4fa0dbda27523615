/**
 * Our driver against XState's own interpreter: random machines get the same random events, and have to do the same.
 *
 * One run stays warm, one is restored from JSON before each step where nothing is running. `STATEKEEP_SEED=123` repeats one case.
 */

import * as ownCopy from "xstate4";
import { bundle } from "../support/bundle.ts";
import { EVENTS, implement, type Journal, MachineMaker, Random, type XState } from "./machines.ts";
import { assert, assertEquals, difference, TestHost, tick, Timers } from "./support.ts";

const CASES = 400;
const CASES_BUNDLED = 100;
const STEPS = 14;

// deno-lint-ignore no-explicit-any
type Any = any;

type Operation =
  | { op: "send"; event: string }
  | { op: "advance"; ms: number }
  | { op: "settle"; nth: number; isFailure: boolean };

interface Run {
  journal: Journal;
  apply(operation: Operation): void;
  look(): unknown;
}

interface OurRun extends Run {
  /** How many of the promises were asked for before the instance was last restored. */
  readonly forgotten: number;
}

interface RealRun extends Run {
  /**
   * XState 4 takes the transitions of all parallel regions, even where one leaves the others, and then stands in states that exclude each
   * other. Its value does not tell all of them, so no snapshot can.
   */
  isBroken(): boolean;
}

const journal = (): Journal => ({ entries: [], promises: [] });

/** XState's clock, made exact: one timer after the other, in order. */
class Clock {
  readonly #timers = new Timers();
  #count = 0;
  readonly #actions = new Map<string, () => void>();

  setTimeout(run: () => void, delay: number) {
    const id = String(++this.#count);
    this.#actions.set(id, run);
    this.#timers.apply([{ set: id, delay, event: { type: id } }]);
    return id;
  }
  clearTimeout(id: string) {
    this.#timers.apply([{ cancel: id }]);
  }
  advance(ms: number) {
    const until = this.#timers.now + ms;
    for (let timer; (timer = this.#timers.take(until)) !== undefined;) {
      this.#actions.get(timer.id)!();
    }
    this.#timers.now = until;
  }
  get pending() {
    return this.#timers.pending.map(({ at }) => at);
  }
}

function realRun(config: unknown, xstate: XState): RealRun {
  const its = journal();
  const clock = new Clock();
  const logger = (text: string) => its.entries.push(text);
  const machine = implement(config, its, xstate);
  const service = xstate.interpret(machine, { clock: clock as never, logger });
  const isWhole = (state: Any) =>
    new Set(machine.resolveState(state).configuration as unknown[])
      .symmetricDifference(new Set(state.configuration)).size === 0;
  let isBroken = false;
  service.onTransition((state) => isBroken ||= !isWhole(state));
  service.start();
  return {
    journal: its,
    apply(operation) {
      if (operation.op === "send") service.send(operation.event);
      else if (operation.op === "advance") clock.advance(operation.ms);
    },
    look() {
      const { value, context, tags, done } = service.getSnapshot();
      const timers = done ? [] : clock.pending.toSorted((a, b) => a - b);
      return { value, context, tags: [...tags].sort(), done, timers, entries: its.entries };
    },
    isBroken: () => isBroken,
  };
}

function ourRun(config: unknown, xstate: XState, isCold: boolean): OurRun {
  const its = journal();
  let forgotten = 0;
  const { log } = console;
  const heard = <T>(run: () => T): T => {
    console.log = (text: string) => its.entries.push(text);
    try {
      return run();
    } finally {
      console.log = log;
    }
  };
  const host = heard(() => TestHost.start(implement(config, its, xstate)));
  const cool = () => {
    if (!isCold || host.live.children().length > 0) return;
    forgotten = its.promises.length;
    host.restore();
  };
  const send = host.send.bind(host);
  host.send = (event) => (cool(), send(event));
  return {
    journal: its,
    get forgotten() {
      return forgotten;
    },
    apply(operation) {
      heard(() => {
        host.pump();
        if (operation.op === "send") host.send(operation.event);
        else if (operation.op === "advance") host.advance(operation.ms);
      });
    },
    look() {
      heard(() => host.pump());
      if (host.errors.length > 0) throw host.errors[0];
      const { value, context, tags, isDone } = host.live;
      const timers = host.timers.pending.map(({ at }) => at).toSorted((a, b) => a - b);
      return { value, context, tags: tags.sort(), done: isDone, timers, entries: its.entries };
    },
  };
}

function operations(random: Random): Operation[] {
  return Array.from({ length: STEPS }, () => {
    const kind = random.below(10);
    if (kind < 5) return { op: "send", event: random.pick(EVENTS) };
    if (kind < 6) return { op: "send", event: "REFUEL" };
    if (kind < 8) return { op: "advance", ms: random.pick([5, 10, 25, 60]) };
    return { op: "settle", nth: random.below(3), isFailure: random.chance(0.3) };
  });
}

/** The index of the promise that an operation settles. */
function settled({ journal }: Run, operation: Operation): number {
  return operation.op === "settle" ? journal.promises.length - 1 - operation.nth : Infinity;
}

/** What it threw, if anything. */
async function apply(run: Run, operation: Operation): Promise<string | undefined> {
  if (operation.op === "settle") {
    const promise = run.journal.promises[settled(run, operation)];
    if (operation.isFailure) promise?.reject({ message: "no" });
    else promise?.resolve(operation.nth);
    await tick();
    return;
  }
  try {
    run.apply(operation);
  } catch (error) {
    return String(error);
  }
}

function starting<R extends Run>(make: () => R): R | string {
  try {
    return make();
  } catch (error) {
    return String(error);
  }
}

/** What a machine of this kind does that it did not do before: to see that the cases reach everything. */
const seen = {
  steps: 0,
  entries: 0,
  done: 0,
  timers: 0,
  promises: 0,
  refused: 0,
  broken: 0,
  orphans: 0,
  failed: 0,
  histories: 0,
};

async function compare(seed: number, xstate: XState): Promise<unknown> {
  const random = new Random(seed);
  const config = new MachineMaker(random).make(seed % 2 === 0);
  const steps = operations(random);
  const real = starting(() => realRun(config, xstate));
  const ours = [false, true].map((isCold) => starting(() => ourRun(config, xstate, isCold)));
  let isBroken = false;
  if (typeof real === "string") {
    seen.refused++;
    return assertEquals(ours.map(String), [real, real], `seed ${seed}: start`);
  }
  for (const [i, operation] of steps.entries()) {
    const failure = await apply(real, operation);
    isBroken = real.isBroken();
    if (isBroken) break;
    for (const [which, run] of ours.entries()) {
      if (typeof run === "string") throw new Error(`seed ${seed}: ${run}`);
      const ourFailure = await apply(run, operation);
      const where = `seed ${seed}, step ${i} ${JSON.stringify(operation)}, ${
        ["warm", "cold"][which]
      }`;
      if (failure !== undefined) {
        assertEquals(ourFailure, failure, where);
        continue;
      }
      if (ourFailure !== undefined) throw new Error(`${where}: ${ourFailure}`);
      const found = difference(run.look(), real.look());
      // Where a child took the place of another that had not ended, XState goes on listening to the first one, too.
      if (found !== undefined && settled(run, operation) < run.forgotten) return seen.orphans++;
      if (found !== undefined) throw new Error(`${where}: ${found}`);
    }
    if (failure !== undefined) {
      seen.failed++;
      break;
    }
    seen.steps++;
  }
  const last = real.look() as { done: boolean; timers: unknown[] };
  seen.entries += real.journal.entries.length;
  seen.broken += Number(isBroken);
  seen.done += Number(last.done);
  seen.timers += last.timers.length;
  seen.promises += real.journal.promises.length;
  seen.histories += Number(JSON.stringify(config).includes('"history"'));
}

async function compareAll(cases: number, xstate: XState) {
  const { error, warn } = console;
  // XState reports errors of children that nobody handles, and events that come too late.
  console.error = console.warn = () => {};
  try {
    const only = Deno.env.get("STATEKEEP_SEED");
    const first = Number(Deno.env.get("STATEKEEP_FIRST_SEED") ?? 1);
    if (only !== undefined) return void await compare(Number(only), xstate);
    seen.refused = 0;
    for (let seed = first; seed < first + cases; seed++) await compare(seed, xstate);
    assert(seen.refused < cases / 20, `${seen.refused} machines could not be started`);
  } finally {
    Object.assign(console, { error, warn });
  }
}

Deno.test("the driver does what XState's own interpreter does", async () => {
  await compareAll(CASES, ownCopy);
  console.log(seen);
});

for (const version of ["4.38.3", "4.33.6", "4.30.6"]) {
  Deno.test(`the same for a minified bundle with XState ${version}`, async () => {
    const code = await bundle(`export * from "npm:xstate@${version}";`, true);
    const path = await Deno.makeTempFile({ suffix: ".mjs" });
    await Deno.writeTextFile(path, code);
    const copy = await import(`file://${path}`);
    await Deno.remove(path);
    await compareAll(CASES_BUNDLED, copy.default ?? copy);
  });
}

/**
 * Instances of two versions, and what a migration makes of them. Most of what upgrades promise holds for both majors, so a case is a
 * config that both understand.
 */

import { createMachine as createMachine4 } from "xstate4";
import { createMachine as createMachine5 } from "xstate5";
import type {
  Driver,
  LiveInstance,
  Surroundings,
} from "../../../src/statekeep/runtimes/javascript/host/driver.ts";
import type {
  OutlineState,
  Parent,
  PendingTimer,
  Snapshot,
  TimerMoves,
  TimerOp,
} from "../../../src/statekeep/runtimes/javascript/host/frames.ts";
import { Migration } from "../../../src/statekeep/runtimes/javascript/host/upgrade/migration.ts";
import { upgrade } from "../../../src/statekeep/runtimes/javascript/host/upgrade/upgrade.ts";
import type { Upgraded } from "../../../src/statekeep/runtimes/javascript/host/upgrade/upgrade.ts";
import { xstate4Driver } from "../../../src/statekeep/runtimes/javascript/host/xstate4/driver.ts";
import { xstate5Driver } from "../../../src/statekeep/runtimes/javascript/host/xstate5/driver.ts";

export type Major = 4 | 5;
// deno-lint-ignore no-explicit-any
export type Config = any;

export class Quiet implements Surroundings {
  readonly name = "tested";
  readonly warnings: string[] = [];
  constructor(readonly parent?: Parent) {}
  eventForRoot() {}
  childrenChanged() {}
  warn(text: string) {
    this.warnings.push(text);
  }
}

/** `options` are implementations, as the second argument of `createMachine` of either major. */
export function driverOf(major: Major, config: Config, options: Config = {}): Driver {
  const whole = { predictableActionArguments: true, ...config };
  return major === 5
    ? xstate5Driver(createMachine5(config, options))
    : xstate4Driver(createMachine4(whole, options));
}

/** An instance, its timers as the server keeps them. */
export class Subject {
  readonly live: LiveInstance;
  readonly surroundings: Quiet;
  timers: PendingTimer[] = [];
  #seq = 0;

  constructor(readonly driver: Driver, events: string[] = [], from?: Snapshot) {
    this.surroundings = new Quiet(from?.parent);
    if (from) {
      this.live = driver.restore(this.surroundings, from);
    } else {
      const { live, decided } = driver.initial(this.surroundings, {});
      this.live = live;
      this.#take(decided.timers);
      decided.effects.forEach((effect) => effect.run());
      live.snapshot();
      live.mark();
    }
    events.forEach((event) => this.send(event));
  }

  send(type: string): this {
    const decided = this.live.step({ type });
    this.#take(decided.timers);
    decided.effects.forEach((effect) => effect.run());
    this.live.snapshot();
    this.live.mark();
    return this;
  }

  /** The timer is due. */
  fire(timer: { event: { type: string } }): this {
    this.timers = this.timers.filter((each) => each.event !== timer.event);
    return this.send(timer.event.type);
  }

  get snapshot(): Snapshot {
    return JSON.parse(this.live.snapshot().text);
  }

  get states(): OutlineState[] {
    return JSON.parse(JSON.stringify(this.driver.chart.states));
  }

  #take(ops: TimerOp[]) {
    for (const op of ops) {
      if ("cancel" in op) {
        const n = this.timers.findLastIndex((timer) => timer.id === op.cancel);
        if (n >= 0) this.timers.splice(n, 1);
      } else if ("set" in op) {
        const { set: id, event, after } = op;
        this.timers.push({ seq: this.#seq++, id, event, ...(after && { after }) });
      }
    }
  }
}

const BOUNDS = { bytes: 400_000, depth: 500 };

export const IDENTITY = `
export const upgradeState = (path) => path;
export const upgradeContext = (before, after, context) => context;
`;

/** A migration whose states are renamed by key, as in `{a: "b"}`. */
export function renaming(names: Record<string, string>, rest = ""): string {
  return `
const names = ${JSON.stringify(names)};
export const upgradeState = (path) => path.map((key) => names[key] ?? key);
${rest || "export const upgradeContext = (before, after, context) => context;"}
`;
}

/** A migration that leads from some paths, joined with dots, to others. */
export function leading(paths: Record<string, string>): string {
  return `
const paths = ${JSON.stringify(paths)};
export const upgradeState = (path) => {
  const to = paths[path.join(".")];
  if (to === undefined) throw new Error("asked about " + path.join("."));
  return to === "" ? [] : to.split(".");
};
export const upgradeContext = (before, after, context) => context;
`;
}

const loaded = new Map<string, Promise<Migration>>();

function load(code: string): Promise<Migration> {
  const migration = loaded.get(code) ?? Migration.load(code);
  loaded.set(code, migration);
  return migration;
}

/** An upgrade of an instance without a parent. */
type Told = Omit<Upgraded, "timers"> & {
  timers: Omit<TimerMoves, "started"> & { started: Extract<TimerOp, { set: string }>[] };
  snapshot: Snapshot;
};

export async function upgraded(
  subject: Subject,
  target: Driver,
  codes: string | string[],
  { isKnown = true, surroundings = new Quiet(subject.surroundings.parent) } = {},
): Promise<Told & { surroundings: Quiet }> {
  const migrations = await Promise.all([codes].flat().map(load));
  const origin = {
    snapshot: subject.snapshot,
    major: subject.driver.major,
    timers: subject.timers,
    ...(isKnown && { states: subject.states }),
  };
  const result = upgrade(target, migrations, origin, surroundings, BOUNDS);
  const { renamed, cancelled, started } = result.timers;
  const timers = { renamed, cancelled, started: started.filter((op) => "set" in op) };
  return { ...result, timers, snapshot: JSON.parse(result.snapshotText), surroundings };
}

/** The same for a snapshot that no subject has. */
export async function upgradedFrom(
  snapshot: Snapshot,
  major: Major,
  target: Driver,
  code: string,
): Promise<Upgraded & { snapshot: Snapshot }> {
  const origin = { snapshot, major, timers: [] };
  const result = upgrade(target, [await load(code)], origin, new Quiet(snapshot.parent), BOUNDS);
  return { ...result, snapshot: JSON.parse(result.snapshotText) };
}

/** Runs a test for 4 to 4, 5 to 5 and 4 to 5. */
export function forMajors(name: string, run: (from: Major, to: Major) => Promise<void>) {
  for (const [from, to] of [[4, 4], [5, 5], [4, 5]] as const) {
    Deno.test(`${name} (XState ${from} to ${to})`, () => run(from, to));
  }
}

/** As `forMajors`, and back again. */
export function forAllMajors(name: string, run: (from: Major, to: Major) => Promise<void>) {
  forMajors(name, run);
  Deno.test(`${name} (XState 5 to 4)`, () => run(5, 4));
}

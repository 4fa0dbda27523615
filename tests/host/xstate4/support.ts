/**
 * The least that a host does with an instance: performs what was decided, keeps timers, and delivers events one after the other. Time stands still
 * until a test moves it.
 */

import type {
  Decided,
  LiveInstance,
  Surroundings,
} from "../../../src/statekeep/runtimes/javascript/host/driver.ts";
import type {
  Address,
  MachineEvent,
  Snapshot,
  TimerOp,
} from "../../../src/statekeep/runtimes/javascript/host/frames.ts";
import { xstate4Driver } from "../../../src/statekeep/runtimes/javascript/host/xstate4/driver.ts";

export { xstate4Driver };

export function assert(condition: unknown, message = "assertion failed"): asserts condition {
  if (!condition) throw new Error(message);
}

export function assertEquals(actual: unknown, expected: unknown, message = "") {
  const [a, e] = [actual, expected].map((value) => JSON.stringify(sorted(value), null, 1));
  if (a !== e) throw new Error(`${message}\nactual:   ${a}\nexpected: ${e}`);
}

/** The first path at which two values differ, or undefined. */
export function difference(actual: unknown, expected: unknown, path = ""): string | undefined {
  if (Object.is(actual, expected)) return undefined;
  const isPair = [actual, expected].every((it) => typeof it === "object" && it !== null);
  if (!isPair) return `${path}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`;
  const [a, e] = [actual, expected] as Record<string, unknown>[];
  for (const key of new Set([...Object.keys(e), ...Object.keys(a)])) {
    const found = difference(a[key], e[key], `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function assertThrows(run: () => unknown, text: string) {
  try {
    run();
  } catch (error) {
    assert(String(error).includes(text), `threw ${error}, not "${text}"`);
    return;
  }
  throw new Error(`did not throw "${text}"`);
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value ?? null;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value).filter(([, v]) => v !== undefined).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([k, v]) => [k, sorted(v)]),
  );
}

/** Let everything that waits for promises go on. */
export const tick = () => new Promise((resolve) => setTimeout(resolve));

interface Timer {
  at: number;
  id: string;
  event: MachineEvent;
}

/** Timers as XState's interpreter keeps them: of several with one id only the newest can be cancelled. */
export class Timers {
  now = 0;
  pending: Timer[] = [];
  readonly #newest = new Map<string, Timer>();

  apply(ops: TimerOp[]) {
    for (const op of ops) {
      if ("set" in op) {
        const timer = { at: this.now + op.delay, id: op.set, event: op.event };
        this.pending.push(timer);
        if (op.set !== "") this.#newest.set(op.set, timer);
      } else if ("cancel" in op) {
        const timer = this.#newest.get(op.cancel);
        this.#newest.delete(op.cancel);
        this.pending = this.pending.filter((other) => other !== timer);
      }
    }
  }

  /** The first timer that is due up to `until`, taken out. */
  take(until: number): Timer | undefined {
    const first = this.pending.reduce<Timer | undefined>(
      (best, it) => best === undefined || it.at < best.at ? it : best,
      undefined,
    );
    if (first === undefined || first.at > until) return undefined;
    this.pending = this.pending.filter((other) => other !== first);
    this.now = Math.max(this.now, first.at);
    return first;
  }
}

export class TestHost implements Surroundings {
  readonly name = "test";
  readonly driver;
  live!: LiveInstance;
  text = "";
  readonly timers = new Timers();
  /** What children and actions sent to the root, in order; `pump` delivers it. */
  readonly inbox: { event: MachineEvent; childId: string | undefined }[] = [];
  readonly warnings: string[] = [];
  readonly errors: unknown[] = [];
  readonly dropped: MachineEvent[] = [];
  changes = 0;
  /** What the last step decided. */
  decided!: Decided;

  constructor(machine: unknown) {
    this.driver = xstate4Driver(machine);
  }

  static start(machine: unknown, given = {}): TestHost {
    return new TestHost(machine).begin(given);
  }

  begin(given = {}): this {
    const { live, decided } = this.driver.initial(this, given);
    this.live = live;
    this.finish(decided);
    return this;
  }

  eventForRoot(event: MachineEvent, childId: string | undefined) {
    this.inbox.push({ event, childId });
  }
  childrenChanged() {
    this.changes++;
  }
  warn(text: string) {
    this.warnings.push(text);
  }

  /** Deliver one event, with whatever the machine sends itself, and perform it. */
  send(event: MachineEvent | string, sender?: Address) {
    if (this.live.isDone) return;
    const delivered = typeof event === "string" ? { type: event } : event;
    this.finish(this.live.step(delivered, sender));
  }

  /** Decide everything that belongs to one delivery, then perform it. */
  finish(decided: Decided) {
    const effects = [...decided.effects];
    this.decided = decided;
    this.timers.apply(decided.timers);
    this.#snapshot();
    const selfSends = [...decided.selfSends];
    while (selfSends.length > 0 && !this.live.isDone) {
      const next = this.live.step(selfSends.shift()!);
      this.timers.apply(next.timers);
      effects.push(...next.effects);
      selfSends.push(...next.selfSends);
      this.#snapshot();
    }
    if (this.live.isDone) this.timers.pending = [];
    this.live.mark();
    for (const effect of effects) this.perform(effect);
  }

  perform(effect: { run(): void }) {
    try {
      effect.run();
    } catch (error) {
      this.errors.push(error);
    }
  }

  /** Deliver what children sent until nothing is left. */
  pump() {
    while (this.inbox.length > 0) {
      const { event } = this.inbox.shift()!;
      if (/^(error\.platform|xstate\.error)/.test(event.type) && !this.live.handles(event)) {
        this.dropped.push(event);
      } else this.send(event);
    }
  }

  async settle() {
    for (let i = 0; i < 5; i++) {
      await tick();
      this.pump();
    }
  }

  advance(ms: number) {
    const until = this.timers.now + ms;
    for (let timer; (timer = this.timers.take(until)) !== undefined;) this.send(timer.event);
    this.timers.now = until;
  }

  /** As if another process went on with what is stored. */
  restore() {
    this.live.dispose();
    this.live = this.driver.restore(this, JSON.parse(this.text));
  }

  get snapshot(): Snapshot {
    return JSON.parse(this.text);
  }

  #snapshot() {
    this.text = this.live.snapshot().text;
  }
}

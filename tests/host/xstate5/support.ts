/**
 * One instance on the XState 5 driver, handled as the host handles it, without a process around it.
 */

import type {
  Decided,
  Driver,
  LiveInstance,
  Surroundings,
} from "../../../src/statekeep/runtimes/javascript/host/driver.ts";
import type {
  MachineEvent,
  Snapshot,
  TimerOp,
} from "../../../src/statekeep/runtimes/javascript/host/frames.ts";
import { xstate5Driver } from "../../../src/statekeep/runtimes/javascript/host/xstate5/driver.ts";

export type { Decided, MachineEvent, Snapshot };

export class Instance implements Surroundings {
  readonly name = "tested";
  readonly driver: Driver;
  readonly heard: { event: MachineEvent; child: string | undefined }[] = [];
  readonly warnings: string[] = [];
  changes = 0;
  live!: LiveInstance;
  decided!: Decided;
  text = "";

  constructor(machine: unknown) {
    this.driver = xstate5Driver(machine);
  }

  static create(machine: unknown, given = {}): Instance {
    return new Instance(machine).begin(given);
  }

  begin(given = {}): this {
    const { live, decided } = this.driver.initial(this, given);
    this.live = live;
    this.take(decided);
    return this;
  }

  /** Step, perform nothing. */
  step(event: MachineEvent | string): this {
    this.take(this.live.step(typeof event === "string" ? { type: event } : event));
    return this;
  }

  take(decided: Decided) {
    this.decided = decided;
    this.text = this.live.snapshot().text;
    this.live.mark();
  }

  perform(): this {
    this.decided.effects.forEach((effect) => effect.run());
    return this;
  }

  /** Step and perform. */
  send(event: MachineEvent | string): this {
    return this.step(event).perform();
  }

  /** Go on with what was heard from children and from actions, until there is no more. */
  deliver(): this {
    for (let next = this.heard.shift(); next; next = this.heard.shift()) this.send(next.event);
    return this;
  }

  /** As after the death of the host. */
  restart(): this {
    this.live.dispose();
    this.live = this.driver.restore(this, JSON.parse(this.text));
    return this;
  }

  get snapshot(): Snapshot {
    return JSON.parse(this.text);
  }

  get timers(): TimerOp[] {
    return this.decided.timers;
  }

  // deno-lint-ignore no-explicit-any
  get context(): any {
    return this.live.context;
  }

  get due(): string[] {
    return this.live.children().filter((child) => child.due).map((child) => child.id);
  }

  eventForRoot(event: MachineEvent, child: string | undefined) {
    this.heard.push({ event, child });
  }

  childrenChanged() {
    this.changes++;
  }

  warn(text: string) {
    this.warnings.push(text);
  }
}

/** Let promises and timers of no delay happen. */
export function tick(ms = 0): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

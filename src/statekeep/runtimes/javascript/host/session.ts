/**
 * One instance that this host has seen lately: its newest state, live children, and what was decided and not performed.
 *
 * What must stay true: `text` is the snapshot of `rev`. The live instance may be missing (it is made of `text` when needed), and it
 * stands at `rev` whenever no delivery is being decided.
 */

import type { Activity, LogBudget } from "./activity.ts";
import { runAs } from "./activity.ts";
import type { Driver, Effect, LiveInstance, Surroundings } from "./driver.ts";
import type { JsonBounds, MachineEvent, Parent, Snapshot } from "./frames.ts";
import { eventText } from "./json_text.ts";
import type { Logs } from "./logs.ts";
import { parse, stringify } from "./natives.ts";
import type { PendingStep } from "./pending_step.ts";
import type { ChildrenNow } from "./replies.ts";
import { childrenNow, childrenText } from "./replies.ts";

export interface SessionHost {
  readonly driver: Driver;
  readonly logs: Logs;
  readonly eventBounds: JsonBounds;
  send(frame: string): void;
}

/** What a delivery left to be performed. */
interface Undone {
  readonly rev: number;
  readonly effects: Effect[];
  readonly step: PendingStep;
  readonly touchesChildren: boolean;
}

// Counted for the whole host: a number from before a session was forgotten must not mean an event of the next one.
let handlesGiven = 0;

// Beyond this many unanswered events of its children, an instance gets their JSON instead of the objects.
const HANDLES_MAX = 10_000;

export class Session implements Surroundings {
  /** What runs for the instance outside of steps: effects and children. */
  readonly activity: Activity;
  readonly #host: SessionHost;
  #live: LiveInstance | null = null;
  // Most sessions have none of either, and there are thousands.
  #undone: Undone[] | null = null;
  #handles: Map<number, MachineEvent> | null = null;
  #lastTold = "0";
  /** The answer that is being made will say how the children stand. */
  #isQuiet = false;

  constructor(
    host: SessionHost,
    readonly i: number,
    readonly name: string,
    public rev: number,
    public text: string,
    public contextText: string,
    readonly parent?: Parent,
  ) {
    this.#host = host;
    this.activity = { i, step: null, budget: host.logs.newBudget() };
  }

  static at(host: SessionHost, i: number, name: string, rev: number, saved: Snapshot): Session {
    const { context, parent } = saved;
    return new Session(host, i, name, rev, stringify(saved), stringify(context), parent);
  }

  get budget(): LogBudget {
    return this.activity.budget;
  }

  get isPinned(): boolean {
    return this.#undone !== null || (this.#live?.children().length ?? 0) > 0;
  }

  get awaitsChildren(): boolean {
    return this.#undone?.some((each) => each.touchesChildren) ?? false;
  }

  /** The live instance, restored if need be. Throws where the machine cannot take the snapshot. */
  wake(): LiveInstance {
    return this.#live ??= runAs(
      this.activity,
      () => this.#host.driver.restore(this, parse(this.text) as Snapshot),
    );
  }

  /** Let go of the live instance, unless something lives or is to be performed. It costs eight times the memory, and a third of a step to have again. */
  sleep() {
    if (!this.isPinned) this.#live = null;
  }

  adopt(live: LiveInstance) {
    this.#live = live;
  }

  /** Whatever was tried since the last decided delivery did not happen. */
  rollBack() {
    try {
      this.#live?.rollBack();
    } catch (error) {
      this.#host.logs.error(this.activity, "The instance had to be restored", error);
      this.#live?.dispose();
      this.#live = null;
    }
  }

  /** A delivery is decided. `children` as told in its answer. */
  keep(steps: number, text: string, contextText: string, undone: Omit<Undone, "rev"> | null) {
    this.rev += steps;
    this.text = text;
    this.contextText = contextText;
    this.#live!.mark();
    if (undone) (this.#undone ??= []).push({ rev: this.rev, ...undone });
  }

  perform(rev: number) {
    this.#host.logs.refill(this.budget);
    this.#isQuiet = true;
    const undone = this.#undone ?? [];
    while (undone.length > 0 && undone[0]!.rev <= rev) this.#performOne(undone.shift()!);
    if (undone.length === 0) this.#undone = null;
    this.#isQuiet = false;
  }

  #performOne({ step, effects }: Undone) {
    step.release((error) => this.#logError("A timer that a step had set could not begin", error));
    const run = (effect: Effect) => {
      try {
        effect.run();
      } catch (error) {
        this.#logError("An action failed", error);
      }
    };
    for (const effect of effects) runAs(this.activity, run, effect);
  }

  #logError(what: string, error: unknown) {
    this.#host.logs.error(this.activity, what, error);
  }

  /** How the children stand, for an answer. */
  tellChildren(): ChildrenNow {
    const now = childrenNow(this.#live?.children() ?? []);
    this.#lastTold = toldKey(now);
    return now;
  }

  takeHandle(h: number): MachineEvent | undefined {
    const event = this.#handles?.get(h);
    this.#handles?.delete(h);
    return event;
  }

  eventForRoot(event: MachineEvent, childId: string | undefined) {
    const h = ++handlesGiven;
    const handles = this.#handles ??= new Map();
    if (handles.size < HANDLES_MAX) handles.set(h, event);
    const child = childId === undefined ? "" : `"child":${stringify(childId)},`;
    const text = eventText(event, this.#host.eventBounds, (warning) => this.warn(warning));
    const children = childrenText(this.tellChildren());
    this.#host.send(`{"op":"event","i":${this.i},"h":${h},${child}"event":${text},${children}}`);
  }

  childrenChanged() {
    if (this.#isQuiet || !this.#live) return;
    const now = childrenNow(this.#live.children());
    const key = toldKey(now);
    if (key === this.#lastTold) return;
    this.#lastTold = key;
    this.#host.send(`{"op":"due","i":${this.i},${childrenText(now)}}`);
  }

  warn(text: string) {
    this.#host.logs.write(this.activity, 2, text);
  }

  stopDue() {
    this.#isQuiet = true;
    runAs(this.activity, () => this.#live?.stopDue());
    this.#isQuiet = false;
  }

  dispose() {
    this.#isQuiet = true;
    for (const { step } of this.#undone ?? []) step.discard();
    this.#undone = null;
    const live = this.#live;
    if (live) runAs(this.activity, () => live.dispose());
    this.#live = null;
  }
}

function toldKey({ due, live }: ChildrenNow): string {
  return due.length === 0 ? String(live) : `${live}:${stringify(due)}`;
}

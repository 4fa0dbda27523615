/**
 * What becomes of pending `after` timers. Those of states that survive keep their due time, under the name that the new version gives
 * them; those of states that vanished are cancelled; states that are newly entered begin theirs. Other timers are left alone.
 */

import type { Chart, ChartNode } from "../chart.ts";
import { keyOf } from "../chart.ts";
import type { After, Delay, OutlineState, PendingTimer, TimerMoves, TimerOp } from "../frames.ts";
import { stringify } from "../natives.ts";
import type { Survivors } from "./survivors.ts";

type Kept = PendingTimer & { after: After };

export class TimerPlan {
  readonly #chart: Chart;
  readonly #survivors: Survivors;
  /** By node and ordinal: the pending timer that a delayed transition takes over. */
  readonly #taken = new Map<string, { after: After; timer: Kept }>();
  readonly #cancelled: number[] = [];

  constructor(chart: Chart, survivors: Survivors, pending: readonly PendingTimer[]) {
    this.#chart = chart;
    this.#survivors = survivors;
    const ours = pending.filter((timer): timer is Kept => timer.after !== undefined);
    const rest = ours.filter((timer) => !this.#take(timer, isSame) && !this.#take(timer, isAlike));
    // A delay that changed its length is known by its place, once all that kept theirs are known.
    for (const timer of rest) if (!this.#take(timer, isInPlace)) this.#cancelled.push(timer.seq);
  }

  /** `active` are the nodes of the new configuration, `states` the old version's where they are known. */
  moves(
    active: readonly ChartNode[],
    states: readonly OutlineState[] | undefined,
    context: unknown,
  ): TimerMoves {
    const { eventOf } = this.#chart.implementation;
    const renamed = [...this.#taken.values()].flatMap(({ after, timer }) => {
      const id = eventOf(after);
      const moved = { seq: timer.seq, id, event: { ...timer.event, type: id }, after };
      return isUnchanged(timer, moved) ? [] : [moved];
    });
    const started = active.flatMap((node) => this.#started(node, states, context));
    return { renamed, cancelled: this.#cancelled, started };
  }

  #take(timer: Kept, fits: Likeness): boolean {
    for (const path of this.#survivors.newOf(timer.after.path)) {
      const delays = this.#chart.at(path)?.after ?? [];
      const found = delays.find((delay) =>
        fits(timer.after, { path, ...delay }) && !this.#taken.has(placeOf(path, delay.n))
      );
      if (!found) continue;
      this.#taken.set(placeOf(path, found.n), { after: { path, ...found }, timer });
      return true;
    }
    return false;
  }

  #started(
    node: ChartNode,
    states: readonly OutlineState[] | undefined,
    context: unknown,
  ): Extract<TimerOp, { set: string }>[] {
    const { eventOf, delayOf } = this.#chart.implementation;
    const due = (node.after ?? []).filter((delay) =>
      !this.#taken.has(placeOf(node.path, delay.n)) && this.#isNew(node, delay, states)
    );
    return due.map((delay) => {
      const after = { path: node.path, ...delay };
      const set = eventOf(after);
      return { set, delay: delayOf(after, context), event: { type: set }, after };
    });
  }

  /** A surviving state has seen the end of a delay that it had before and that is not pending. */
  #isNew(node: ChartNode, delay: Delay, states: readonly OutlineState[] | undefined): boolean {
    const before = this.#survivors.oldOf(node.path);
    if (before.length === 0) return true;
    if (!states) return false;
    const keys = new Set(before.map(keyOf));
    const known = states.filter(({ path }) => keys.has(keyOf(path))).flatMap(delaysOf);
    const isKept = (old: Delay) => node.after!.some((each) => each.delay === old.delay);
    const found = { path: node.path, ...delay };
    return !known.some((old) => isAlike(old, found) || (isInPlace(old, found) && !isKept(old)));
  }
}

type Likeness = (old: After, found: After) => boolean;

function isSame(old: After, found: After): boolean {
  return isAlike(old, found) && old.n === found.n;
}

function isAlike(old: After, found: After): boolean {
  return old.delay === found.delay;
}

/** In a state that has another name now, it is as likely another delay. */
function isInPlace(old: After, found: After): boolean {
  return old.n === found.n && old.path.at(-1) === found.path.at(-1);
}

function delaysOf({ path, after = [] }: OutlineState): After[] {
  return after.map((delay) => ({ path, ...delay }));
}

function isUnchanged(before: Kept, after: Kept): boolean {
  const text = ({ id, event, after: { path, n, delay } }: Kept) =>
    stringify([id, event.type, path, n, delay]);
  return text(before) === text(after);
}

function placeOf(path: readonly string[], n: number): string {
  return keyOf([...path, String(n)]);
}

/**
 * Which transitions a machine takes, for whoever measures what tests cover. Servers do not ask.
 *
 * XState hands around the very objects of its definition, so they are told by identity. One that is not known (a copy of XState that makes new ones) is
 * not counted.
 */

import type { OutlineTransition, TransitionRef } from "./frames.ts";

/** A transition of a definition, and how an outline shows it. */
export interface Observed {
  readonly transition: object;
  readonly shown: OutlineTransition;
}

export class Observation {
  readonly #refs = new Map<unknown, TransitionRef>();
  #taken: TransitionRef[] = [];

  /** `observed` by state, in document order. */
  constructor(readonly observed: readonly (readonly Observed[])[]) {
    observed.forEach((transitions, state) =>
      transitions.forEach(({ transition }, n) => this.#refs.set(transition, [state, n]))
    );
  }

  /** A macrostep is about to be decided. */
  begin() {
    this.#taken = [];
  }

  /** A microstep takes these. */
  note(transitions: readonly unknown[]) {
    for (const transition of transitions) {
      const ref = this.#refs.get(transition);
      if (ref !== undefined) this.#taken.push(ref);
    }
  }

  /** Those of the macrostep so far, in order. */
  get taken(): TransitionRef[] {
    return this.#taken;
  }
}

/** A guard as people know it; true where it has no name. */
export function guardName(guard: unknown): string | true | undefined {
  if (guard === undefined || guard === null) return undefined;
  const name = typeof guard === "string"
    ? guard
    : (guard as { name?: unknown }).name ?? (guard as { type?: unknown }).type;
  // An inline function is called after the property that it stands in.
  return typeof name === "string" && !["", "guard", "cond"].includes(name) ? name : true;
}
